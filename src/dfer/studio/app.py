"""The web application: every request passes the checks of `security`, every error is one sentence."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfer.errors import DferError, UnwritableError, shortened
from dfer.pages import style_sheet
from dfer.studio.security import (
    COOKIE,
    HEADER,
    HEADERS,
    LASTS_S,
    Keys,
    RefusedError,
    check_host,
    check_origin,
    is_loopback,
)
from dfer.studio.workspace import Workspace
from dfer.version import __version__

logger = logging.getLogger(__name__)

API = "/api/v1"
SMALL = 2**20
"""Bytes of a request that is no upload."""
UPLOADS = re.compile(rf"{API}/(films|studies/[^/]+/answers)")
"""Addresses that take more; they look after their own limits."""
SCRIPTS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
SAFE = ("GET", "HEAD", "OPTIONS")
FAULTS = (400, 401, 403, 404, 405, 408, 409, 413, 421, 422, 429, 500, 507)
"""What an answer of the API can have for a status when a request cannot be done."""


class Fault(BaseModel):
    """What an answer says when a request cannot be done."""

    error: str


class Password(BaseModel):
    """The owner's password."""

    password: str


def create_app(workspace: Workspace, *, host: str = "127.0.0.1", model: str = "default") -> FastAPI:
    """The application.

    Args:
        workspace: the folder that it serves.
        host: the address that it is bound to; if others can reach it, the owner must log in.
        model: that reads films, see `dfer.inference.Predictor.from_pretrained`.
    """
    from dfer.studio import cuts, review, votes, watch
    from dfer.studio.films import Films
    from dfer.studio.work import Work

    films, work = Films(workspace, model), Work(workspace)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        films.start()
        yield
        films.stop()
        work.end()

    app = FastAPI(
        title="dfer studio", version=__version__, docs_url=None, redoc_url=None, openapi_url=f"{API}/openapi.json",
        lifespan=life, responses={status: {"model": Fault} for status in FAULTS},
    )  # fmt: skip
    app.state.workspace, app.state.host, app.state.films, app.state.work = workspace, host, films, work
    app.add_middleware(Guard)
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    _add_own(app)
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    for room in (votes, watch, cuts, review):
        app.include_router(room.router)
        routes += [route for route in room.router.routes if isinstance(route, APIRoute)]
    app.state.routes = routes
    return app


# --- who asks


def is_open(request: Request) -> bool:
    """Whether whoever is at the machine is the owner, without a password."""
    return is_loopback(request.app.state.host)


def require_owner(request: Request) -> None:
    """Refuse whoever is not the owner, and requests that change something and come from elsewhere.

    Raises:
        RefusedError: with the status 401 or 403.
    """
    keys: Keys = request.app.state.workspace.keys
    cookie, bearer = request.cookies.get(COOKIE, ""), request.headers.get("authorization", "")
    if bearer:
        if bearer != f"Bearer {keys.api_key}":
            raise RefusedError("this is not the key of the API; dfer studio says it when it starts", 401)
        return
    if not is_open(request) and not keys.holds(cookie):
        raise RefusedError("log in first", 401)
    from_browser = "origin" in request.headers or "sec-fetch-site" in request.headers
    guarded = request.method not in SAFE and (from_browser or not is_open(request))
    if guarded and not keys.fits(request.headers.get(HEADER, ""), cookie):
        raise RefusedError("the page is too old; load it again", 403)


Owner = Annotated[None, Depends(require_owner)]


def workspace_of(request: Request) -> Workspace:
    """The folder that is served."""
    found: Workspace = request.app.state.workspace
    return found


Folder = Annotated[Workspace, Depends(workspace_of)]


def page(request: Request, template: str, **values: Any) -> Response:
    """A page for the owner; who has to log in is sent to where that is done."""
    keys: Keys = request.app.state.workspace.keys
    session = request.cookies.get(COOKIE, "")
    if not keys.holds(session):
        if not is_open(request):
            return RedirectResponse("/login", 303)
        session = keys.session()
    answer = rendered(template, token=keys.token(session), open=is_open(request), **values)
    _set_cookie(answer, session)
    return answer


def rendered(template: str, **values: Any) -> HTMLResponse:
    """A page as HTML."""
    return HTMLResponse(_environment().get_template(template).render(version=__version__, **values))


def _set_cookie(answer: Response, session: str) -> None:
    answer.set_cookie(COOKIE, session, max_age=LASTS_S, httponly=True, samesite="strict", path="/")


@cache
def _environment() -> Environment:
    loader = ChoiceLoader([PackageLoader("dfer.studio"), PackageLoader("dfer.pages")])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


# --- what every request passes


class Guard:
    """Checks every request, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        try:
            _check(request)
            await self.app(scope, receive, sent)
        except RefusedError as error:
            await _answer(request, error.status, error)(scope, receive, sent)
        except Exception as error:  # an error of ours is told in one sentence, too, and does not end the server
            logger.exception("%s %s failed", request.method, shortened(request.url.path))
            told = DferError(f"this failed inside dfer: {type(error).__name__}; the terminal says where")
            if not begun:
                await _answer(request, 500, told)(scope, receive, sent)


def _check(request: Request) -> None:
    host = request.headers.get("host", "")
    check_host(host, request.app.state.host)
    if request.method not in SAFE:
        check_origin(request.headers.get("origin"), request.headers.get("sec-fetch-site"), host)
        _check_size(request)


def _check_size(request: Request) -> None:
    """A body is small, unless it is an upload, whose own limits `read_body` and `Films` look after."""
    length = request.headers.get("content-length", "")
    if length and not (length.isascii() and length.isdigit()):
        raise RefusedError("expected the length of the request as a number", 400)
    if UPLOADS.fullmatch(request.url.path):
        return
    if "transfer-encoding" in request.headers or int(length or 0) > SMALL:
        raise RefusedError(f"expected a request of at most {SMALL} bytes that says how long it is", 413)


async def read_body(request: Request, most: int) -> bytes:
    """The whole body of a request.

    Raises:
        RefusedError: it is larger than `most` bytes.
    """
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise RefusedError(f"expected at most {most / 2**20:.0f} MB", 413)
        parts.append(part)
    return b"".join(parts)


# --- errors


def _answer(request: Request, status: int, error: Exception) -> Response:
    """An error for a program, or as a page where somebody opened an address in a browser."""
    opened = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if opened and not request.url.path.startswith(API):
        answer = rendered("fault.html.jinja", error=str(error))
        answer.status_code = status
        return answer
    return JSONResponse({"error": str(error)}, status)


async def _bad_input(request: Request, error: Exception) -> Response:
    if isinstance(error, RefusedError):
        return _answer(request, error.status, error)
    if isinstance(error, UnwritableError):
        logger.error("%s", error)
        return _answer(request, 507, error)
    return _answer(request, 400, error)


async def _not_valid(request: Request, error: Exception) -> Response:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    place = ".".join(str(part) for part in first.get("loc", ())[1:])
    told = f"{shortened(place, 80) or 'the request'}: {first.get('msg', 'not valid')}"
    return _answer(request, 422, DferError(told))


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    told = {404: "there is no such page", 405: "this address does not take that method"}
    answer = _answer(request, status, DferError(told.get(status, f"HTTP error {status}")))
    if status == 405:
        answer.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return answer


def _methods(request: Request) -> set[str]:
    """The methods that an address takes."""
    routes = [route for route in request.app.state.routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in routes for method in route.methods}


HANDLERS: dict[type[Exception], Any] = {
    DferError: _bad_input, RequestValidationError: _not_valid, HTTPException: _refused,
}  # fmt: skip


# --- pages of its own


def _add_own(app: FastAPI) -> None:
    """Static files, the way in, health and metrics."""

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        found = _static().get(name)
        if found is None:
            raise RefusedError("there is no such file", 404)
        return Response(found, media_type=SCRIPTS[name[name.rindex(".") :]], headers={"Cache-Control": "no-cache"})

    @app.get("/", include_in_schema=False)
    def home(request: Request, folder: Folder) -> Response:
        return page(request, "home.html.jinja", room="", folder=folder.folder.name)

    @app.get("/login", include_in_schema=False)
    def login_page() -> Response:
        return rendered("login.html.jinja")

    @app.post("/login", include_in_schema=False)
    def login(given: Password, folder: Folder) -> Response:
        if not folder.keys.check_password(given.password):
            raise RefusedError("this is not the password", 401)
        answer = JSONResponse({"welcome": True})
        _set_cookie(answer, folder.keys.session())
        return answer

    @app.get(f"{API}/health", tags=["server"])
    def health() -> dict[str, str]:
        """Whether the server runs."""
        return {"status": "ok", "version": __version__}

    @app.get(f"{API}/metrics", tags=["server"], response_class=Response)
    def metrics(_: Owner, folder: Folder, request: Request) -> Response:
        """Numbers of the server, as Prometheus reads them."""
        import psutil

        numbers = {
            "dfer_memory_bytes": psutil.Process().memory_info().rss,
            "dfer_studies": len(folder.studies),
            **{f"dfer_films_{state}": count for state, count in request.app.state.films.counts().items()},
        }
        lines = [f"# TYPE {name} gauge\n{name} {value}\n" for name, value in numbers.items()]
        return Response("".join(lines), media_type="text/plain; version=0.0.4")


@cache
def _static() -> dict[str, bytes]:
    """Name -> bytes of the scripts and style sheets, and of the style sheet of the pages."""
    own = files("dfer.studio").joinpath("static")
    found = {entry.name: entry.read_bytes() for entry in own.iterdir() if entry.name.endswith(tuple(SCRIPTS))}
    found["page.css"] = style_sheet().encode()
    return found
