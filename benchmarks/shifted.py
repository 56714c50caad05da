"""Networks trained on Fashion-MNIST with Dropout-(a), Dropout-(b) and without, kept in a folder.

`python -m benchmarks.shifted` trains what is missing: nine networks, some two minutes each on two
cores. A network is written in one step when it is done, so that a run can be stopped at any time.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from varshift._cli.demo.net import PreResNet
from varshift._cli.demo.train import train
from varshift._loading import ImageSet, load_images

__all__ = ["HELD", "KINDS", "SEEDS", "Split", "split", "trained_net"]

SEEDS = (0, 1, 2)
KINDS = {"(a) 0.5": ("a", 0.5), "(b) 0.5": ("b", 0.5), "no dropout": ("a", 0.0)}
HELD = 5000  # of the 60,000 training images, kept from training: for the gate
EPOCHS, BATCH, RATE, WIDTH, BLOCKS = 4, 128, 0.1, 16, 3
FOLDER = Path(__file__).parent / ".cache"


@dataclass(frozen=True, eq=False)
class Split:
    """Images the networks were trained on, images for the gate, images for the tables."""

    train: Tensor
    train_labels: Tensor
    held: Tensor
    held_labels: Tensor
    test: Tensor
    test_labels: Tensor


@cache
def split() -> Split:
    """Fashion-MNIST; the held-out images are the last of the training set, which is shuffled."""
    images: ImageSet = load_images("fashion-mnist")
    order = torch.randperm(len(images.train), generator=torch.Generator().manual_seed(0))
    train, labels = images.train[order], images.train_labels[order]
    return Split(
        *(train[:-HELD], labels[:-HELD], train[-HELD:], labels[-HELD:]),
        *(images.test, images.test_labels),
    )


def trained_net(kind: str, seed: int) -> nn.Module:
    """A pre-activation ResNet of nine blocks (19 norms), trained once and then read back."""
    place, drop_p = KINDS[kind]
    torch.manual_seed(seed)
    net = PreResNet(1, width=WIDTH, blocks=BLOCKS, drop_p=drop_p, place=place, stride=2)
    name = f"fashion-{place}-{drop_p}-w{WIDTH}x{BLOCKS}-e{EPOCHS}-s{seed}.pt"
    path = FOLDER / name
    if path.is_file():
        net.load_state_dict(torch.load(path, weights_only=True))
        return net
    data = split()
    start = time.perf_counter()
    train(
        *(net, data.train, data.train_labels),
        **{"epochs": EPOCHS, "batch_size": BATCH, "rate": RATE, "seed": seed},
        step_done=lambda: None,
    )
    FOLDER.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".part")
    torch.save(net.state_dict(), unfinished)
    os.replace(unfinished, path)
    print(f"trained {name} in {time.perf_counter() - start:.0f} s", flush=True)
    return net


if __name__ == "__main__":
    for seed_ in SEEDS:
        for kind_ in KINDS:
            trained_net(kind_, seed_)
