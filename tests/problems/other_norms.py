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


class OwnArithmetic(nn.BatchNorm1d):
    """A BatchNorm by class that calls no batch normalisation in either mode."""

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(0), x.var(0, unbiased=False)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(x.var(0), self.momentum)
        return (x - mean) / (var + self.eps).sqrt() * self.weight + self.bias


class OwnInTraining(OwnArithmetic):
    """The same in training alone, as norms that are synchronised by hand are."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        return nn.BatchNorm1d.forward(self, x)


class Absolute(OwnArithmetic):
    """Evaluation makes something else of the same statistics."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        return (x - self.running_mean).abs() / (self.running_var + self.eps).sqrt()


class InPlace(nn.BatchNorm1d):
    """It writes over what it is given, so that nobody knows afterwards what that was."""

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(0), x.var(0)
            self.running_mean.lerp_(mean, 0.1)
            self.running_var.lerp_(var, 0.1)
        return x.sub_(mean).div_((var + self.eps).sqrt())


class Keeping(nn.Module):
    """Another framework's momentum: what is kept of the old statistics."""

    def __init__(self, channels: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.momentum = momentum

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(0), x.var(0)
            self.running_mean.mul_(self.momentum).add_((1 - self.momentum) * mean.detach())
            self.running_var.mul_(self.momentum).add_((1 - self.momentum) * var.detach())
        return (x - mean) / (var + 1e-5).sqrt()


class KeepingByCall(Keeping):
    """The same by the operation, which takes the weight of the new ones."""

    def forward(self, x: Tensor) -> Tensor:
        held = self.running_mean, self.running_var
        return functional.batch_norm(
            x, *held, training=self.training, momentum=1 - self.momentum, eps=1e-5
        )
