"""Models on the Hugging Face Hub, in the format of our checkpoints: `card.json` and `model.safetensors`.

    save_pretrained("folder", network, card)                  # a folder
    save_pretrained("owner/name", network, card, push=True)   # a repository of the Hub
    network, card = from_pretrained("owner/name", download=True)

What was downloaded once is found by its name from then on, without a network: by `load_checkpoint`, `dfer predict
--model owner/name` and `dfer train --init owner/name`.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from dfer.errors import DferError, shortened
from dfer.models.checkpoint import Card, load_checkpoint, save_checkpoint
from dfer.models.hub import hub_folder, is_hub_name, library
from dfer.models.places import CHECKPOINT

HEAD = "---\nlibrary_name: dfer"
"""How our pages begin."""


def from_pretrained(place: str | Path, *, download: bool = False) -> tuple[nn.Module, Card]:
    """Rebuild the network of a checkpoint, as `load_checkpoint` does.

    Args:
        place: what `load_checkpoint` takes: a folder, "faces", or a name of the Hub, `owner/name`, in the local cache.
        download: fetch a name of the Hub first, over the network.

    Raises:
        DferError: as `load_checkpoint`; or a name that cannot be fetched.
    """
    if download and is_hub_name(place):
        hub_folder(str(place), CHECKPOINT, download=True)
    return load_checkpoint(place)


def save_pretrained(place: str | Path, network: nn.Module, card: Card, *, push: bool = False) -> None:
    """Write a checkpoint with a page that says what it is.

    Args:
        place: a folder, in which a README.md that dfer did not write stays as it is; with `push` the name of a
            repository of the Hub, `owner/name`, which is made, as a private one, if there is none.
        network: with trained weights.
        card: what is known of it.
        push: send it to the Hub, over the network, with the rights that `hf auth login` gave.

    Raises:
        DferError: as `save_checkpoint`; no name of the Hub, or it cannot be sent.
    """
    if not push:
        save_checkpoint(place, network, card)
        page = Path(place) / "README.md"
        if not page.exists() or page.read_text(encoding="utf-8", errors="replace").startswith(HEAD):
            page.write_text(_page(card, f'dfer.from_pretrained("{page.resolve().parent.name}")'), encoding="utf-8")
        return
    if not is_hub_name(place):
        raise DferError(f"expected a name of the Hugging Face Hub, such as owner/name, got {shortened(str(place))}")
    hub = library("huggingface_hub", "sending a model to the Hugging Face Hub")
    with TemporaryDirectory() as folder:
        save_checkpoint(folder, network, card)
        told = _page(card, f'dfer.from_pretrained("{Path(place).as_posix()}", download=True)')
        (Path(folder) / "README.md").write_text(told, encoding="utf-8")
        try:
            hub.create_repo(str(place), private=True, exist_ok=True)
            hub.upload_folder(repo_id=str(place), folder_path=folder, commit_message=f"dfer {card.version}")
        except Exception as error:  # no network, no right to write there, no such owner
            reason = shortened(" ".join(str(error).split()), 200)
            raise DferError(
                f"{place} cannot be sent to the Hugging Face Hub: {reason}; check `hf auth whoami`"
            ) from error


def _page(card: Card, loading: str) -> str:
    """The page of a model: what the Hub wants to know, and the call that loads it."""
    shown = card.preprocessing
    clips = (
        f"{shown['frames']} frames of {shown['size']} x {shown['size']} pixels, {'grey' if shown['grey'] else 'RGB'}"
    )
    return f"""{HEAD}
pipeline_tag: video-classification
---
A `{card.model}` of dfer {card.version} for {", ".join(card.emotions)} ({card.emotions.name}).

It takes clips of {clips}. `card.json` says what it was trained on and what it scored.

```python
import dfer

network, card = {loading}
```
"""
