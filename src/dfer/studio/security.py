"""Who may do what: the owner's password and cookies, links of raters, and what each request and answer must be like.

On loopback whoever is at the machine is the owner. Elsewhere the owner logs in with a password (scrypt) and holds a
signed cookie that expires, or a program sends the key of the API. A rater's link holds a signature over the rater's
number: nobody can guess another's, and no file holds one.

A page of another site can make a browser send requests here. So the address that a request names must be ours (against
DNS rebinding), a request that changes something must come from one of our pages, and it must carry a token that only
our pages know.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer

from dfer.documents import read_json
from dfer.errors import DferError
from dfer.files import write_text

COOKIE, HEADER = "dfer_owner", "x-dfer-token"
LASTS_S = 12 * 3600
"""Of a cookie and of the tokens that go with it."""
SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}
"""What a try costs: 32 MB and a tenth of a second."""
FEWEST = 10
"""Characters of a password."""
TRIES, PER_S = 10, 60.0
"""Wrong passwords in this time; after that nobody can log in for a while."""
SIGNATURE = 18
"""Bytes of a link's signature."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of our pages: no script or style inside a page, nothing from elsewhere."""
REPORT_POLICY = (
    "sandbox allow-scripts allow-popups; default-src 'none'; img-src data:; media-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""Of a report in the folder, which somebody else may have written: it has no origin, so it can ask nothing of us."""
HEADERS: dict[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
}


class RefusedError(DferError):
    """A request that is not allowed; `status` is what HTTP calls it."""

    def __init__(self, told: str, status: int = 403) -> None:
        super().__init__(told)
        self.status = status


class Keys:
    """The secret of a folder, kept in a file that only its owner may read.

    Args:
        path: of the file; it is made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        known = read_json(path) if path.exists() else {}
        self._values: dict[str, str] = {key: str(value) for key, value in dict(known).items()}
        if "secret" not in self._values:
            self._values["secret"] = secrets.token_hex(32)
            self._write()
        self._failures: list[float] = []
        self._lock = threading.Lock()

    def set_password(self, password: str) -> None:
        """Keep the scrypt hash of a password; cookies that were given out before are worth nothing any more.

        Raises:
            DferError: it is too short.
        """
        if len(password) < FEWEST:
            raise DferError(f"expected a password of {FEWEST} characters or more, got {len(password)}")
        salt = secrets.token_bytes(16)
        self._values["password"] = f"{salt.hex()}:{_scrypt(password, salt).hex()}"
        self._write()

    def check_password(self, password: str) -> bool:
        """Whether it is the password.

        Raises:
            RefusedError: there were too many wrong ones lately.
        """
        with self._lock:
            now = time.monotonic()
            self._failures = [at for at in self._failures if now - at < PER_S]
            if len(self._failures) >= TRIES:
                raise RefusedError(f"too many wrong passwords; wait for {PER_S:.0f} seconds", 429)
            salt, _, wanted = self._values.get("password", "").partition(":")
            right = bool(wanted) and hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)).hex(), wanted)
            if not right:
                self._failures.append(now)
            return right

    def session(self) -> str:
        """A new cookie."""
        return self._signer("session").dumps(secrets.token_urlsafe(12))

    def token(self, session: str) -> str:
        """The token that requests under a cookie must carry."""
        return self._signer("token").dumps(hashlib.sha256(session.encode()).hexdigest())

    def holds(self, session: str) -> bool:
        """Whether a cookie is one of ours and has not expired."""
        return self._opened("session", session) is not None

    def fits(self, token: str, session: str) -> bool:
        """Whether a token goes with a cookie."""
        opened = self._opened("token", token)
        return opened is not None and hmac.compare_digest(str(opened), hashlib.sha256(session.encode()).hexdigest())

    @property
    def api_key(self) -> str:
        """What programs send as `Authorization: Bearer KEY`."""
        return self._signature("api", self._values.get("password", ""))

    def link(self, study: str, rater: int) -> str:
        """The last part of a rater's link."""
        return f"{rater}.{self._signature('rater', study, str(rater))}"

    def rater(self, study: str, link: str) -> int:
        """The number of the rater whose link this is.

        Raises:
            RefusedError: it is nobody's.
        """
        number = link.partition(".")[0]
        can_be = number.isascii() and number.isdigit() and len(number) < 12
        if can_be and hmac.compare_digest(self.link(study, int(number)).encode(), link.encode("utf-8", "replace")):
            return int(number)
        raise RefusedError("this link is not valid; ask whoever runs the study for a new one", 404)

    def _signature(self, *parts: str) -> str:
        message = json.dumps(parts).encode()
        digest = hmac.new(bytes.fromhex(self._values["secret"]), message, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:SIGNATURE]).decode()

    def _signer(self, what: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._values["secret"] + self._values.get("password", ""), salt=f"dfer {what}")

    def _opened(self, what: str, text: str) -> object:
        try:
            opened: object = self._signer(what).loads(text, max_age=LASTS_S)
            return opened
        except (BadData, ValueError):
            return None

    def _write(self) -> None:
        write_text(self._path, json.dumps(self._values) + "\n")
        os.chmod(self._path, 0o600)  # noqa: PTH101


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, dklen=32, **SCRYPT)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which nobody else can reach."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(named: str, bound: str) -> None:
    """Refuse a request that names another machine than this one.

    A site cannot make a browser name an address in numbers, so those are fine unless only loopback is served.

    Raises:
        RefusedError: it names another one.
    """
    try:
        name = urlsplit(f"//{named}").hostname or ""
    except ValueError:
        name = ""
    if is_loopback(name):
        return
    if not is_loopback(bound):
        try:
            ipaddress.ip_address(name)
            return
        except ValueError:
            if name in (bound.lower(), socket.gethostname().lower()):
                return
    raise RefusedError(
        f"this page is not served under the name {name[:80]!r}; open the address that dfer studio says", 421
    )


def check_origin(origin: str | None, fetch_site: str | None, host: str) -> None:
    """Refuse a request that a page of another site made.

    Raises:
        RefusedError: it is one.
    """
    foreign = fetch_site is not None and fetch_site not in ("same-origin", "none")
    if origin is not None:
        try:
            foreign = foreign or urlsplit(origin).netloc != host
        except ValueError:
            foreign = True
    if foreign:
        raise RefusedError("a page of another site may not do this")
