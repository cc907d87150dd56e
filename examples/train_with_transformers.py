"""Soft labels and MIDAS in transformers' `Trainer`. It draws its own faces."""

from pathlib import Path

import torch.nn.functional as F
from torch.utils.data import default_collate
from transformers import Trainer, TrainingArguments

from dfer import ClipDataset, Midas, Preprocessing, create_model
from dfer.datasets import read_source
from dfer.datasets.synthetic import synthesise
from dfer.metrics import uar, war


class MidasTrainer(Trainer):
    mix = Midas(alpha=0.8)

    def compute_loss(self, model, inputs, return_outputs=False, **_):
        clips, targets = inputs["clip"], inputs["target"]
        if model.training:
            clips, targets, *_ = self.mix(clips, targets)
        logits = model(clips)
        loss = F.cross_entropy(logits, targets)
        return (loss, {"logits": logits}) if return_outputs else loss


synthesise(Path("faces"), clips=60, size=48, workers=1)
manifest = read_source("dfew", Path("faces"))  # your own: dfer.Manifest.read("clips.csv"), as `dfer prepare` writes it
train, test = (ClipDataset(manifest, Preprocessing(8, 32), fold=1, part=part) for part in ("train", "test"))
settings = TrainingArguments(
    "run", num_train_epochs=2, learning_rate=1e-3, per_device_train_batch_size=8, label_names=["target"],
    remove_unused_columns=False, report_to="none", save_strategy="no", disable_tqdm=True,
)  # fmt: skip
model = create_model("tiny3d", num_classes=len(manifest.emotions))
collate = lambda samples: default_collate(samples)._asdict()  # noqa: E731
trainer = MidasTrainer(model, settings, collate, train)
trainer.train()  # it calls train.set_epoch: other frames of each clip each epoch
logits = trainer.predict(test).predictions
print(f"WAR {war(logits, test.labels):.3f}  UAR {uar(logits, test.labels):.3f}")
