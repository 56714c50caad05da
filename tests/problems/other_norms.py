"""Norms that are no BatchNorm by class, or are one that keeps more than the usual statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Renorm(nn.Module):
    """Batch renormalisation: a running deviation, and the batch's own figures corrected by it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_std", torch.ones(channels))
        self.momentum = 0.1

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return (x - self.running_mean) / self.running_std
        mean, std = x.mean(0), x.std(0, unbiased=False) + 1e-3
        scale = (std / self.running_std).clamp(1 / 3, 3)
        offset = ((mean - self.running_mean) / self.running_std).clamp(-5, 5)
        out = (x - mean) / std * scale + offset
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_std += self.momentum * (std - self.running_std)
        return out


class MovingLast(nn.Module):
    """Another framework's names and layout: moving averages that are parameters, channels last."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.moving_mean = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.moving_variance = nn.Parameter(torch.ones(channels), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.moving_mean, self.moving_variance
        if self.training:
            dims = tuple(range(x.ndim - 1))
            mean, var = x.mean(dims), x.var(dims, unbiased=False)
            self.moving_mean.mul_(0.9).add_(0.1 * mean)
            self.moving_variance.mul_(0.9).add_(0.1 * var)
        return (x - mean) / (var + 1e-5).sqrt()


class FrozenByHand(nn.Module):
    """Stored statistics in both modes, as detection models have them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.full((channels,), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.running_mean) / self.running_var.sqrt()


class Ghost(nn.BatchNorm1d):
    """Parts of a batch with statistics side by side, which `eval()` averages."""

    def __init__(self, channels: int, parts: int = 4) -> None:
        super().__init__(channels, affine=False)
        self.parts = parts
        self.register_buffer("running_mean", torch.zeros(channels * parts))
        self.register_buffer("running_var", torch.ones(channels * parts))

    def train(self, mode: bool = True) -> Ghost:
        if self.training and not mode:
            for name in ("running_mean", "running_var"):
                average = getattr(self, name).view(self.parts, -1).mean(0)
                setattr(self, name, average.repeat(self.parts))
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        held = self.running_mean, self.running_var
        if self.training:
            beside = x.view(-1, self.num_features * self.parts)
            return functional.batch_norm(beside, *held, training=True).view_as(x)
        return functional.batch_norm(x, *(each[: self.num_features] for each in held))
