"""A plain training loop, and a fair look at held-out images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Scores", "held_out", "train"]


@dataclass(frozen=True, eq=False)
class Scores:
    """Loss and correctness of every held-out image: (N,) each."""

    losses: Tensor
    hits: Tensor

    @property
    def loss(self) -> tuple[float, float]:
        """Mean loss and its standard error."""
        return _mean(self.losses)

    @property
    def accuracy(self) -> tuple[float, float]:
        """Share of hits and its standard error."""
        return _mean(self.hits)

    def change(self, before: Scores) -> tuple[float, float, float, float]:
        """Mean change of loss and of accuracy, each with its error, paired over images."""
        return (*_mean(self.losses - before.losses), *_mean(self.hits - before.hits))


def train(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    rate: float,
    seed: int,
    step_done: Callable[[], None],
) -> None:
    """SGD with momentum 0.9 and one cycle of the learning rate. [smith2018superconvergence]"""
    order = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.SGD(
        net.parameters(), rate, momentum=0.9, weight_decay=1e-4, nesterov=True
    )
    steps = epochs * -(-len(images) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    net.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(images), generator=order).split(batch_size):
            optimiser.zero_grad()
            functional.cross_entropy(net(images[chosen]), labels[chosen]).backward()
            optimiser.step()
            schedule.step()
            step_done()


def held_out(net: nn.Module, images: Tensor, labels: Tensor) -> Scores:
    """Every image once, in evaluation mode."""
    net.eval()
    with torch.no_grad():
        scores = torch.cat([net(batch) for batch in images.split(256)])
    net.train()
    losses = functional.cross_entropy(scores, labels, reduction="none")
    return Scores(losses.double(), (scores.argmax(1) == labels).double())


def _mean(values: Tensor) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / len(values) ** 0.5)
