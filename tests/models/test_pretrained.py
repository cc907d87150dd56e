"""Models by a name of the Hub: a real cache of huggingface_hub on disk, and no network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dfer import DferError, EmotionSet, create_model, from_pretrained, load_checkpoint, save_pretrained
from dfer.models import Card, model_folder
from dfer.models.transfer import read_source
from dfer.video import Preprocessing

hub = pytest.importorskip(
    "huggingface_hub", reason="the Hub's names are read by huggingface_hub, which is not installed"
)

TWO = EmotionSet("two", ("yes", "no"))
SHOWN = Preprocessing(frames=2, size=16)
CARD = Card("tiny3d", {"width": 4}, TWO, SHOWN.to_dict())


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("the network was asked"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, as huggingface_hub lays it out."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def network() -> nn.Module:
    torch.manual_seed(0)
    return create_model("tiny3d", 2, width=4).eval()


def cached(cache: Path, name: str) -> nn.Module:
    """A model in the cache under a name."""
    revision, place = "a" * 40, cache / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(revision)
    made = network()
    save_pretrained(place / "snapshots" / revision, made, CARD)
    return made


def same(first: nn.Module, second: nn.Module) -> bool:
    theirs = second.state_dict()
    return all(torch.equal(value, theirs[key]) for key, value in first.state_dict().items())


def test_a_folder_holds_a_checkpoint_and_a_page(tmp_path: Path) -> None:
    made = network()
    save_pretrained(tmp_path / "model", made, CARD)
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"README.md", "card.json", "model.safetensors"}
    read, card = from_pretrained(tmp_path / "model")
    assert same(read, made) and card.emotions == TWO and same(load_checkpoint(tmp_path / "model")[0], made)
    page = (tmp_path / "model" / "README.md").read_text()
    assert (
        page.startswith("---\nlibrary_name: dfer\n")
        and "`tiny3d`" in page
        and "2 frames of 16 x 16 pixels, RGB" in page
        and 'dfer.from_pretrained("model")' in page
    )


def test_a_page_of_ones_own_stays_as_it_is_and_ours_is_written_anew(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("my notes")
    save_pretrained(tmp_path, network(), CARD)
    assert page.read_text() == "my notes" and (tmp_path / "card.json").is_file()
    page.write_text("---\nlibrary_name: dfer\n---\nof an earlier model")
    save_pretrained(tmp_path, network(), CARD)
    assert "`tiny3d`" in page.read_text()


def test_a_network_that_its_card_does_not_describe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DferError, match="the network fails on a clip such as its card describes: RuntimeError"):
        save_pretrained(tmp_path / "model", nn.Linear(2, 2), CARD)
    assert not (tmp_path / "model" / "card.json").exists()


def test_a_name_in_the_cache_is_a_model_everywhere(cache: Path) -> None:
    made = cached(cache, "owner/name")
    assert same(from_pretrained("owner/name")[0], made) and same(load_checkpoint("owner/name")[0], made)
    assert model_folder(Path("owner/name")).is_relative_to(cache)
    assert read_source("owner/name").card is not None


@pytest.mark.parametrize("name", ["nobody/nothing", "runs/my_recipe"])
def test_a_name_that_is_not_there_is_one_sentence_without_a_network(cache: Path, name: str) -> None:
    for read in (from_pretrained, load_checkpoint, read_source):
        with pytest.raises(DferError, match=rf"there is no folder {name}; expected .*`hf download {name}`") as caught:
            read(name)
        assert "\n" not in str(caught.value)


def test_no_network_is_one_sentence_where_a_download_is_asked_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **options: Any) -> str:
        assert options["local_files_only"] is False
        raise OSError("Temporary failure in name resolution\nand more")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(
        DferError, match="nobody/nothing cannot be fetched from the Hugging Face Hub: Temporary"
    ) as caught:
        from_pretrained("nobody/nothing", download=True)
    assert "\n" not in str(caught.value)


def test_a_model_of_another_library_in_the_cache_is_refused(cache: Path) -> None:
    cached(cache, "owner/vit")
    (snapshot,) = (cache / "models--owner--vit" / "snapshots").iterdir()
    (snapshot / "card.json").unlink()
    (snapshot / "config.json").write_text("{}")
    with pytest.raises(DferError, match="is not a checkpoint of dfer"):
        from_pretrained("owner/vit")


def test_what_is_sent_is_the_checkpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(hub, "create_repo", lambda name, **options: told.update(options, name=name))
    monkeypatch.setattr(
        hub, "upload_folder", lambda repo_id, folder_path, **_: shutil.copytree(folder_path, tmp_path / repo_id)
    )
    save_pretrained("owner/name", made := network(), CARD, push=True)
    assert told == {"name": "owner/name", "private": True, "exist_ok": True}
    assert same(load_checkpoint(tmp_path / "owner/name")[0], made)


def test_what_cannot_be_sent_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise RuntimeError("401 Client Error\nInvalid token")

    monkeypatch.setattr(hub, "create_repo", refused)
    with pytest.raises(DferError, match=r"cannot be sent to the Hugging Face Hub: 401 Client Error Invalid token"):
        save_pretrained("owner/name", network(), CARD, push=True)
    with pytest.raises(DferError, match=r"expected a name of the Hugging Face Hub, such as owner/name, got /tmp"):
        save_pretrained("/tmp", network(), CARD, push=True)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("dfer.models.hub.importlib.import_module", lacking)
    with pytest.raises(DferError, match=r"needs huggingface_hub: pip install 'dfer\[hub\]'"):
        save_pretrained("owner/name", network(), CARD, push=True)
    with pytest.raises(DferError, match=r"there is no folder nobody/nothing; .*pip install 'dfer\[hub\]'"):
        load_checkpoint("nobody/nothing")
