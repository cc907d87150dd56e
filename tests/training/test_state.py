"""The state of an unfinished run: comes back bit for bit, or is refused in one sentence."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from dfer import DferError
from dfer.training.state import Place, load_state, save_state

from .full_disk import full_disk


def made(name: str, *, steps: int, width: int = 4) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network and an optimiser that has taken some steps."""
    torch.manual_seed(steps)
    network = nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(9 * width, 3))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer: torch.optim.Optimizer
    if name == "sgd":
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    else:
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    for _ in range(steps):
        step(network, optimizer)
    return network, optimizer


def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    network(torch.linspace(0, 1, 50).view(2, 1, 5, 5)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_what_was_saved_goes_on_as_if_nothing_had_happened(tmp_path: Path, name: str) -> None:
    network, optimizer = made(name, steps=3)
    place = Place("clips", step=3, loss=0.1 + 0.2, clips=5, seconds=1.5, row={"epoch": 1, "lr": 1e-3, "val_kl": None})
    save_state(tmp_path / "state.safetensors", place, optimizer=optimizer, modules={"model": network})
    other, fresh = made(name, steps=0)
    read = load_state(tmp_path / "state.safetensors", optimizer=fresh, modules={"model": other})
    assert read == place
    for pair in ((network, optimizer), (other, fresh)):
        step(*pair)
        step(*pair)
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    )


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 10**18), NUMBERS, NUMBERS | st.none())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_place_reads_back_the_same(
    tmp_path: Path, data: str, number: int, score: float, best: float | None
) -> None:
    network, optimizer = made("sgd", steps=1)
    row = {"epoch": number, "lr": score, "val_kl": best}
    place = Place(data, number, score, number, abs(score), best, number, row)
    save_state(tmp_path / "state.safetensors", place, optimizer=optimizer, modules={"model": network})
    assert load_state(tmp_path / "state.safetensors", optimizer=optimizer, modules={"model": network}) == place


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def damaged(whole: bytes, how: str) -> bytes:
    if how == "cut in the middle":
        return whole[: len(whole) // 2]
    if how == "cut in the header":
        return whole[:20]
    return b"" if how == "empty" else b"not a state at all, but a text that somebody put there"


@pytest.mark.parametrize("how", ["cut in the middle", "cut in the header", "empty", "text"])
def test_a_damaged_state_is_one_sentence_that_names_the_file(tmp_path: Path, how: str) -> None:
    path = tmp_path / "state.safetensors"
    network, optimizer = made("adamw", steps=1)
    save_state(path, Place(step=1), optimizer=optimizer, modules={"model": network})
    path.write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(DferError, match="cannot resume from") as caught:
        load_state(path, optimizer=optimizer, modules={"model": network})
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("strange", ["wider network", "no place", "other module"])
def test_a_state_of_something_else_is_one_sentence(tmp_path: Path, strange: str) -> None:
    path = tmp_path / "state.safetensors"
    network, optimizer = made("adamw", steps=1)
    modules = {"average": network} if strange == "other module" else {"model": network}
    save_state(path, Place(step=1), optimizer=optimizer, modules=modules)
    if strange == "no place":
        save_file({"model:weight": torch.zeros(2)}, path)
    other, fresh = made("adamw", steps=0, width=6 if strange == "wider network" else 4)
    with pytest.raises(DferError, match="cannot resume from") as caught:
        load_state(path, optimizer=fresh, modules={"model": other})
    assert "\n" not in str(caught.value)


def test_a_missing_state_is_one_sentence(tmp_path: Path) -> None:
    network, optimizer = made("adamw", steps=0)
    with pytest.raises(DferError, match=r"cannot resume from .*state\.safetensors"):
        load_state(tmp_path / "state.safetensors", optimizer=optimizer, modules={"model": network})


def test_a_full_disk_is_one_sentence_and_leaves_the_former_state_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    network, optimizer = made("adamw", steps=1)
    save_state(path, Place(step=1), optimizer=optimizer, modules={"model": network})
    former = path.read_bytes()
    step(network, optimizer)
    with full_disk(after=100), pytest.raises(DferError, match=r"cannot write .*--resume") as caught:
        save_state(path, Place(step=2), optimizer=optimizer, modules={"model": network})
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == former and files(tmp_path) == ["state.safetensors"]


def test_a_write_that_breaks_off_half_way_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.safetensors"
    network, optimizer = made("sgd", steps=1)
    save_state(path, Place(step=1), optimizer=optimizer, modules={"model": network})
    former = path.read_bytes()

    def half(tensors: Any, target: Path, metadata: Any) -> None:
        target.write_bytes(former[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("dfer.training.state.save_file", half)
    with pytest.raises(DferError, match="No space left on device"):
        save_state(path, Place(step=2), optimizer=optimizer, modules={"model": network})
    assert path.read_bytes() == former and files(tmp_path) == ["state.safetensors"]
