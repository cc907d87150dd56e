"""docs/models.md: every network stands in both of its tables, and what does not depend on a machine is true."""

from __future__ import annotations

import re

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dfer.models import create_model
from dfer.models.registry import BUILT_IN

from .test_readme import ROOT

TEXT = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
MEASURED = [line.split("|")[1:-1] for line in TEXT.split("measured -->")[1].splitlines() if line.startswith("| `")]
ROWS = {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in MEASURED}


def test_every_network_stands_in_both_tables() -> None:
    assert list(ROWS) == sorted(BUILT_IN)
    told = re.findall(r"^\| (`.+?`) \|", TEXT.split("## What each is")[1].split("## ")[0], re.MULTILINE)
    assert sorted(name for names in told for name in re.findall(r"`(\w+)`", names)) == sorted(BUILT_IN)


@pytest.mark.parametrize("name", ROWS)
def test_weights_and_operations_are_those_of_the_network(name: str) -> None:
    if name == "hub_frames":
        pytest.importorskip("transformers", reason="the network is built by transformers, which is not installed")
    weights, clip, operations, *_ = ROWS[name]
    network = create_model(name, 7).eval()
    assert weights == f"{sum(value.numel() for value in network.parameters()) / 1e6:.1f}"
    frames, height, width = (int(part) for part in clip.split(" x "))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.to("meta")(torch.empty(1, 3, frames, height, width, device="meta"))
    assert operations == f"{counter.get_total_flops() / 1e9:.3g}"


def test_every_network_gives_on_onnx_what_it_gives_on_torch() -> None:
    assert all(float(cells[-1]) <= 1e-4 for cells in ROWS.values())
