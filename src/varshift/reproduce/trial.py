"""How many images a second a network trains in each number format, and which is worth taking."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from varshift.errors import UsageError
from varshift.reproduce.images import Pixels
from varshift.reproduce.precision import Precision, Wish, bf16_available
from varshift.reproduce.run import Run
from varshift.reproduce.training import Training

__all__ = ["WORTH", "ChosenPrecision", "chosen_precision", "speeds"]

# bfloat16 is taken from so much on: less is within what a busy machine makes of equal speeds.
WORTH = 1.2
ROUNDS = 3
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


@dataclass(frozen=True)
class ChosenPrecision:
    """A number format, and the images a second that it was chosen by; none where it was given."""

    precision: Precision
    images_per_second: dict[str, float]


def chosen_precision(wish: Wish, run: Run, images: Pixels, device: str) -> ChosenPrecision:
    """What was wished for; for "auto", what a trial of a few steps finds faster.

    One trial a process for each network, whatever its noise and seed. Raises UsageError where
    bfloat16 is wished for and the device has none.
    """
    if wish == "fp32":
        return ChosenPrecision("fp32", {})
    if not bf16_available(device):
        if wish == "auto":
            return ChosenPrecision("fp32", {})
        raise UsageError(f"--precision bf16: {device} has no bfloat16; pass fp32 or auto")
    if wish == "bf16":
        return ChosenPrecision("bf16", {})
    tried = _tried(run, images, device)
    worth = tried["bf16"] >= WORTH * tried["fp32"]
    return ChosenPrecision("bf16" if worth else "fp32", tried)


_known: dict[tuple[object, ...], dict[str, float]] = {}


def _tried(run: Run, images: Pixels, device: str) -> dict[str, float]:
    key = (run.shape, images.sha256, run.recipe.batch_size, device, torch.get_num_threads())
    if key not in _known:
        _known[key] = speeds(run, images, device)
    return _known[key]


def speeds(run: Run, images: Pixels, device: str = "cpu", rounds: int = ROUNDS) -> dict[str, float]:
    """Images a second of whole training steps, by number format: the fastest of some rounds.

    The formats take turns, so that a slow moment of the machine hits both.
    """
    # One thread's own time does not count what other processes take.
    alone = device == "cpu" and torch.get_num_threads() == 1
    clock = time.thread_time if alone else time.perf_counter
    with torch.random.fork_rng():
        trainings = {
            precision: Training(run, images, device=device, precision=precision)
            for precision in PRECISIONS
        }
        least = dict.fromkeys(PRECISIONS, float("inf"))
        for round_ in range(rounds + 1):
            for precision, training in trainings.items():
                training.step = 0
                began = clock()
                training.one()  # ends with the loss on the host: nothing is still under way
                if round_:  # the first one warms up
                    least[precision] = min(least[precision], clock() - began)
    return {precision: run.recipe.batch_size / seconds for precision, seconds in least.items()}
