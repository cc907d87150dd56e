"""What learns: a network, its optimiser and its moving average, and one step of theirs."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dfer.errors import DferError
from dfer.models import mixed_inside
from dfer.models.encoded import FromFeatures, encoder_of
from dfer.training.adapters import merged
from dfer.training.checks import proved_precision
from dfer.training.clips import Clips, stacked
from dfer.training.config import Recipe
from dfer.training.faults import advice, not_finite
from dfer.training.layers import freeze
from dfer.training.losses import Loss
from dfer.training.optim import learning_rate, make_optimizer, moving_average, set_rate
from dfer.training.precision import Precision, autocast
from dfer.training.randomness import Purpose, stream
from dfer.training.showing import Showing, mixed


class Learner:
    """A network that is trained by a recipe.

    Args:
        recipe: what to do.
        accelerator: where; it prepares network and optimiser.
        network: as training begins with it.
        loss: (logits (B, K), targets (B, K), voters (B,)) -> (B,).
        steps_per_epoch: of the schedule.

    Raises:
        DferError: `init.freeze` names no weight, or leaves none to train; or `init.cache` where there is no frozen
            encoder.
    """

    def __init__(
        self, recipe: Recipe, accelerator: Accelerator, network: nn.Module, loss: Loss, *, steps_per_epoch: int
    ) -> None:
        self.recipe, self.accelerator, self.loss, self.steps_per_epoch = recipe, accelerator, loss, steps_per_epoch
        self.precision: Precision = "fp32"
        self.showing = Showing(recipe)
        self.frozen = freeze(network, recipe.init.freeze)
        optimizer = make_optimizer(network, recipe.optim)
        self.average = moving_average(network, recipe.optim.ema) if recipe.optim.ema else None
        self.cached = self._from_features(network) if recipe.init.cache else None
        self.network = network
        self.model, self.optimizer = accelerator.prepare(self.cached or network, optimizer)
        if self.average:
            self.average.to(accelerator.device)

    @property
    def judged(self) -> nn.Module:
        """The network that is judged and kept: the moving average where there is one, with adapters merged."""
        return merged(self.average.module if self.average else self.network)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What a state keeps, by name."""
        return {"model": self.network} | ({"average": self.average} if self.average else {})

    def prove(self, *, clips: int) -> None:
        """Choose the precision by gradients that are right; `clips` is how many there are to train on."""
        batch = min(self.recipe.optim.batch // self.accelerator.num_processes, clips)
        device = self.accelerator.device
        self.precision = proved_precision(self.recipe, self.network, batch=batch, device=device)

    def step(self, clips: Clips, targets: Tensor, voters: Tensor, *, number: int) -> float:
        """One step of the optimiser.

        Args:
            clips: B of (C, T, H, W) uint8, on the device; with `init.cache` features (B, n, ...) of them.
            targets: (B, K), on the device.
            voters: (B,) how many people voted on each clip, on the device.
            number: of the step, from 0: everything that is drawn depends on it, the seed and the process alone.

        Returns:
            The mean loss of all processes.

        Raises:
            NotFiniteError: the loss is NaN or infinite; the weights are those before the step.
        """
        recipe, process = self.recipe, self.accelerator.process_index
        torch.manual_seed(stream(recipe.seed, Purpose.MODEL, number, process))
        augmenting = torch.Generator().manual_seed(stream(recipe.seed, Purpose.AUGMENT, number, process))
        mixing = torch.Generator().manual_seed(stream(recipe.seed, Purpose.MIX, number, process))
        mixes = number < (recipe.optim.epochs - recipe.optim.unmixed_epochs) * self.steps_per_epoch
        midas = recipe.midas if mixes else None
        if self.cached:
            shown = mixed(stacked(clips), targets, midas, mixing)
        else:
            shown = self.showing(clips, targets, midas, augmenting=augmenting, mixing=mixing)
        inside: AbstractContextManager[object] = nullcontext()
        if midas and midas.layer == "hidden":
            inside = mixed_inside(self.network, shown, generator=mixing)
        set_rate(self.optimizer, learning_rate(recipe.optim, number, self.steps_per_epoch))
        self._train_mode()
        self.optimizer.zero_grad()
        with inside:
            loss = self._gradients(shown.clips, shown.targets, shown.carry(voters))
        value = float(self.accelerator.reduce(loss, "mean"))  # of all processes, so that all stop at a NaN
        if not math.isfinite(value):
            said = f"the loss is {value} at step {number}, in {self.precision}"
            raise not_finite(said, self.cached or self.network, shown.clips)
        if recipe.optim.clip_norm:
            self.accelerator.clip_grad_norm_(self.model.parameters(), recipe.optim.clip_norm)
        self.optimizer.step()
        if self.average:
            self.average.update_parameters(self.network)
        return value

    def features(self, clips: Clips, augmenting: torch.Generator) -> Tensor:
        """What the frozen encoder makes of B clips (C, T, H, W) uint8, on the device, augmented: (B, n, ...)."""
        assert self.cached
        device = self.accelerator.device
        unmixed = torch.ones(len(clips), 1, device=device)
        shown = self.showing(clips, unmixed, None, augmenting=augmenting, mixing=augmenting)
        with autocast(device, self.precision):
            return self.cached.features(shown.clips)

    def _from_features(self, network: nn.Module) -> FromFeatures:
        shown, name = self.recipe.input, self.recipe.model.name
        try:
            behind = FromFeatures(network, clip=(shown.channels, shown.frames, shown.size, shown.size))
        except DferError as error:
            raise DferError(f"init.cache cannot be used with {name}: {error}; set init.cache to 0") from error
        if encoder_of(network) not in self.frozen:
            raise DferError(
                "init.cache keeps what an encoder makes of clips, which must not change in training; set "
                'init.freeze = ["encoder"], or init.cache to 0'
            )
        return behind

    def _gradients(self, clips: Tensor, targets: Tensor, voters: Tensor) -> Tensor:
        """Leave the gradient of a batch's mean loss in the weights, part by part, and return that loss."""
        parts = min(self.recipe.optim.accumulate, len(clips))
        total = torch.zeros((), device=clips.device)
        for number in range(parts):
            some, wanted, counts = (values.tensor_split(parts)[number] for values in (clips, targets, voters))
            # Processes add up their gradients once a step, at its last part.
            with self.accelerator.no_sync(self.model) if number < parts - 1 else nullcontext():
                with autocast(clips.device, self.precision):
                    logits = self.model(some)
                loss = self.loss(logits.float(), wanted, counts).mean() * (len(some) / len(clips))
                self.accelerator.backward(loss)
            total += loss.detach()
        return total

    def _train_mode(self) -> None:
        """The mode of training; batch norms of frozen layers do not follow the clips either."""
        self.model.train()
        for layer in self.frozen:
            layer.eval()

    def require_finite_weights(self, step: int) -> None:
        """A step can ruin the weights after a loss that was still finite; no such network is kept."""
        if not all(weight.isfinite().all() for weight in self.network.parameters()):
            raise DferError(
                f"the weights are not finite after step {step}, in {self.precision}; {advice(self.precision)}"
            )
