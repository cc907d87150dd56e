"""Work on a cluster instead of this machine's processes, by Ray (extra `ray`).

Within the block of `on_cluster` every `dfer.processes.worker_pool` hands its calls to Ray. The machines need the same
dfer and a file system that all of them share: files are read and written by the paths that this machine has for them.
Ray repeats the calls of a worker that was killed. Results are files that are written in one go, and what is finished is
not done again, so that nothing is lost or done twice.

    >>> with on_cluster("10.0.0.1:6379"):                            # doctest: +SKIP
    ...     pack(manifest, folder, size=112)
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

from dfer.errors import DferError, shortened
from dfer.files import search_anew
from dfer.processes import GRACE_S, begin_work, pools_by
from dfer.version import __version__

logger = logging.getLogger(__name__)

LOCAL, RUNNING = "local", "auto"
"""Addresses: a cluster of this machine's cores that ends with the block, and the one that this machine belongs to."""
STORE = 256 * 2**20
"""Bytes of memory for what calls give back, in a cluster that is started here; all of it is small."""
RETRIES = 5
"""How often a call is repeated whose worker died."""
ANSWERS_S = 10.0
"""In which the head of a cluster must answer."""
Given = ParamSpec("Given")
Result = TypeVar("Result")


class Place(NamedTuple):
    """Where the calls come from: what a worker must have, too."""

    version: str
    folder: str


class Outcome(NamedTuple):
    """What became of a call: its result, or an error and where it was raised."""

    result: Any = None
    error: Exception | None = None
    trace: str = ""


class RayPool(Executor):
    """Calls functions on the cluster; what is not done is dropped when the block of the pool fails.

    Args:
        gpu: whether a call takes a GPU, where the cluster has some.
    """

    def __init__(self, *, gpu: bool = False) -> None:
        import ray

        self._ray = ray
        gpus = int(gpu and ray.cluster_resources().get("GPU", 0) >= 1)
        self._task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(_work)
        self._open: dict[Future[Any], Any] = {}

    def submit(self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        """As that of any executor."""
        call = self._ray.cloudpickle.dumps((fn, args, kwargs))
        reference = self._task.remote(Place(__version__, str(Path.cwd())), call)
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        self._open[future] = reference
        reference.future().add_done_callback(partial(self._hand_on, future))
        return future

    def _hand_on(self, future: Future[Any], answered: Future[Outcome]) -> None:
        self._open.pop(future, None)  # Ray may free the result
        fault = answered.exception()
        outcome = Outcome(error=_of_cluster(fault)) if fault else answered.result()
        if outcome.error is None:
            future.set_result(outcome.result)
            return
        if outcome.trace:
            outcome.error.__cause__ = RuntimeError(outcome.trace)
        future.set_exception(outcome.error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As that of any executor."""
        still = list(self._open.values())
        if cancel_futures:
            for reference in still:
                self._ray.cancel(reference)  # as Ctrl-C: unfinished files are removed
        if wait and still:
            self._ray.wait(still, num_returns=len(still), timeout=GRACE_S if cancel_futures else None)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.shutdown(cancel_futures=kind is not None)


@contextlib.contextmanager
def on_cluster(address: str | None, *, workers: int | None = None) -> Iterator[None]:
    """Within the block, `worker_pool` hands work to a cluster.

    A program that called `ray.init` itself stays connected as it is.

    Args:
        address: HOST:PORT of the head; "auto" for the cluster that this machine belongs to; "local" for one of its own
            cores; None changes nothing.
        workers: cores of a "local" one; None: all.

    Raises:
        DferError: Ray is not installed, no cluster is there, or it is one of another Python or Ray.
    """
    if address is None:
        yield
        return
    if workers and address != LOCAL:
        raise DferError(f"the cluster of --ray {address} has workers of its own; leave --workers {workers} out")
    if connected := _is_connected():
        logger.info("this program is connected to a cluster already, which is used instead of %s", address)
    else:
        _connect(address, workers)
    try:
        with pools_by(RayPool):
            yield
    finally:
        if not connected:
            import ray

            ray.shutdown()


def _is_connected() -> bool:
    ray = sys.modules.get("ray")  # None also where its import is blocked
    return ray is not None and bool(ray.is_initialized())


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("ray") is not None
    except ValueError:  # its import is blocked
        return False


def _connect(address: str, workers: int | None) -> None:
    if not _is_installed():
        raise DferError("--ray needs the package ray: pip install 'dfer[ray]', on every machine of the cluster")
    head = re.fullmatch(r"([^\s/:]+):([0-9]{1,5})", address)
    if head:
        _require_answer(head[1], int(head[2]))
    elif address not in (LOCAL, RUNNING):
        raise DferError(
            f"expected --ray {LOCAL}, {RUNNING} or HOST:PORT of the cluster's head, such as 10.0.0.1:6379, "
            f"got {shortened(address)!r}"
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers
    import ray

    own = {"num_cpus": workers, "object_store_memory": STORE, "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, logging_level="error", **own)
    except Exception as error:
        told = shortened(" ".join(str(error).split()), 200)
        raise DferError(
            f"no cluster can be used at --ray {address}: {told}; start one with `ray start`, of the same Ray and "
            "Python and with the same RAY_AUTH_MODE and token on all machines"
        ) from error


def _require_answer(host: str, port: int) -> None:
    """Ray would look for the head for a minute."""
    try:
        socket.create_connection((host, port), timeout=ANSWERS_S).close()
    except (OSError, OverflowError) as error:
        raise DferError(
            f"no cluster answers at --ray {host}:{port} ({error}); start one with `ray start --head --port {port}`"
        ) from error


def _of_cluster(fault: BaseException) -> DferError:
    """What Ray says of a call that came to no end, as one sentence."""
    told = str(fault)
    if "No module named 'dfer" in told:
        return DferError(f"a worker of the cluster has no dfer {__version__}; install it there, with the extra ray")
    if type(fault).__name__ == "OutOfMemoryError":
        return DferError("a machine of the cluster has too little memory; give it fewer CPUs: `ray start --num-cpus`")
    if type(fault).__name__ in ("WorkerCrashedError", "NodeDiedError", "LocalRayletDiedError"):
        return DferError(f"a worker of the cluster died {RETRIES + 1} times at the same work; run the command again")
    return DferError(f"the cluster failed: {shortened(' '.join(told.split()), 300)}; run the command again")


def _work(place: Place, call: bytes) -> Outcome:
    """In a worker of the cluster: what a pool was given to do."""
    try:
        return Outcome(_called(Place(*place), call))
    except Exception as error:
        return Outcome(error=error, trace=traceback.format_exc())


def _called(place: Place, call: bytes) -> Any:
    if place.version != __version__:
        raise DferError(
            f"a worker of the cluster ({socket.gethostname()}) has dfer {__version__}, this machine {place.version}; "
            "install the same on both"
        )
    try:
        os.chdir(place.folder)
    except OSError as error:
        raise DferError(
            f"a worker of the cluster ({socket.gethostname()}) does not see {place.folder}: {error.strerror}; run the "
            "command in a folder that all machines share"
        ) from error
    _begin_once()
    if _repeated():
        search_anew()
    from ray import cloudpickle

    function, given, named = cloudpickle.loads(call)
    return function(*given, **named)


def _repeated() -> bool:
    """Whether a worker that was killed had begun this call; also where Ray does not tell any more."""
    with contextlib.suppress(ImportError, AttributeError):
        from ray._private.worker import global_worker

        return bool(global_worker.core_worker.get_current_task_attempt_number())
    return True


@cache
def _begin_once() -> None:
    begin_work()
