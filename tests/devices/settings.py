"""The ways in which people run one and the same network, and what is true of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

BATCHES, SIZE = 6, 32


def network():
    """Noise straight before one norm and behind a convolution before the other; float64."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Dropout(0.4), nn.BatchNorm2d(8)),
        *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)),
    ).double()
    for index, _ in norms(net):  # every value is exact in bfloat16 too
        net[index].running_mean.copy_(torch.linspace(-0.5, 0.5, 9)[:8])
        net[index].running_var.fill_(0.5)
        net[index].num_batches_tracked.fill_(100)
    for parameter in net.parameters():
        parameter.data.copy_(parameter.data.bfloat16())
    return net


def norms(net):
    return [(i, layer) for i, layer in enumerate(net) if isinstance(layer, nn.BatchNorm2d)]


def images():
    generator = torch.Generator().manual_seed(1)
    for _ in range(BATCHES):
        x = torch.randn(SIZE, 3, 8, 8, generator=generator).bfloat16().double()
        yield x, torch.randint(0, 4, (SIZE,), generator=generator)


def settled():
    """By norm, mean and variance where every norm before it has its own: layer after layer."""
    return _by_layer(renew=True)


def stored_kept():
    """By norm, mean and variance of its input in evaluation, as it is."""
    return _by_layer(renew=False)


def _by_layer(renew):
    x, found = torch.cat([x for x, _ in images()]), {}
    for index, layer in enumerate(copy.deepcopy(network()).eval()):
        if isinstance(layer, nn.BatchNorm2d):
            values = x.transpose(0, 1).flatten(1)
            mean, var = values.mean(1), values.var(1)
            found[index] = mean, var
            if renew:
                layer.running_mean, layer.running_var = mean, var
        with torch.no_grad():
            x = layer(x)
    return found


class Checkpointed(nn.Module):
    def __init__(self, inner, reentrant):
        super().__init__()
        self.inner, self.reentrant = inner, reentrant

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=self.reentrant)


@dataclass(frozen=True)
class Setting:
    """How the network is lent, how batches are, and how exact its variances can be.

    `prefix` stands before the norms' names; `rtol` is that of a variance of its activations.
    """

    dtype: torch.dtype = torch.float32
    change: Callable[[nn.Module], nn.Module] = lambda net: net
    batch: Callable[[torch.Tensor], torch.Tensor] = lambda x: x
    forward: Callable[[nn.Module, Any], Any] | None = None
    prefix: str = ""
    rtol: float = 1e-4
    kinds: tuple[str, ...] = ("cpu", "cuda", "mps", "xpu")

    def model(self, device):
        return self.change(network().to(device, self.dtype))

    def data(self, device):
        return [(self.batch(x.to(device, self.dtype)), y.to(device)) for x, y in images()]


def _autocast(dtype):
    def forward(model, batch):
        with torch.autocast(batch[0].device.type, dtype):
            return model(batch[0])

    return forward


def _compiled_in_place(net):
    net.compile(backend="eager")
    return net


def _compiled_children(net):
    net[0] = torch.compile(net[0], backend="eager")
    for layer in net[1:]:
        layer.compile(backend="eager")
    return net


def _wrapped(head: Callable[[nn.Module], nn.Module]):
    return lambda net: nn.Sequential(head(net[:6]), net[6:])


# A value in bfloat16 is rounded to 2^-9 of itself: a variance of such sums is off by that much.
BFLOAT16, HALF = 2e-2, 4e-3
SETTINGS = {
    "float32": Setting(),
    "float64": Setting(dtype=torch.float64, rtol=1e-10, kinds=("cpu", "cuda", "xpu")),
    "bfloat16": Setting(dtype=torch.bfloat16, rtol=BFLOAT16),
    "half": Setting(dtype=torch.float16, rtol=HALF),
    "autocast to bfloat16": Setting(forward=_autocast(torch.bfloat16), rtol=BFLOAT16),
    "autocast to half": Setting(
        forward=_autocast(torch.float16), rtol=HALF, kinds=("cuda", "mps", "xpu")
    ),
    "channels last": Setting(
        change=lambda net: net.to(memory_format=torch.channels_last),
        batch=lambda x: x.to(memory_format=torch.channels_last),
    ),
    "compiled": Setting(change=lambda net: torch.compile(net, backend="eager")),
    "compiled in place": Setting(change=_compiled_in_place),
    "compiled children": Setting(change=_compiled_children),
    "compiled within": Setting(
        change=_wrapped(lambda head: torch.compile(head, backend="eager")),
        prefix="0._orig_mod.",
    ),
    "checkpointed": Setting(
        change=_wrapped(lambda head: Checkpointed(head, False)), prefix="0.inner."
    ),
    "checkpointed, reentrant": Setting(
        change=_wrapped(lambda head: Checkpointed(head, True)),
        batch=lambda x: x.requires_grad_(),
        prefix="0.inner.",
    ),
}
