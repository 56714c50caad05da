"""Moments of the inputs of real norms: time beside torch's own ways, error against float64.

The inputs are those of ResNet-18's norms after a few steps of training, in both memory formats;
the same after a ReLU; and images of 0 to 255, whose means are large against their deviations.
*batch norm's* are the statistics that its training kernel computes (`batch_norm_update_stats`). The
error is the largest relative error of a channel's variance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torchvision
from rich.console import Console
from torch import Tensor, nn

from benchmarks.lines import Line, aimed, asked, seconds
from benchmarks.timing import in_turn, ratio
from varshift._engine.record.moments import channel_moments
from varshift.theory.moments import Moments

TITLE = "Moments of activations"
ROUNDS = 5
EXACT = 5e-7  # what `channel_moments` promises
_AXES = (0, 2, 3)
WAYS: dict[str, Callable[[Tensor], object]] = {
    "ours": channel_moments,
    "batch norm's": lambda x: torch.batch_norm_update_stats(x, None, None, 0.0),
    "var_mean": lambda x: torch.var_mean(x, _AXES),
}


def run(console: Console, only: str = "") -> Iterator[Line]:
    """One line per kind of input and memory format."""
    for name, inputs in activations().items():
        for last in (False, True):
            title = f"{name}{', channels last' if last else ''}"
            if asked(title, only):
                laid = torch.channels_last if last else torch.contiguous_format
                yield _line(title, [x.contiguous(memory_format=laid) for x in inputs])


def _line(name: str, inputs: list[Tensor]) -> Line:
    times = in_turn({way: _over(run_, inputs) for way, run_ in WAYS.items()}, ROUNDS)
    error = max(map(_error, inputs))
    cells = {"MB": f"{sum(x.nbytes for x in inputs) / 2**20:.0f}", "ours": seconds(times["ours"])}
    for way in list(WAYS)[1:]:
        cells[f"÷ {way}"] = ratio(times, "ours", way)
    return Line("", name, {**cells, "error": f"{error:.1e}"}, **aimed(error, EXACT))


def _over(way: Callable[[Tensor], object], inputs: list[Tensor]) -> Callable[[], None]:
    def work() -> None:
        for x in inputs:
            way(x)

    return work


def activations() -> dict[str, list[Tensor]]:
    """Inputs of the norms, the same after a ReLU, and the images."""
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=10).train()
    colours = torch.rand(10, 3, 8, 8)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(5):
        labels = torch.randint(10, (32,))
        images = nn.functional.interpolate(colours[labels], size=(64, 64), mode="bilinear")
        images = images + 0.3 * torch.rand(images.shape)
        nn.functional.cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    inputs: list[Tensor] = []
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda _, args: inputs.append(args[0].clone()))
    with torch.no_grad():
        net(images)
    rectified = [(x - x.mean(_AXES, keepdim=True)).relu() for x in inputs]
    return {"inputs of norms": inputs, "after a ReLU": rectified, "images": [images * 255]}


def _error(x: Tensor) -> float:
    """Largest relative error of a channel's variance."""
    found, exact = channel_moments(x), Moments.of(x)
    alive = exact.m2 > 0
    return float((found.m2 / exact.m2 - 1).abs()[alive].max())
