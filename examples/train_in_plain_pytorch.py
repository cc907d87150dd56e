"""Soft labels and MIDAS in a plain PyTorch loop, judged on the test part. It draws its own faces."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from dfer import ClipDataset, Midas, Preprocessing, create_model
from dfer.datasets import read_source
from dfer.datasets.synthetic import synthesise
from dfer.metrics import kl_divergence, uar, war

synthesise(Path("faces"), clips=60, size=48, workers=1)
manifest = read_source("dfew", Path("faces"))  # your own: dfer.Manifest.read("clips.csv"), as `dfer prepare` writes it
shown = Preprocessing(frames=8, size=32)
train = ClipDataset(manifest, shown, fold=1, part="train", rule="frequency", subset="all")
test = ClipDataset(manifest, shown, fold=1, part="test")

model = create_model("tiny3d", num_classes=len(manifest.emotions))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
mix = Midas(alpha=0.8)
loader = DataLoader(train, batch_size=8, shuffle=True)  # num_workers=4 for real data
for epoch in range(3):
    train.set_epoch(epoch)  # other frames of each clip
    for clips, targets, _ids, _votes in loader:
        mixed = mix(clips, targets)
        loss = F.cross_entropy(model(mixed.clips), mixed.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss of the last batch {loss.item():.3f}")

with torch.inference_mode():
    probs = torch.cat([model.eval()(batch.clip).softmax(dim=1) for batch in DataLoader(test, batch_size=8)]).numpy()
print(f"WAR {war(probs, test.labels):.3f}  UAR {uar(probs, test.labels):.3f}")
print(f"KL to the votes {kl_divergence(probs, test.targets).mean():.3f} nats")
