"""Everything that needs a GPU, in under eight minutes: the marked tests, then what verbs cost.

Without one it says so, and times the processor with small networks, so that the script itself is
known to run. `ACCELERATOR_MINUTES` is how long the tests may take.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torchvision
from rich.console import Console
from rich.table import Table
from torch import nn

import varshift as vs
from benchmarks.lines import Line

ROUNDS = 5
ROOT = Path(__file__).parent.parent


def run(console: Console, only: str = "") -> Iterable[Line]:
    """The tests, then the costs."""
    device = _device()
    console.print(f"device: {_named(device)}\n")
    _tests(console)
    _costs(console, device)
    return ()


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _named(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _tests(console: Console) -> None:
    """One process, so that the device is opened once; what fails is shown."""
    minutes = float(os.environ.get("ACCELERATOR_MINUTES", "5"))
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "-m", "accelerator"]
    try:
        done = subprocess.run(
            [*command, "tests/devices", "tests/measure"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60 * minutes,
        )
        output = done.stdout
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode() + f"\nended after {minutes:g} minutes"
    for line in output.splitlines():
        if re.match(r"(FAILED|ERROR|NOT TESTED|ended|E  )|.*(passed|skipped|failed)", line):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print()


def _costs(console: Console, device: torch.device) -> None:
    table = Table(
        "network", "verb", "over plain passes", "ms", "plain, ms", "peak, MiB",
        title="time of a verb over the plain passes that it needs",
    )  # fmt: skip
    for name, model, data in _networks(device):
        for verb, call, training, evaluating in _verbs():
            ratio, ours, plain, peak = _measured(model, data, call, training, evaluating, device)
            table.add_row(
                name, verb, f"{ratio:.2f}", f"{1e3 * ours:.0f}", f"{1e3 * plain:.0f}", peak
            )
    console.print(table)


def _networks(device: torch.device) -> list[tuple[str, nn.Module, list[torch.Tensor]]]:
    """ResNet-50 with dropout and a wide MLP; on a processor, smaller ones."""
    large = device.type != "cpu"
    torch.manual_seed(0)
    net = (torchvision.models.resnet50 if large else torchvision.models.resnet18)(weights=None)
    net.layer3.append(nn.Dropout(0.3))
    size, side, count = (64, 224, 8) if large else (4, 32, 3)
    images = [torch.randn(size, 3, side, side, device=device) for _ in range(count)]
    width = 2048 if large else 64
    mlp = nn.Sequential(*_block(width), *_block(width))
    rows = [torch.randn(512, width, device=device) for _ in range(count)]
    return [
        ("ResNet-50" if large else "ResNet-18", net.to(device), images),
        ("MLP", mlp.to(device), rows),
    ]


def _block(width: int) -> tuple[nn.Module, ...]:
    return nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(width)


Call = Callable[[nn.Module, list[torch.Tensor]], object]


def _verbs() -> list[tuple[str, Call, int, int]]:
    """Each with how many passes it needs in training and in evaluation."""
    return [
        ("measure", lambda model, data: vs.measure(model, data), 1, 1),
        ("recalibrate", lambda model, data: vs.recalibrate(model, data).undo(), 0, 1),
        ("predict", lambda model, data: vs.predict(model, data), 1, 1),
        ("explain", lambda model, data: vs.explain(model, data), 2, 2),
    ]


def _measured(
    model: nn.Module,
    data: list[torch.Tensor],
    call: Call,
    training: int,
    evaluating: int,
    device: torch.device,
) -> tuple[float, float, float, str]:
    """In turn, the median over rounds; the first round of each is not counted."""
    ratios, ours, plains, peak = [], [], [], 0.0
    for turn in range(ROUNDS + 1):
        plain = _timed(lambda: _plain(model, data, training, evaluating), device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        mine = _timed(lambda: call(model, data), device)
        if device.type == "cuda":
            peak = max(peak, torch.cuda.max_memory_allocated(device) / 2**20)
        if turn:
            ratios.append(mine / plain)
            ours.append(mine)
            plains.append(plain)
    shown = f"{peak:.0f}" if peak else "-"
    median = statistics.median
    return median(ratios), median(ours), median(plains), shown


def _plain(model: nn.Module, data: list[torch.Tensor], training: int, evaluating: int) -> None:
    with torch.no_grad():
        for mode, times in ((True, training), (False, evaluating)):
            model.train(mode)
            for _ in range(times):
                for x in data:
                    model(x)
    model.train()


def _timed(call: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    call()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()
