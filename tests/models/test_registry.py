"""Networks of one's own: what is built, what is refused, and that no card has anything run that was not allowed."""

from __future__ import annotations

import importlib.metadata
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from torch import nn

from dfer import DferError, EmotionSet, allow_models, create_model, list_models, load_checkpoint, register_model
from dfer.models import Card, name_model, registry, require_network, save_checkpoint
from dfer.video import Preprocessing

NET = """
    from pathlib import Path
    from torch import nn

    Path({mark!r}).touch()

    class Net(nn.Module):
        def __init__(self, emotions, width=4, in_channels=3, norm=nn.BatchNorm2d):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(in_channels, width, 3), nn.ReLU())
            self.head = nn.Linear(width, emotions)

        def forward(self, clips):
            return self.head(self.layers(clips.mean(2)).mean((2, 3)))

    class Inner:
        Net = Net

    number = 3
"""
THREE = EmotionSet("three", ("calm", "happy", "sad"))
SHOWN = Preprocessing(frames=4, size=8).to_dict()


@pytest.fixture(autouse=True)
def nobody_named_anything(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Consent and imports of one test do not reach the next."""
    monkeypatch.delenv("DFER_ALLOW", raising=False)
    monkeypatch.setattr(registry, "_NAMED", set())
    monkeypatch.setattr(registry, "_REGISTERED", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two modules; the file that one of them makes when it is imported."""
    mark = tmp_path / "imported"
    monkeypatch.chdir(tmp_path)
    source = dedent(NET.format(mark=str(mark)))
    Path("canary_net.py").write_text(source)
    Path("canary_pack").mkdir()
    Path("canary_pack/__init__.py").touch()
    Path("canary_pack/deep.py").write_text(source)
    return mark


def clips(channels: int = 3) -> torch.Tensor:
    return torch.rand(2, channels, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def checkpoint(folder: Path, name: str) -> Path:
    """A checkpoint of the network, as a stranger would send it: nothing of it was named in this process."""
    torch.manual_seed(0)
    save_checkpoint(folder, create_model(name, 3, width=5).eval(), Card(name, {"width": 5}, THREE, SHOWN))
    registry._NAMED.clear()
    return folder


@pytest.mark.parametrize("name", ["canary_net:Net", "canary_pack.deep:Net", "canary_net:Inner.Net"])
def test_a_class_in_a_file_of_the_working_folder_is_built_with_its_options(mark: Path, name: str) -> None:
    network = create_model(name, 3, in_channels=1, width=6)
    assert network(clips(1)).shape == (2, 3) and network.head.in_features == 6 and mark.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("canary_nett:Net", r"there is no module canary_nett; run dfer in the folder where it lies"),
        ("canary_pack.shallow:Net", r"there is no module canary_pack.shallow"),
        ("canary_net:Nett", r"canary_net.py has no 'Nett' \(did you mean 'Net'\?\)"),
        ("canary_net:number", r"expected a class or a function in .*canary_net.py, got int"),
        ("canary_net:", r"expected a module and a name in it, such as my_package.my_module:Net"),
        (":Net", r"expected a module and a name in it"),
        ("canary_net.py:Net", r"there is no module canary_net.py"),
        ("../canary_net:Net", r"expected a module and a name in it"),
        ("canary_net:Net()", r"expected a module and a name in it"),
        ("canary_net", r"no model 'canary_net'.*, your own as my_module:Net"),
    ],
)
def test_a_name_that_leads_nowhere_is_one_sentence(mark: Path, name: str, said: str) -> None:
    with pytest.raises(DferError, match=said) as caught:
        create_model(name, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nonexistent_package_of_mine", "ModuleNotFoundError: No module named 'nonexistent_package_of_mine'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def Net(:", "SyntaxError"),
        ("import sys\nsys.exit('usage: train me')", "SystemExit: usage: train me"),
        ("class Odd(BaseException): pass\nraise Odd('end')", "Odd: end"),
    ],
)
def test_a_module_that_fails_is_one_sentence(mark: Path, text: str, said: str) -> None:
    Path("canary_bad.py").write_text(text)
    with pytest.raises(DferError, match="the module canary_bad cannot be imported: ") as caught:
        create_model("canary_bad:Net", 3)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("def Net(emotions): return 3", {}, "expected a torch.nn.Module, got int"),
        ("def Net(*, emotions): return 3", {}, "expected the number of emotions as its first parameter"),
        ("def Net(): return 3", {}, "expected the number of emotions as its first parameter"),
        ("def Net(emotions, width): return 3", {}, "missing 1 required positional argument: 'width'"),
        ("def Net(emotions, width): return 3", {"wldth": 3}, "no option 'wldth' (did you mean 'width'?)"),
        ("def Net(emotions): raise KeyError('no such backbone')", {}, "KeyError: 'no such backbone'"),
        ("def Net(emotions): raise SystemExit('no weights here')", {}, "SystemExit: no weights here"),
        (
            "from torch import nn\ndef Net(emotions): return nn.LazyLinear(emotions)",
            {},
            "has lazy layers (weight, bias",
        ),
    ],
)
def test_what_cannot_be_built_is_one_sentence(mark: Path, text: str, options: dict[str, int], said: str) -> None:
    Path("canary_bad.py").write_text(text)
    with pytest.raises(DferError, match="canary_bad:Net") as caught:
        create_model("canary_bad:Net", 3, **options)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_options_are_passed_on_where_the_network_takes_any(mark: Path) -> None:
    Path("canary_any.py").write_text("from canary_net import Net\ndef build(n, **kwargs): return Net(n, **kwargs)\n")
    assert create_model("canary_any:build", 4, width=7).head.in_features == 7


# -- cards ----------------------------------------------------------------------------------------------------------


def test_a_card_has_no_module_imported_that_the_user_did_not_name(mark: Path, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", "canary_net:Net")
    sys.modules.pop("canary_net")
    mark.unlink()
    with pytest.raises(DferError, match=r"module canary_net would be run; .* --allow canary_net or set DFER_ALLOW="):
        load_checkpoint(folder)
    assert not mark.exists() and "canary_net" not in sys.modules


@pytest.mark.parametrize(
    "name", ["os:system", "subprocess:call", "builtins:exec", "canary_net:Net\x1b[2J", "a b:c", ":"]
)
def test_a_card_calls_nothing_even_of_modules_that_are_imported_already(mark: Path, tmp_path: Path, name: str) -> None:
    folder = checkpoint(tmp_path / "model", "canary_net:Net")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"model": name, "options": {}}))
    with pytest.raises(DferError, match="its card names the network") as caught:
        load_checkpoint(folder)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("allowed", "loads"),
    [
        ("canary_pack.deep", True), ("canary_pack", True), ("canary_pack.deep:Net", True),
        ("other, canary_pack.deep", True), ("canary_pack.dee", False), ("canary", False), ("deep", False), ("*", False),
        ("canary_pack.deep:Other", False), ("", False), (" , ", False),
    ],
)  # fmt: skip
def test_the_environment_allows_modules_and_what_is_below_them(
    mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str, loads: bool
) -> None:
    folder = checkpoint(tmp_path / "model", "canary_pack.deep:Net")
    monkeypatch.setenv("DFER_ALLOW", allowed)
    if loads:
        network, card = load_checkpoint(folder)
        assert card.options == {"width": 5}, "a default that no JSON holds, such as a class, is not in the card"
        torch.manual_seed(0)
        assert torch.equal(network(clips()), create_model("canary_pack.deep:Net", 3, width=5).eval()(clips()))
    else:
        with pytest.raises(DferError, match=r"--allow canary_pack\.deep"):
            load_checkpoint(folder)


def test_naming_a_network_or_allowing_its_module_is_consent(mark: Path, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", "canary_net:Net")
    name_model("canary_net:Net")
    load_checkpoint(folder)
    registry._NAMED.clear()
    allow_models("canary_net")
    load_checkpoint(folder)


def test_a_module_that_is_gone_is_one_sentence(mark: Path, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", "canary_net:Net")
    allow_models("canary_net")
    sys.modules.pop("canary_net")
    Path("canary_net.py").unlink()
    with pytest.raises(DferError, match=r"model: its card.json asks for what cannot be built: .*no module canary_net"):
        load_checkpoint(folder)


def test_a_network_that_has_changed_since_is_one_sentence(mark: Path, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "model", "canary_net:Net")
    allow_models("canary_net")
    sys.modules.pop("canary_net")
    source = Path("canary_net.py").read_text()
    Path("canary_net.py").write_text(
        source.replace("self.head", "self.final")
    )  # longer: Python tells sources of one second by their size
    with pytest.raises(DferError, match=r"missing: final.weight, final.bias; unknown: head.bias, head.weight"):
        load_checkpoint(folder)


def test_the_working_folder_comes_last_so_that_its_files_hide_no_installed_module(mark: Path) -> None:
    Path("torch").mkdir()
    Path("json.py").write_text("raise SystemExit('the wrong json')")
    create_model("canary_net:Net", 3)
    assert sys.path.index(str(Path.cwd())) == len(sys.path) - 1


# -- registered networks and entry points ---------------------------------------------------------------------------


def test_a_registered_network_is_known_built_saved_and_loaded(tmp_path: Path) -> None:
    register_model(
        "mean colour", lambda emotions, in_channels=3: nn.Sequential(Mean(), nn.Linear(in_channels, emotions))
    )
    assert "mean colour" in list_models()
    network = create_model("mean colour", 3)
    save_checkpoint(tmp_path, network, Card("mean colour", {}, THREE, SHOWN))
    again, card = load_checkpoint(tmp_path)
    assert torch.equal(again(clips()), network(clips())) and card.model == "mean colour"
    registry._REGISTERED.clear()
    with pytest.raises(DferError, match="no model 'mean colour'"):
        load_checkpoint(tmp_path)


def test_a_network_of_dfer_is_not_replaced() -> None:
    with pytest.raises(DferError, match="dfer has a network called 'tiny3d' already"):
        register_model("tiny3d", nn.Linear)


def test_an_installed_package_offers_networks_by_an_entry_point(
    mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "canary_pack-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: canary-pack\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[dfer.models]\ndeep = canary_pack.deep:Net\ntiny3d = canary_net:Net\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert {entry.name for entry in importlib.metadata.entry_points(group="dfer.models")} >= {"deep"}
    assert "deep" in list_models() and not mark.exists(), "listing imports nothing"
    assert create_model("deep", 3, width=6).head.in_features == 6
    assert type(create_model("tiny3d", 3)).__name__ == "Tiny3d"
    folder = checkpoint(tmp_path / "model", "deep")
    load_checkpoint(folder)


# -- the contract ---------------------------------------------------------------------------------------------------


class Mean(nn.Module):
    """The mean over time and space."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips.mean((2, 3, 4))


class Answer(nn.Module):
    """A network whose answer is made by a function of right logits."""

    def __init__(self, change: object) -> None:
        super().__init__()
        self.mean, self.head, self.norm, self.change = Mean(), nn.Linear(3, 5), nn.BatchNorm1d(5), change

    def forward(self, clips: torch.Tensor) -> object:
        return self.change(self, self.norm(self.head(self.mean(clips))))  # type: ignore[operator]


def spoiled(logits: torch.Tensor) -> torch.Tensor:
    """Logits times their exponential, which is changed after it was used."""
    power = logits.exp()
    product = logits * power
    power.zero_()
    return product


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _, logits: logits[:, :4], r"expected logits \(2, 5\).*got \(2, 4\)"),
        (lambda _, logits: logits.squeeze(), r"expected logits \(1, 5\).*got \(5,\)"),
        (lambda _, logits: logits.argmax(1), r"got \(2,\) of int64"),
        (lambda _, logits: logits.argsort(1), r"got \(2, 5\) of int64"),
        (lambda _, logits: logits / 0, "are not finite"),
        (lambda _, logits: (logits, logits), "got tuple"),
        (lambda self, logits: {"aux": logits} if self.training else logits, "got dict"),
        (lambda self, logits: logits if self.training else logits[None], r"expected logits \(1, 5\)"),
        (lambda _, logits: logits @ torch.zeros(7, 7), "fails on clips .*RuntimeError: mat1 and mat2.*--debug shows"),
        (lambda _, logits: logits.missing, "AttributeError.*; --debug shows where"),
        (lambda *_: sys.exit(4), "SystemExit: 4; --debug shows where"),
        (lambda _, logits: logits.detach(), r"have no gradient; leave detach\(\)"),
        (lambda _, logits: spoiled(logits), "gradients of its logits cannot be computed: RuntimeError: .*inplace"),
    ],
)
def test_a_network_that_does_not_answer_as_it_must_is_one_sentence(change: object, said: str) -> None:
    with pytest.raises(DferError, match=said) as caught:
        require_network(Answer(change), "mine", clip=(3, 4, 8, 8), emotions=5)
    assert "\n" not in str(caught.value) and "mine" in str(caught.value)


def test_trying_a_network_leaves_no_trace() -> None:
    network = Answer(lambda _, logits: nn.functional.dropout(logits, 0.5))
    network.norm.eval()
    before, state = {key: value.clone() for key, value in network.state_dict().items()}, torch.get_rng_state()
    require_network(network, "mine", clip=(3, 4, 8, 8), emotions=5)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state) and network.training and not network.norm.training


def test_a_signal_that_ends_the_process_is_no_error_of_the_network() -> None:
    with pytest.raises(SystemExit, match="143"), registry.foreign_code("mine"):
        sys.exit(128 + signal.SIGTERM)


def test_a_network_whose_weights_are_all_kept_is_refused() -> None:
    network = Answer(lambda _, logits: logits).requires_grad_(False)
    with pytest.raises(DferError, match="keeps all its weights from being trained"):
        require_network(network, "mine", clip=(3, 4, 8, 8), emotions=5)


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(DferError, match="has no weights"):
        require_network(Mean(), "mine", clip=(3, 4, 8, 8), emotions=3)
