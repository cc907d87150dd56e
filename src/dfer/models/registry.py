"""Networks by name: those of dfer, those of installed packages, and one's own as `my_package.my_module:Net`.

Importing a module runs it. A module is therefore imported only where the user has named it: in a recipe, in a call of
`create_model`, with `--allow`, or in the environment variable `DFER_ALLOW`. The card of a checkpoint is not the user:
a card that names a module that nobody allowed is refused, see `require_allowed`.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from torch import nn

from dfer.errors import DferError, not_known, shortened
from dfer.models.former_dfer import FormerDfer
from dfer.models.frame_encoder import FrameEncoder
from dfer.models.frame_gru import FrameGru
from dfer.models.frame_transformer import FrameTransformer
from dfer.models.frame_vit import FrameVit
from dfer.models.hub_frames import HubFrames
from dfer.models.m3dfel import M3dfel
from dfer.models.mae_dfer import MaeDfer
from dfer.models.resnet18_lstm import Resnet18Lstm
from dfer.models.tiny3d import Tiny3d
from dfer.models.video_resnet import mc3_18, r2plus1d_18, r3d18
from dfer.models.videomae import VideoMae
from dfer.processes import ENDING

Builder = Callable[..., nn.Module]
"""Called with K, the number of emotions, and then options by name; `in_channels` only if it has such a parameter."""

BUILT_IN: dict[str, Builder] = {
    "former_dfer": FormerDfer,
    "frame_encoder": FrameEncoder,
    "frame_gru": FrameGru,
    "frame_transformer": FrameTransformer,
    "frame_vit": FrameVit,
    "hub_frames": HubFrames,
    "m3dfel": M3dfel,
    "mae_dfer": MaeDfer,
    "mc3_18": mc3_18,
    "r2plus1d_18": r2plus1d_18,
    "r3d18": r3d18,
    "resnet18_lstm": Resnet18Lstm,
    "tiny3d": Tiny3d,
    "videomae": VideoMae,
}
GROUP = "dfer.models"
"""The entry points by which an installed package offers networks: name -> class or function."""
ALLOWED = "DFER_ALLOW"
"""The environment variable with the modules that the card of a checkpoint may name, separated by commas."""

_REGISTERED: dict[str, Builder] = {}
_NAMED: set[str] = set()
_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def register_model(name: str, builder: Builder) -> None:
    """Make a network known by a name, in this process.

    Args:
        name: for `model.name` of a recipe and for cards.
        builder: a class or a function, called as `builder(emotions, **options)`; it has `in_channels` among its
            parameters if it wants to know the number of channels (1 for grey clips, else 3).

    Raises:
        DferError: dfer has a network of that name.

    Example:
        register_model("pixels", lambda emotions: nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 32 * 32, emotions)))
    """
    if name in BUILT_IN:
        raise DferError(f"dfer has a network called '{name}' already; register yours under another name")
    _REGISTERED[name] = builder


def names() -> list[str]:
    """The networks of dfer, those registered in this process and those of installed packages."""
    return sorted({*BUILT_IN, *_REGISTERED, *_offered()})


def builder_of(name: str) -> Builder:
    """The class or function behind a name; a name such as `my_module:Net` has that module imported.

    Raises:
        DferError: no such network, the nearest is named; or a module that cannot be imported.
    """
    if name in BUILT_IN or name in _REGISTERED:
        return BUILT_IN.get(name) or _REGISTERED[name]
    if offered := _offered().get(name):
        return _imported(offered.value, f"model {name}, an entry point")
    if ":" in name:
        return _imported(name, f"model {shortened(name)}")
    raise not_known("no model", name, [*names(), "your own as my_module:Net"])


def allow_models(*modules: str) -> None:
    """Let cards name networks of these modules, in this process and in those that it starts.

    Args:
        *modules: such as `my_package.my_module`, with all modules below it; or `my_module:Net`, which allows no other.
    """
    os.environ[ALLOWED] = ",".join([*_allowed(), *modules])


def name_model(name: str) -> None:
    """Remember that the user has named a network, so that this process may load checkpoints of it."""
    _NAMED.add(name)


def require_allowed(name: str, source: object) -> None:
    """Refuse a card that would have a module imported which the user has not named.

    Args:
        name: of the network, as the card has it.
        source: the checkpoint, for the message.

    Raises:
        DferError: says how to allow it.
    """
    if ":" not in name or name in _NAMED or name in _REGISTERED:
        return
    module = name.partition(":")[0]
    if any(entry in (name, module) or module.startswith(f"{entry}.") for entry in _allowed()):
        return
    if not _PATH.fullmatch(name):
        raise DferError(f"{source}: its card names the network {_shown(name)}; expected a name such as my_module:Net")
    raise DferError(
        f"{source}: its card names the network {_shown(name)}, and to build it the module {_shown(module)} would be "
        f"run; if you trust it, add --allow {_shown(module)} or set {ALLOWED}={_shown(module)}"
    )


def _allowed() -> list[str]:
    return re.split(r"[,\s]+", os.environ[ALLOWED].strip(", ")) if os.environ.get(ALLOWED) else []


def _shown(name: str) -> str:
    return shortened(name if name.isprintable() else repr(name))


def _offered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _imported(path: str, told: str) -> Builder:
    """What `module:name` leads to. The working folder is the last place that is looked in, as `python -m` looks there.

    It stays on the path: a network may import more of its files later.
    """
    if not _PATH.fullmatch(path):
        raise DferError(f"{told}: expected a module and a name in it, such as my_package.my_module:Net")
    module_name, _, attributes = path.partition(":")
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.append(str(Path.cwd()))
    importlib.invalidate_caches()
    with foreign_code(f"{told}: the module {module_name} cannot be imported"):
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if not (error.name and f"{module_name}.".startswith(f"{error.name}.")):
                raise
            raise DferError(
                f"{told}: there is no module {error.name}; run dfer in the folder where it lies, or install it"
            ) from error
    place = getattr(found, "__file__", None) or module_name
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            known = [each for each in dir(found) if not each.startswith("_")]
            raise not_known(f"{told}: {place} has no", attribute, known)
        found = getattr(found, attribute)
    if not callable(found):
        raise DferError(f"{told}: expected a class or a function in {place}, got {type(found).__name__}")
    return found  # type: ignore[no-any-return]


@contextmanager
def foreign_code(told: str, advice: str = "") -> Iterator[None]:
    """Within, code of somebody else runs: whatever it raises is one sentence, and `sys.exit` ends nothing.

    Raises:
        DferError: `told`, the error and the advice.
    """
    try:
        yield
    except (DferError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if isinstance(error, SystemExit) and error.code in [128 + number for number in ENDING]:
            raise  # a signal asks this process to end
        raise DferError(f"{told}: {reason(error)}{advice}") from error


def reason(error: BaseException) -> str:
    """An error of somebody else's code in a line: its kind and its first words."""
    return shortened(f"{type(error).__name__}: {' '.join(str(error).split())}", 300)
