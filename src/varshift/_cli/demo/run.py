"""The whole story in one run: train twice, inspect, measure, recalibrate, look at what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from varshift._cli.demo.net import PreResNet
from varshift._cli.demo.train import Scores, held_out, train
from varshift._loading import ImageSet, load_images
from varshift._measure.measuring import measure
from varshift._repair.recalibration import recalibrate
from varshift.errors import UsageError
from varshift.results import Measurement, Recalibration

__all__ = ["Demo", "Settings", "Twin", "run_demo"]

Report = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Settings:
    """What the demo trains. `train` and `test` bound the images used of a larger set."""

    data: str = "digits"
    root: str | None = None
    drop_p: float = 0.7
    epochs: int = 6
    width: int = 16
    blocks: int = 2
    batch_size: int = 64
    rate: float = 0.1
    train: int = 4000
    test: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.drop_p < 1:
            raise UsageError(f"--drop is {self.drop_p}; it must lie between 0 and 1")
        if self.epochs < 1:
            raise UsageError(f"--epochs is {self.epochs}; it must be at least 1")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"--seed is {self.seed}; pass 0 or more, and at most 63 bits")


@dataclass(frozen=True, eq=False)
class Twin:
    """One trained network: what was measured on it, and its scores before and after."""

    net: nn.Module
    measurement: Measurement
    recalibration: Recalibration
    before: Scores
    after: Scores

    @property
    def helped(self) -> str:
        """What recalibration did to the held-out loss, beyond two standard errors of the change."""
        change, error, _, _ = self.after.change(self.before)
        if abs(change) <= 2 * error:
            return "no change beyond chance"
        return "lower" if change < 0 else "higher"


@dataclass(frozen=True, eq=False)
class Demo:
    """The network with dropout, its twin without, and where the time went."""

    settings: Settings
    images: str
    trained_on: int
    tested_on: int
    noisy: Twin
    clean: Twin
    seconds: float


def run_demo(settings: Settings, report: Report = lambda done, total: None) -> Demo:
    """Train both networks from the same start, and put both through the same treatment.

    Held-out images take no part in training, measuring or recalibrating.
    """
    start = time.perf_counter()
    images = load_images(settings.data, settings.root, seed=settings.seed)
    images = _bounded(images, settings)
    steps = _Steps(2 * settings.epochs * -(-len(images.train) // settings.batch_size), report)
    with _same_on_every_processor():
        noisy = _twin(settings, images, settings.drop_p, steps)
        clean = _twin(settings, images, 0.0, steps)
    return Demo(
        settings=settings,
        images=images.name,
        trained_on=len(images.train),
        tested_on=len(images.test),
        noisy=noisy,
        clean=clean,
        seconds=time.perf_counter() - start,
    )


@contextmanager
def _same_on_every_processor() -> Iterator[None]:
    """float64 on one thread.

    Processors round differently, and training multiplies such a difference some million times:
    from float32 it reaches the printed figures, from float64 it does not.
    """
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)


class _Steps:
    """Counts training steps of both networks."""

    def __init__(self, total: int, report: Report) -> None:
        self._done, self._total, self._report = 0, total, report

    def __call__(self) -> None:
        self._done += 1
        self._report(self._done, self._total)


def _bounded(images: ImageSet, settings: Settings) -> ImageSet:
    order = torch.Generator().manual_seed(settings.seed)
    train_ = torch.randperm(len(images.train), generator=order)[: settings.train]
    test = torch.randperm(len(images.test), generator=order)[: settings.test]
    return ImageSet(
        images.name,
        images.train[train_].double(),
        images.train_labels[train_],
        images.test[test].double(),
        images.test_labels[test],
    )


def _twin(settings: Settings, images: ImageSet, drop_p: float, steps: _Steps) -> Twin:
    torch.manual_seed(settings.seed)
    net = PreResNet(images.channels, width=settings.width, blocks=settings.blocks, drop_p=drop_p)
    train(
        net,
        images.train,
        images.train_labels,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        rate=settings.rate,
        seed=settings.seed,
        step_done=steps,
    )
    batches = images.train.split(128)
    before = held_out(net, images.test, images.test_labels)
    measurement = measure(net, batches)
    recalibration = recalibrate(net, batches)
    after = held_out(net, images.test, images.test_labels)
    return Twin(net, measurement, recalibration, before, after)
