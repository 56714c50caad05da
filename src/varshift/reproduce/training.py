"""Training that can be killed at any moment and ends with the very same weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from varshift._files import replacing
from varshift.errors import DataError, ModelError
from varshift.reproduce.images import Pixels, crop_and_flip
from varshift.reproduce.measures import score, train_score
from varshift.reproduce.nets import build
from varshift.reproduce.precision import Precision, autocast
from varshift.reproduce.run import Run

__all__ = ["Trained", "Training", "fresh_net", "tracked", "train"]

MARKS = 8
LOOKED_AT = 1024  # training images, the same at every mark
Step = Callable[[int], None]


def fresh_net(run: Run, images: Pixels, device: str = "cpu") -> nn.Module:
    """The run's network before training, channels last: the same function, faster on a CPU."""
    net = build(
        run.shape,
        run.placing,
        channels=images.channels,
        classes=images.classes,
        seed=run.dice("weights"),
    )
    return net.to(device).to(memory_format=torch.channels_last)


def train(
    run: Run,
    images: Pixels,
    saved: Path,
    *,
    every: float = 20.0,
    device: str = "cpu",
    precision: Precision = "fp32",
    step_done: Step = lambda step: None,
) -> Trained:
    """The trained network, its training loss by epoch, and its accuracy on the way.

    `saved` holds the state, written whole at most `every` seconds apart; training goes on from it.
    Everything random in a step is drawn from the run's seed and the step's number, so that an
    interrupted run ends bit for bit where an undisturbed one does (on a CPU, one thread). A state
    goes on in the precision it was begun in, whatever `precision` says.
    Raises ModelError where the loss is not finite, DataError where the state is of other images.
    """
    with torch.random.fork_rng():
        training = Training(run, images, device=device, precision=precision)
        return training.to_the_end(saved, every, step_done)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network at the end of its training.

    Attributes:
        net: in evaluation mode.
        losses: mean training loss of each epoch.
        curve: at MARKS moments of the training, the epoch and the accuracy on the same training
            images as training sees them ("noise on") and in evaluation mode (Figure 5); empty
            where `tracked` says no.
        precision: in which number format its convolutions trained.
    """

    net: nn.Module
    losses: list[float]
    curve: list[dict[str, float]]
    precision: Precision


def tracked(run: Run) -> bool:
    """Whether a run's accuracy is followed: those of Figure 5, with Dropout-(a) 0.5 and without."""
    placing = run.placing
    return placing.place == "none" or (placing.place, placing.amount) == ("a", 0.5)


class Training:
    """One training under way. Only the training forward is cast: looks on the way are float32."""

    def __init__(
        self, run: Run, images: Pixels, *, device: str = "cpu", precision: Precision = "fp32"
    ) -> None:
        self.run, self.images, self.device, self.precision = run, images, device, precision
        recipe = run.recipe
        self.per_epoch = recipe.steps_per_epoch(len(images.train))
        self.net = fresh_net(run, images, device).train()
        self.optimiser = torch.optim.SGD(
            self.net.parameters(),
            recipe.rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self.step = 0
        self.losses = [0.0] * recipe.epochs
        self.curve: list[dict[str, float]] = []

    def to_the_end(self, saved: Path, every: float, step_done: Step) -> Trained:
        """From the saved state on, if there is one."""
        self._resume(saved)
        total = self.run.recipe.steps(len(self.images.train))
        marks = {total * (mark + 1) // MARKS for mark in range(MARKS)} if tracked(self.run) else ()
        last = time.monotonic()
        started = self.step
        while self.step < total:
            self.one()
            if self.step in marks:
                self.curve.append(self._looked())
            step_done(self.step)
            if time.monotonic() - last >= every:
                self._save(saved)
                last = time.monotonic()
        if self.step > started:
            self._save(saved)
        losses = [loss / self.per_epoch for loss in self.losses]
        return Trained(self.net.eval(), losses, self.curve, self.precision)

    def _looked(self) -> dict[str, float]:
        count = min(LOOKED_AT, len(self.images.train))
        parts = (self.images.train[:count], self.images.train_labels[:count])
        size = self.run.recipe.batch_size
        pairs = [
            (self.images.normalised(batch.to(self.device)), labels.to(self.device))
            for batch, labels in zip(*(part.split(size) for part in parts), strict=True)
        ]
        noisy = train_score(self.net, pairs, seed=self.run.dice("curve", self.step))
        return {
            "epoch": self.step / self.per_epoch,
            "noise on": 1 - noisy["error"],
            "evaluation": 1 - score(self.net, pairs)["error"],
        }

    def one(self) -> None:
        """One step: a batch, its crops, its noise, its loss, SGD."""
        recipe, step = self.run.recipe, self.step
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate_at(step, len(self.images.train))
        epoch, index = divmod(step, self.per_epoch)
        chosen = self._order(epoch)[index * recipe.batch_size :][: recipe.batch_size]
        batch = crop_and_flip(
            self.images.normalised(self.images.train[chosen].to(self.device)),
            pad=recipe.pad,
            flip=recipe.flip,
            seed=self.run.dice("augment", step),
        )
        torch.manual_seed(self.run.dice("noise", step))
        self.optimiser.zero_grad(set_to_none=True)
        labels = self.images.train_labels[chosen].to(self.device)
        with autocast(self.precision, self.device):
            scores = self.net(batch)
        loss = functional.cross_entropy(scores.float(), labels)
        loss.backward()
        self.optimiser.step()
        self.losses[epoch] += self._finite(float(loss.detach()))
        self.step += 1

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise ModelError(
                f"the loss of {self.run.label} is {loss} at step {self.step}; "
                "lower the rate of its recipe"
            )
        return loss

    def _order(self, epoch: int) -> torch.Tensor:
        if getattr(self, "_shuffled", (None,))[0] != epoch:
            dice = torch.Generator().manual_seed(self.run.dice("order", epoch))
            self._shuffled = epoch, torch.randperm(len(self.images.train), generator=dice)
        return self._shuffled[1]

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "images": self.images.sha256,
            "precision": self.precision,
            "losses": self.losses,
            "curve": self.curve,
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def _save(self, saved: Path) -> None:
        with replacing(saved) as fresh:
            torch.save(self._state(), fresh)

    def _resume(self, saved: Path) -> None:
        if not saved.is_file():
            return
        held = torch.load(saved, map_location=self.device, weights_only=True)
        if held.get("images", self.images.sha256) != self.images.sha256:
            raise DataError(
                f"{str(saved)!r} was begun on other images of the same name; point --folder "
                "elsewhere, or --root at the images it was begun on"
            )
        self.step, self.losses, self.curve = held["step"], held["losses"], held["curve"]
        self.precision = held.get("precision", "fp32")
        self.net.load_state_dict(held["net"])
        self.optimiser.load_state_dict(held["optimiser"])
