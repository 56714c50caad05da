"""The inputs of a network's norms, kept by plain forward hooks, and their moments in float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Exact", "Inputs", "kept", "passed"]

Inputs = dict[bool, dict[str, list[Tensor]]]  # by training or not, then by path


@dataclass(frozen=True)
class Exact:
    """Mean and unbiased variance per channel, (C,) float64, by two passes over all values."""

    mean: Tensor
    var: Tensor

    @property
    def deviations(self) -> Tensor:
        """The standard deviation in means; infinite where the mean is 0 and it is not."""
        return torch.where(self.var > 0, self.var.sqrt() / self.mean.abs(), 0.0)

    @classmethod
    def of(cls, batches: list[Tensor]) -> Exact:
        """Of all batches as one; channels are dimension 1."""
        values = torch.cat([x.movedim(1, 0).reshape(x.shape[1], -1) for x in batches], 1).double()
        mean = values.mean(1)
        mean += (values - mean[:, None]).mean(1)  # what rounding of the sum has left over
        return cls(mean, (values - mean[:, None]).square().sum(1) / (values.shape[1] - 1))


@contextmanager
def kept(net: nn.Module) -> Iterator[Inputs]:
    """Inside, whatever arrives at a norm is copied."""
    inputs: Inputs = {True: {}, False: {}}
    hooks = []
    for path, module in net.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):

            def keep(norm: nn.Module, args: tuple[Tensor], path: str = path) -> None:
                inputs[norm.training].setdefault(path, []).append(args[0].detach().clone())

            hooks.append(module.register_forward_pre_hook(keep))
    yield inputs
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def passed(net: nn.Module, batches: list[Tensor]) -> dict[str, Exact]:
    """What the norms receive in evaluation mode with the statistics that the network has."""
    net.eval()
    with kept(net) as inputs:
        for batch in batches:
            net(batch)
    return {path: Exact.of(values) for path, values in inputs[False].items()}
