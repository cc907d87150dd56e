"""Folders and names of the Hugging Face Hub. Nothing is downloaded unless it is asked for; needs the extra `hub`."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from dfer.errors import DferError, shortened

NAME = re.compile(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}", re.ASCII)
"""An owner and a name, as the Hub has them."""


def library(name: str, told: str) -> Any:
    """A library of the extra `hub`, imported when it is needed.

    Args:
        name: `transformers` or `huggingface_hub`.
        told: what needs it, for the message.

    Raises:
        DferError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DferError(f"{told} needs {name}: pip install 'dfer[hub]'") from error


def is_hub_name(place: str | Path) -> bool:
    """Whether a place has the form of a name on the Hub, such as `owner/name`, and is no folder here."""
    return NAME.fullmatch(Path(place).as_posix()) is not None and not Path(place).exists()


def hub_folder(name: str, files: tuple[str, ...], *, download: bool = False) -> Path:
    """The folder in which the files of a repository of the Hub lie on this machine.

    Args:
        name: `owner/name`.
        files: patterns of those that are wanted.
        download: fetch what is lacking, over the network.

    Raises:
        DferError: the extra `hub` is not installed, or the files are not in the cache and cannot be fetched.
    """
    hub = library("huggingface_hub", f"{name}, a name on the Hugging Face Hub,")
    try:
        return Path(hub.snapshot_download(name, allow_patterns=list(files), local_files_only=not download))
    except Exception as error:  # no network, no such repository, no right to read it, a full disk
        if not download:
            raise DferError(
                f"{name} is no folder here, and not in the local cache of the Hugging Face Hub; fetch it once with "
                f"`hf download {name}`, or give a folder"
            ) from error
        reason = shortened(" ".join(str(error).split()), 200)
        raise DferError(f"{name} cannot be fetched from the Hugging Face Hub: {reason}; give a folder") from error
