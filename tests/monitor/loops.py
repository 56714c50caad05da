"""Small training runs, with a monitor and without, and everything that must be the same after."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Step = Callable[[Any], Any]


def mlp(drop_p: float = 0.5, momentum: float | None = 0.3) -> nn.Module:
    """Dropout straight before a norm, and one behind weights."""
    return nn.Sequential(
        nn.Linear(8, 16),
        nn.ReLU(),
        nn.Dropout(drop_p),
        nn.BatchNorm1d(16, momentum=momentum),
        nn.Linear(16, 16),
        nn.BatchNorm1d(16, momentum=momentum),
        nn.ReLU(),
        nn.Linear(16, 2),
    )


def convolutions() -> nn.Module:
    """A small convolutional network with both kinds of dropout."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.BatchNorm2d(4, momentum=0.3),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Dropout2d(0.2),
        nn.BatchNorm2d(4, momentum=0.3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 36, 2),
    )


def batch_for(model: nn.Module, samples: int = 32) -> Tensor:
    shape = (1, 6, 6) if isinstance(model[0], nn.Conv2d) else (8,)
    return torch.randn(samples, *shape)


@dataclass
class Ended:
    """What a run has come to."""

    model: nn.Module
    tensors: dict[str, Tensor]
    losses: list[float]
    random: tuple[Any, ...]
    flags: list[bool]


def train(
    make: Callable[[], nn.Module],
    *,
    steps: int = 30,
    accumulate: int = 1,
    watch: Callable[[nn.Module], Step] = lambda model: lambda batch: None,
    before_update: bool = False,
    seed: int = 0,
    lr: float = 0.05,
) -> Ended:
    """A plain loop. The monitor is told before or after the optimiser's update."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    model = make()
    optimiser = torch.optim.SGD(model.parameters(), lr, momentum=0.9)
    told, losses = watch(model), []
    for _ in range(steps):
        optimiser.zero_grad()
        for _ in range(accumulate):
            x = batch_for(model)
            loss = F.cross_entropy(model(x), (x.flatten(1)[:, 0] > 0).long())
            (loss / accumulate).backward()
            losses.append(loss.item())
        if before_update:
            told(x)
        optimiser.step()
        if not before_update:
            told(x)
    tensors = dict(model.state_dict())
    tensors |= {f"{name}.grad": p.grad for name, p in model.named_parameters()}
    for at, state in enumerate(optimiser.state.values()):
        tensors[f"momentum {at}"] = state["momentum_buffer"]
    numbers = np.random.get_state()
    drawn = (torch.get_rng_state().tolist(), numbers[1].tolist(), numbers[2:], random.getstate())
    return Ended(model, tensors, losses, drawn, [m.training for m in model.modules()])


def assert_same(one: Ended, other: Ended) -> None:
    """Bit for bit."""
    assert one.losses == other.losses
    assert one.random == other.random
    assert one.flags == other.flags
    assert one.tensors.keys() == other.tensors.keys()
    for name, value in one.tensors.items():
        assert torch.equal(value, other.tensors[name]), name
