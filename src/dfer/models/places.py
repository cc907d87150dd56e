"""Where the checkpoint of a model lies: by the name of one that comes with dfer, a folder, or a name of the Hub."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from dfer.errors import DferError, listed, not_known
from dfer.models.hub import hub_folder, is_hub_name

SHIPPED = {"default": "faces", "faces": "faces"}
"""Models that come with dfer: name -> folder in dfer/models/shipped."""
CARD = "card.json"
CHECKPOINT = (CARD, "model.safetensors")
"""The files of a checkpoint."""


def model_folder(model: str | Path) -> Path:
    """The folder of a checkpoint.

    Args:
        model: the name of one that comes with dfer, such as "faces"; the folder of a checkpoint; that of a run of
            `dfer train` with one model in it; or a name of the Hugging Face Hub, `owner/name`, in the local cache.

    Raises:
        DferError: neither is there, or the run has several folds.
    """
    shipped = SHIPPED.get(str(model))
    folder = Path(str(files("dfer.models"))) / "shipped" / shipped if shipped else Path(model)
    if shipped and not folder.exists():
        raise DferError(f"the model {model} does not come with this installation; give the folder of a checkpoint")
    if not folder.exists():
        folder = _in_cache(str(model))
    if (folder / CARD).is_file():
        return folder
    if (folder / "model" / CARD).is_file():
        return folder / "model"
    folds = sorted(path.parent.parent for path in folder.glob(f"*/model/{CARD}"))
    if len(folds) > 1:
        raise DferError(f"{folder} is a run with a model for each of {len(folds)} folds; name one of {listed(folds)}")
    return folds[0] / "model" if folds else folder


def _in_cache(model: str) -> Path:
    """The folder of a name of the Hub in the local cache: nothing is asked of the network."""
    if not is_hub_name(model):
        raise not_known("no model", model, [*SHIPPED, "the folder of a checkpoint"])
    try:
        return hub_folder(model, CHECKPOINT)
    except DferError as error:
        raise DferError(
            f"there is no folder {model}; expected default, the folder of a checkpoint, or a name of the Hugging Face "
            f"Hub that is in the local cache: if {model} is one, `hf download {model}` puts it there (pip install "
            "'dfer[hub]')"
        ) from error
