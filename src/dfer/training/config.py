"""The recipe: everything that decides what a training run does, as one validated TOML file.

A recipe has no defaults hidden elsewhere: what is resolved here is what `recipe.toml` in the run's folder says.
A key that is not known is an error that names the nearest one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dfer.augment import Augment, Midas
from dfer.documents import DEEPEST, checked, parse_toml, read_toml
from dfer.errors import DferError, listed, nearest, shortened
from dfer.video.preprocessing import Preprocessing

Rate = Annotated[float, Field(ge=0, le=10)]
"""A learning rate, or a weight decay."""
Strength = Annotated[float, Field(ge=0, le=1_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""Of epochs, or of clips in a batch."""
Option = bool | int | float | str | list[int | float]
"""What a rule or a network may take; which it does, and in which range, it says itself."""
StratumName = Literal["clear", "mixed", "ambiguous"]
"""A name of `dfer.labels.STRATA`; mypy and pydantic want them written out."""


def _listed(value: Any) -> Any:
    """A text with commas, as `--set` gives it, or a list, as a tuple."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(","))
    return tuple(value) if isinstance(value, list) else value


class Section(BaseModel):
    """A table of the recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Data(Section):
    """`[data]`: which clips."""

    subset: Literal["single", "all", "ambiguous"] = "single"
    """Train on the clips to which the source gives one label, all that have a target, or those without a label."""
    min_votes: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    """Train on clips whose most voted emotion has at least this many votes."""
    stratum: Annotated[tuple[StratumName, ...], BeforeValidator(_listed)] = ()
    """Train on clips of these strata of agreement, one or several; if empty, on clips of all."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """The share of the training part that is cut off for validation, by group where groups are known."""
    load_size: Annotated[int, Field(ge=0, le=4_096)] = 0
    """The size at which training clips are read before they are cropped to `input.size`; 0 reads them at this size."""
    workers: Annotated[int, Field(ge=0, le=1_024)] = 0
    """The number of processes that read clips; 0 reads in the training process."""


class Labels(Section):
    """`[labels]`: from votes to targets; further keys are the rule's own, see `dfer.labels.rules`."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)
    __pydantic_extra__: dict[str, Option] = Field(init=False)

    rule: str = "frequency"
    """A rule of `dfer.labels.soft_labels`, or "hard": a one-hot row of the source's own label."""
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Label smoothing: this share of each target is spread evenly over the emotions."""

    @property
    def options(self) -> dict[str, Any]:
        """The rule's own keys."""
        return dict(self.model_extra or {})

    def hard(self) -> Labels:
        """The rule "hard" with the same smoothing, and without the keys of this rule."""
        return Labels(rule="hard", smoothing=self.smoothing)


class ModelSection(Section):
    """`[model]`: further keys are the model's own, see `dfer.models.create_model`."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)
    __pydantic_extra__: dict[str, Option] = Field(init=False)

    name: str = "tiny3d"
    """A network of `dfer models`, or your own as my_package.my_module:Net."""

    @property
    def options(self) -> dict[str, Any]:
        """The model's own keys."""
        return dict(self.model_extra or {})


class Init(Section):
    """`[init]`: what the network starts from."""

    weights: str = ""
    """Trained weights to start from: faces, the folder of a model or run, a .safetensors or .pth file, or a name of the
    Hugging Face Hub in the local cache; as --init."""
    partial: bool = False
    """Take over the weights that match, though others are missing, unexpected or of another shape."""
    freeze: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """Layers, or patterns such as encoder.*, whose weights are not trained; batch norms among them stay as they are."""
    cache: Annotated[int, Field(ge=0, le=10_000)] = 0
    """For a frozen encoder: of so many views of each clip its features are kept in memory, and epochs show one view
    after the other. Frames and augmentation of a view are drawn once, and MIDAS mixes features. 0 keeps none."""


class Lora(Section):
    """`[lora]`: adapters of low rank in a trained network are trained, see `dfer.training.adapters`."""

    rank: Annotated[int, Field(ge=1, le=4_096)] = 8
    """The rank of each adapter: with more it can change its layer further, and has more weights."""
    alpha: Annotated[float, Field(gt=0, le=100_000)] = 16.0
    """An adapter's output is multiplied by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The probability of dropout before an adapter."""
    layers: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """Linear layers and convolutions with adapters, by name or by patterns such as encoder.*; if empty, those of the
    attention of a transformer, in the encoder where there is one. Parts behind the last of them are trained whole."""


class Loss(Section):
    """`[loss]`: see `dfer.training.losses`."""

    name: Literal["cross_entropy", "js", "focal", "logit_adjusted", "dirichlet_multinomial"] = "cross_entropy"
    """The loss between the network's probabilities and the targets."""
    gamma: Strength = 2.0
    """The exponent of the focal loss; 0 makes it cross-entropy."""
    tau: Strength = 1.0
    """How strongly logit_adjusted favours rare emotions; 0 makes it cross-entropy."""
    class_weights: Literal["none", "balanced"] = "none"
    """"balanced": the terms of each emotion weigh as much as any other's, by its share of the training targets; for
    cross_entropy and focal."""
    sampler: Literal["shuffle", "balanced"] = "shuffle"
    """"balanced": clips are drawn with replacement so that each emotion has an equal share of the targets drawn. Some
    clips may then never be drawn, or equal shares may be out of reach: a warning says so."""


class Optim(Section):
    """`[optim]`: optimiser and schedule (linear warm-up, then a cosine down to `min_lr`, stepped every batch)."""

    name: Literal["adamw", "sgd"] = "adamw"
    """The optimiser: AdamW, or SGD with momentum."""
    lr: Annotated[float, Field(gt=0, le=10)] = 5e-4
    """The greatest learning rate, which the warm-up ends at."""
    min_lr: Rate = 5e-6
    """The learning rate of the last step."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each layer learns at this share of the rate of the layer behind it, the last at `lr`; 1: all at the same."""
    weight_decay: Rate = 0.05
    """The decay of weights of more than one dimension; biases and norms are not decayed."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """The momentum of SGD."""
    epochs: Count = 20
    """How often the training clips are gone through."""
    warmup_epochs: Annotated[float, Field(ge=0, le=1_000_000)] = 1
    """The first epochs, in which the learning rate rises to `lr`."""
    unmixed_epochs: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """The last epochs, in which MIDAS mixes nothing."""
    batch: Count = 32
    """The number of clips in a step, over all processes together."""
    accumulate: Count = 1
    """The batch is computed in this many parts, whose gradients are added: less memory, the same step."""
    clip_norm: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """The greatest norm of the gradient; 0 does not clip."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of an exponential moving average of the weights, which is then what is judged; 0 keeps none."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """"auto": bf16 on hardware that computes in it, if the network's gradients are right in it; else fp32."""
    threads: Annotated[int, Field(ge=1, le=4_096)] | Literal["auto"] = "auto"
    """The number of threads of a run on a CPU. "auto": OMP_NUM_THREADS, or else the number of cores that are
    idle, counted before each epoch. A run that must be the same to the last bit needs a number."""


WEIGHABLE = ("cross_entropy", "focal")
"""Losses that are a sum over emotions, and so can weigh each."""
ONLY_OF = {"gamma": ("loss", "focal"), "tau": ("loss", "logit_adjusted"), "momentum": ("optim", "sgd")}
"""Key -> the table it stands in, and the name there that reads it."""


GONE = {
    ("midas", "counts"): (False, "leave it out: shares of votes are mixed"),
    ("midas", "pairing"): ("random", "leave it out: partners are drawn at random"),
}
"""Table and key that are gone -> the value that did nothing, which recipes of former runs hold, and advice."""


def _off_is_none(value: Any) -> Any:
    return None if value == "off" else value


class Recipe(Section):
    """A whole recipe."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The seed of all random draws: the same seed gives the same run."""
    selection: Literal["last", "val_war", "val_uar", "val_kl"] = "last"
    """Which epoch's weights are kept: the last, or the best on the validation part (never on the test part)."""
    data: Data = Data()
    labels: Labels = Labels()
    input: Preprocessing = Preprocessing()
    augment: Augment = Augment()
    midas: Annotated[Midas | None, BeforeValidator(_off_is_none)] = None
    """`[midas]`, or "off" (as when the table is absent): nothing is mixed."""
    model: ModelSection = ModelSection()
    init: Init = Init()
    lora: Annotated[Lora | None, BeforeValidator(_off_is_none)] = None
    """`[lora]`, or "off" (as when the table is absent): weights are trained themselves."""
    loss: Loss = Loss()
    optim: Optim = Optim()

    @model_validator(mode="after")
    def _balances_once(self) -> Recipe:
        """Two ways to balance would favour the rare emotions."""
        loss = self.loss
        balancing = {
            'loss.name = "logit_adjusted"': loss.name == "logit_adjusted" and loss.tau > 0,
            "loss.class_weights": loss.class_weights == "balanced",
            "loss.sampler": loss.sampler == "balanced",
        }
        ways = [way for way, chosen in balancing.items() if chosen]
        if len(ways) > 1:
            raise ValueError(f"each of {listed(ways)} balances the emotions by itself; leave all but one out")
        if loss.class_weights == "balanced" and loss.name not in WEIGHABLE:
            raise ValueError(
                f"loss.class_weights weighs the emotions' terms of {listed(WEIGHABLE)}, and "
                f'loss.name = "{loss.name}" has none; use loss.sampler = "balanced"'
            )
        return self

    @model_validator(mode="after")
    def _uses_its_keys(self) -> Recipe:
        """A key that was changed and does nothing was meant for something."""
        for key, (table, name) in ONLY_OF.items():
            section = getattr(self, table)
            if section.name != name and getattr(section, key) != type(section).model_fields[key].default:
                raise ValueError(f'{table}.{key} is of {table}.name = "{name}" and does nothing in "{section.name}"')
        return self

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        """Numbers that contradict each other."""
        if self.optim.min_lr > self.optim.lr:
            raise ValueError(
                f"optim.min_lr is {self.optim.min_lr:g}, above optim.lr = {self.optim.lr:g}; lower it to that or less"
            )
        if self.loss.name == "dirichlet_multinomial" and self.labels.rule == "hard":
            raise ValueError(
                'loss.name = "dirichlet_multinomial" is a likelihood of votes, which labels.rule = "hard" does not '
                'read; set labels.rule = "frequency"'
            )
        if 0 < self.data.load_size < self.input.size:
            raise ValueError(
                f"data.load_size is {self.data.load_size}, below input.size = {self.input.size}, so clips would be "
                "enlarged; raise it, or set it to 0"
            )
        return self

    @model_validator(mode="after")
    def _caches(self) -> Recipe:
        """Features are kept of what is frozen, and have no pixels."""
        if self.init.cache and not self.init.freeze:
            raise ValueError(
                "init.cache keeps what a frozen encoder makes of clips, and nothing is frozen; set "
                'init.freeze = ["encoder"], or init.cache to 0'
            )
        if self.init.cache and self.midas and (self.midas.blend != "mixup" or self.midas.layer == "hidden"):
            raise ValueError(
                "with init.cache features behind the encoder are mixed, which have no pixels and no layers before "
                "them; leave midas.blend and midas.layer out, or set init.cache to 0"
            )
        return self

    @model_validator(mode="after")
    def _adapts(self) -> Recipe:
        """Adapters say by themselves what is trained."""
        if self.lora and (self.init.freeze or self.init.cache):
            raise ValueError(
                "[lora] keeps the weights of the parts that it adapts by itself; leave init.freeze and init.cache out"
            )
        return self

    @model_validator(mode="after")
    def _accumulates(self) -> Recipe:
        """Parts of a batch: not more than it has clips, and nothing that needs the whole batch in the network."""
        if self.optim.accumulate > self.optim.batch:
            raise ValueError(
                f"optim.accumulate is {self.optim.accumulate}, above optim.batch = {self.optim.batch}; lower it"
            )
        if self.optim.accumulate > 1 and self.midas and self.midas.layer == "hidden":
            raise ValueError(
                'midas.layer = "hidden" mixes clips of the whole batch in the network, which optim.accumulate = '
                f"{self.optim.accumulate} takes apart; set optim.accumulate to 1"
            )
        return self

    @model_validator(mode="after")
    def _mixes(self) -> Recipe:
        """A run that never mixes must not be called one of MIDAS, nor one that never leaves its warm-up be trained."""
        if self.optim.warmup_epochs > self.optim.epochs:
            raise ValueError(
                f"optim.warmup_epochs is {self.optim.warmup_epochs:g} of {self.optim.epochs} optim.epochs; lower it"
            )
        if self.midas and self.midas.prob == 0:
            raise ValueError("nothing would be mixed: midas.prob is 0; raise it, or set midas=off")
        if self.midas and self.optim.unmixed_epochs >= self.optim.epochs:
            raise ValueError(
                f"nothing would be mixed: optim.unmixed_epochs is {self.optim.unmixed_epochs} of "
                f"{self.optim.epochs} optim.epochs; lower it, or set midas=off"
            )
        return self

    def toml(self) -> str:
        """The resolved recipe as TOML."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with dfer, by name: `configs/` of the checkout, or its copy in the installed package."""
    package = Path(__file__).parents[1]
    folder = next((place for place in (package / "configs", package.parents[1] / "configs") if place.is_dir()), package)
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and validate a recipe.

    Args:
        path: a TOML file, or the name of a recipe that comes with dfer, such as `dfew_m3dfel_midas`.
        overrides: `key.key=value` with TOML values, such as `optim.lr=1e-4`; a bare word is a string.

    Raises:
        DferError: no such file, no TOML, an unknown key (the nearest is named), a value out of range.
    """
    path = shipped_recipes().get(str(path), path)
    if not os.path.exists(path):  # noqa: PTH110 (Path.exists raises for a name that is too long)
        shipped = shipped_recipes()
        hint = f"{nearest(path.stem, shipped)}; dfer comes with {listed(shipped, 12)}"
        raise DferError(f"cannot read the recipe {shortened(str(path))}: there is no such file{hint}")
    values = read_toml(path)
    for override in overrides:
        _override(values, override)
    return recipe_from(values, str(path))


def recipe_from(values: dict[str, Any], where: str = "the recipe") -> Recipe:
    """Validate a recipe given as nested dictionaries; see `load_recipe` for the errors."""
    for (table, key), (idle, advice) in GONE.items():
        section = values.get(table)
        if isinstance(section, dict) and key in section:
            if section[key] != idle:
                raise DferError(f"{where}: {table}.{key} = {json.dumps(section[key])} is no longer there; {advice}")
            values = values | {table: {name: section[name] for name in section if name != key}}
    return checked(Recipe, values, where)


BARE = re.compile(r"(?<=[=,\[{])(\s*)(?!(?:true|false|inf|nan)\b)([A-Za-z][\w.*/-]*)(?=\s*[,\]}])")
"""A word without quotes among the values of a list or a table, such as {alpha=0.4, blend=fade}."""


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *tables, last = key.strip().split(".")
    if not equals or not last or len(tables) > DEEPEST:
        raise DferError(f"expected --set key=value, such as --set optim.lr=1e-4, got {shortened(repr(override))}")
    for name in tables:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise DferError(f"--set {shortened(override)}: {shortened(name)} is not a table of the recipe")
    values[last] = text.strip()  # a bare word, or a number that the recipe's check refuses
    for toml in (text, BARE.sub(r'\1"\2"', text)):
        with suppress(DferError):
            parsed = parse_toml(f"value = {toml}", "--set")
            if parsed.keys() == {"value"}:
                values[last] = parsed["value"]
                return
