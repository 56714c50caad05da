"""Four small networks whose gap between training and test has one known cause."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from problems.steady import steady

CAUSES = ("noise", "staleness", "data", "none", "small-batch")


def planted(cause: str, seed: int) -> tuple[nn.Module, list[Tensor], list[Tensor]]:
    """(trained network, training batches, test batches) in float32, the gap's cause planted.

    A regression on random features. "noise": dropout 0.5 before weights. "staleness": momentum
    0.002 over 160 steps. "data": test inputs shifted by half a deviation and 1.4 times as wide.
    "small-batch": batches of 3 samples. "none": nothing of all that.
    """
    with steady(seed):
        net, train, test = _planted(cause, seed)
    return net.float(), [batch.float() for batch in train], [batch.float() for batch in test]


def _planted(cause: str, seed: int) -> tuple[nn.Module, list[Tensor], list[Tensor]]:
    size = 3 if cause == "small-batch" else 64
    random = torch.Generator().manual_seed(seed)
    net = _net(0.5 if cause == "noise" else 0.0, 0.002 if cause == "staleness" else 0.1)
    mixing = torch.randn(12, 12, generator=random) / 12**0.5
    target = torch.randn(12, 1, generator=random)

    def batches(count: int, *, shifted: bool = False) -> list[Tensor]:
        made = torch.randn(count * 64, 12, generator=random) @ mixing + 0.3
        parts = (1.4 * made + 0.5 if shifted else made).split(size)
        return [part for part in parts if len(part) == size]

    train = batches(32)
    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 160)
    for step in range(160):
        batch = train[step % len(train)]
        optimiser.zero_grad()
        (net(batch) - (batch @ target).tanh()).square().mean().backward()
        optimiser.step()
        schedule.step()
    return net, train, batches(16, shifted=cause == "data")


def _net(drop_p: float, momentum: float) -> nn.Module:
    layers: list[nn.Module] = [nn.Linear(12, 32), nn.BatchNorm1d(32, momentum=momentum), nn.ReLU()]
    for _ in range(2):
        layers += [nn.Dropout(drop_p)] if drop_p else []
        layers += [nn.Linear(32, 32), nn.BatchNorm1d(32, momentum=momentum), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(32, 1))
