"""Soft labels and MIDAS under Lightning. It draws its own faces."""

from pathlib import Path

import lightning
import torch.nn.functional as F
from torch.optim import AdamW
from torch.utils.data import DataLoader

from dfer import ClipDataset, Midas, Preprocessing, create_model
from dfer.datasets import read_source
from dfer.datasets.synthetic import synthesise


class Faces(lightning.LightningModule):
    def __init__(self, emotions: int) -> None:
        super().__init__()
        self.network = create_model("tiny3d", num_classes=emotions)
        self.mix = Midas(alpha=0.8)

    def on_train_epoch_start(self) -> None:
        self.trainer.train_dataloader.dataset.set_epoch(self.current_epoch)  # other frames of each clip

    def training_step(self, batch, _index):
        clips, targets, *_ = self.mix(batch.clip, batch.target)
        return F.cross_entropy(self.network(clips), targets)

    def test_step(self, batch, _index):
        self.log("test_loss", F.cross_entropy(self.network(batch.clip), batch.target), batch_size=len(batch.id))

    def configure_optimizers(self):
        return AdamW(self.parameters(), lr=1e-3)


synthesise(Path("faces"), clips=60, size=48, workers=1)
manifest = read_source("dfew", Path("faces"))  # your own: dfer.Manifest.read("clips.csv"), as `dfer prepare` writes it
train, test = (ClipDataset(manifest, Preprocessing(8, 32), fold=1, part=part) for part in ("train", "test"))
trainer = lightning.Trainer(max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False)
trainer.fit(faces := Faces(len(manifest.emotions)), DataLoader(train, batch_size=8, shuffle=True))
trainer.test(faces, DataLoader(test, batch_size=8))
