"""`vs.inspect` over one forward in training mode, beside tools that draw a network's structure.

The peers find less than routes of noise: torchlens records every operation, torchinfo every
module's shapes. torchlens leaves torch's functions wrapped, which would slow what comes after it,
so it is timed in a process of its own, beside a forward of its own.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator

import torch
import torchvision
from rich.console import Console
from torch import Tensor, nn

import varshift as vs
from benchmarks.lines import Line, aimed, asked, seconds
from benchmarks.nets import mlp, resnet18_cifar, small_cnn
from benchmarks.timing import Times, Work, in_turn, ratio

TITLE = "Inspecting"
QUICK = "ResNet-18,small convolutions,MLP"
FORWARD, OURS = "training forward", "varshift.inspect"
AIM = 1.5
ROUNDS, THEIR_ROUNDS = 5, 2

EXAMPLES: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "EfficientNet-B0, 2 × 3 × 224 × 224": lambda: (
        torchvision.models.efficientnet_b0(),
        torch.randn(2, 3, 224, 224),
    ),
    "ResNet-18 with a CIFAR stem, 8 × 3 × 32 × 32": lambda: (
        resnet18_cifar(),
        torch.randn(8, 3, 32, 32),
    ),
    "DenseNet-201, 2 × 3 × 64 × 64": lambda: (
        torchvision.models.densenet201(drop_rate=0.1),
        torch.randn(2, 3, 64, 64),
    ),
    "small convolutions, 8 × 3 × 16 × 16": lambda: (small_cnn(), torch.randn(8, 3, 16, 16)),
    "MLP, 256 × 64": lambda: (mlp(), torch.randn(256, 64)),
}


def run(console: Console, only: str = "") -> Iterator[Line]:
    """One table per network."""
    for title in EXAMPLES:
        if asked(title, only):
            yield from _lines(title)


def _lines(title: str) -> Iterator[Line]:
    net, x = _made(title)
    timed, shown = copy.deepcopy(net), copy.deepcopy(net)
    times = in_turn(
        {
            FORWARD: lambda: _forward(net, x),
            OURS: lambda: vs.inspect(timed, x),
            "torchinfo.summary": lambda: _torchinfo(shown, x),
        },
        ROUNDS,
    )
    theirs = _apart(title)
    yield Line(title, FORWARD, {"time": seconds(times[FORWARD])})
    for found, name in ((times, OURS), (times, "torchinfo.summary"), (theirs, "torchlens.trace")):
        spread = ratio(found, name, FORWARD)
        aim = aimed(spread.median, AIM if name == OURS else None)
        yield Line(title, name, {"time": seconds(found[name]), "× forward": spread}, **aim)


def _made(title: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    net, x = EXAMPLES[title]()
    return net.train(), x


@torch.no_grad()
def _forward(net: nn.Module, x: Tensor) -> None:
    net(x)


def _torchinfo(net: nn.Module, x: Tensor) -> None:
    import torchinfo

    torchinfo.summary(net, input_data=x, mode="train", verbose=0)


def _apart(title: str) -> Times:
    """Torchlens refuses to run in a child of multiprocessing, so it is a command of its own."""
    command = [sys.executable, "-m", "benchmarks.inspection", title, str(torch.get_num_threads())]
    return json.loads(subprocess.check_output(command).splitlines()[-1])


def _torchlens(title: str) -> Times:
    import torchlens

    net, x = _made(title)
    logged = copy.deepcopy(net)

    def trace() -> None:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torchlens.trace(logged, x)

    work: dict[str, Work] = {FORWARD: lambda: _forward(net, x), "torchlens.trace": trace}
    return in_turn(work, THEIR_ROUNDS)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    print(json.dumps(_torchlens(sys.argv[1])))
