"""Where the checkpoint of a model lies: by the name of one that comes with dfer, or by its folder."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from dfer.errors import DferError, listed, not_known

SHIPPED = {"default": "faces", "faces": "faces"}
"""Models that come with dfer: name -> folder in dfer/models/shipped."""
CARD = "card.json"


def model_folder(model: str | Path) -> Path:
    """The folder of a checkpoint.

    Args:
        model: the name of one that comes with dfer, such as "faces"; the folder of a checkpoint; or that of a run of
            `dfer train` with one model in it.

    Raises:
        DferError: neither is there, or the run has several folds.
    """
    shipped = SHIPPED.get(str(model))
    folder = Path(str(files("dfer.models"))) / "shipped" / shipped if shipped else Path(model)
    if shipped and not folder.exists():
        raise DferError(f"the model {model} does not come with this installation; give the folder of a checkpoint")
    if not folder.exists():
        raise not_known("no model", model, [*SHIPPED, "the folder of a checkpoint"])
    if (folder / CARD).is_file():
        return folder
    if (folder / "model" / CARD).is_file():
        return folder / "model"
    folds = sorted(path.parent.parent for path in folder.glob(f"*/model/{CARD}"))
    if len(folds) > 1:
        raise DferError(f"{folder} is a run with a model for each of {len(folds)} folds; name one of {listed(folds)}")
    return folds[0] / "model" if folds else folder
