"""Measures networks and writes the table of docs/models.md: `OMP_NUM_THREADS=1 python tools/models_page.py [NAME]...`.

Each network is built at its default size for seven emotions, timed on one clip at a time, exported to ONNX and compared
with torch on five clips. Time is that of the processor, which other work on the machine changes little. All take some
minutes, and 4 GB of memory; where some are named, the rows of the others stay.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dfer.inference.export import export_onnx
from dfer.inference.network import Frames, Network, onnx_network, torch_network
from dfer.labels import DFEW
from dfer.models import Card, create_model, list_models, save_checkpoint
from dfer.video import Preprocessing

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
TABLE = re.compile(r"(?<=<!-- measured -->\n\n).*?(?=\n\n<!-- /measured -->)", re.DOTALL)
SIZES = {"mae_dfer": 160}
"""Of the clips, pixels, where it is not the field's 112."""
FRAMES = 16
SECONDS = 1.0


def main(names: list[str]) -> None:
    """Measure and write."""
    text = PAGE.read_text(encoding="utf-8")
    kept = {line.split("`")[1]: line for line in TABLE.findall(text)[0].splitlines() if line.startswith("| `")}
    for name in names:
        kept[name] = row(name)
        print(kept[name], flush=True)
    head = "| network | weights, M | clip | GFLOPs | clips/s, torch | clips/s, ONNX | ONNX differs by |"
    lines = [head, "|---|---|---|---|---|---|---|", *(kept[name] for name in list_models() if name in kept)]
    PAGE.write_text(TABLE.sub(lambda _: "\n".join(lines), text), encoding="utf-8")


def row(name: str) -> str:
    """A network's row of the table."""
    torch.manual_seed(0)
    side = SIZES.get(name, 112)
    network = calibrated(create_model(name, len(DFEW)), side)
    weights = sum(value.numel() for value in network.parameters())
    with tempfile.TemporaryDirectory() as folder:
        card = Card(name, {}, DFEW, Preprocessing(frames=FRAMES, size=side).to_dict())
        save_checkpoint(folder, network, card)
        file, difference = export_onnx(folder)
        clip = np.random.default_rng(0).integers(0, 256, (1, FRAMES, side, side, 3), np.uint8)
        speeds = [speed(run, clip) for run in (torch_network(network, card, "cpu"), onnx_network(file))]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.to("meta")(torch.empty(1, 3, FRAMES, side, side, device="meta"))
    return (
        f"| `{name}` | {weights / 1e6:.1f} | {FRAMES} x {side} x {side} | {counter.get_total_flops() / 1e9:.3g} | "
        f"{speeds[0]:.2g} | {speeds[1]:.2g} | {difference:.0e} |"
    )


def speed(run: Network, clip: Frames) -> float:
    """Clips a second of the processor, after a first one."""
    run(clip)
    runs, begin = 0, time.process_time()
    while not runs or time.process_time() - begin < SECONDS:
        run(clip)
        runs += 1
    return runs / (time.process_time() - begin)


def calibrated(network: nn.Module, side: int) -> nn.Module:
    """The network with statistics of real batches in its batch norms, and answers that differ from clip to clip."""
    batch = torch.rand(2 * FRAMES, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    clips = nn.functional.interpolate(batch, size=(side, side), mode="bilinear").view(2, FRAMES, 3, side, side)
    clips = clips.transpose(1, 2)
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the statistics are those of this batch
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        if norms:
            network.train()(clips)
        logits = network.eval()(clips)
        scale = 0.5 / logits.std(dim=0).mean()
        last.bias.copy_(scale * (last.bias - logits.mean(dim=0)))
        last.weight.mul_(scale)
    return network


if __name__ == "__main__":
    main(sys.argv[1:] or list_models())
