"""Training as it is in life, and the folder of checkpoints it fills."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.footprints.nets import build, put_in
from benchmarks.footprints.plan import Case
from varshift._loading import load_images

EPOCHS = {"digits": 16, "fashion": 6}
FASHION = 6400  # images


def cache_folder() -> Path:
    """FOOTPRINT_CACHE, or a folder of the user's cache."""
    given = os.environ.get("FOOTPRINT_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return Path(given) if given else base / "varshift" / "footprints"


@lru_cache(maxsize=2)
def images(data: str) -> tuple[Tensor, Tensor]:
    """Images (N, 1, H, W) and labels (N,): digits of 8 × 8, or Fashion-MNIST pooled to 14 × 14."""
    if data == "digits":
        found = load_images("digits")
        return torch.cat([found.train, found.test]), torch.cat(
            [found.train_labels, found.test_labels]
        )
    found = load_images("fashion-mnist")
    return F.avg_pool2d(found.train[:FASHION], 2), found.train_labels[:FASHION]


def fresh(case: Case) -> nn.Module:
    """The network of this case, without noise, untrained."""
    side = images(case.data)[0].shape[-1]
    return build(case.architecture, case.widths, side, case.momentum, case.seed)


def trained(case: Case) -> tuple[nn.Module, float]:
    """The network as it stands at the end of training, and its accuracy in the last epoch."""
    net = fresh(case)
    x, labels = images(case.data)
    whole = len(x) // case.batch * case.batch
    # A norm of momentum 0.01 wants more steps to forget what it began with.
    longer = 2 if case.momentum < 0.05 else 1.5 if case.batch > 64 else 1
    epochs = int(EPOCHS[case.data] * longer)
    optimiser, rate = _optimiser(case.optimiser, net, epochs * whole // case.batch)
    handles = put_in(net, case.noises)
    right = 0
    for _ in range(epochs):
        right = 0
        for part in torch.randperm(len(x))[:whole].split(case.batch):
            optimiser.zero_grad()
            outputs = net(x[part])
            F.cross_entropy(outputs, labels[part]).backward()
            optimiser.step()
            rate.step()
            right += int((outputs.argmax(1) == labels[part]).sum())
    for handle in handles:
        handle.remove()
    return net, right / whole


def _optimiser(
    name: str, net: nn.Module, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimiser: torch.optim.Optimizer
    if name == "adam":
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    else:
        top = 0.1 if name == "annealed" else 0.05
        optimiser = torch.optim.SGD(net.parameters(), top, momentum=0.9, weight_decay=5e-4)
    if name == "annealed":
        return optimiser, torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _: 1.0)


def train(cases: Iterable[Case], folder: Path) -> Iterator[dict[str, Any]]:
    """What is not in the folder yet; each is written, then told in one line of its index."""
    folder.mkdir(parents=True, exist_ok=True)
    done = index(folder)
    for case in cases:
        if case.key in done:
            continue
        begun = time.perf_counter()
        net, accuracy = trained(case)
        file = folder / f"{case.key}.pt"
        torch.save(net.state_dict(), file)
        line = case.to_dict() | {
            "seconds": round(time.perf_counter() - begun, 1),
            "accuracy": round(accuracy, 3),
            "file": str(file),
        }
        with (folder / "index.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        yield line


def index(folder: Path) -> dict[str, dict[str, Any]]:
    """What is trained, by key."""
    file = folder / "index.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {line["key"]: line for line in map(json.loads, lines)}
