"""Which networks are trained: kinds × ways to train × data, and twins that never met noise."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from zlib import crc32

from benchmarks.footprints.nets import Noise, Widths

RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
KINDS = (
    *("conv (a)", "keras", "linear (b)", "mixed", "tutorial", "residual"),
    *("channel", "linear (a)", "pool", "conv (b)", "trunk"),
)
# Ways to train and data, in an order that is balanced early.
TRAININGS = (
    *(("annealed", "digits"), ("adam", "fashion"), ("constant", "digits")),
    *(("adam", "digits"), ("constant", "fashion"), ("annealed", "fashion")),
)
ROUNDS = "0:2"


@dataclass(frozen=True)
class Case:
    """One network: how it is built, where noise stood while it was trained, and how it was trained.

    `slots` are all places where a network of this kind may have noise, those with none included:
    the hypotheses somebody has who knows the code.
    """

    key: str
    kind: str
    twin: bool  # trained without noise
    architecture: str
    widths: Widths
    optimiser: str
    data: str
    slots: Mapping[str, Noise]
    momentum: float = 0.1
    batch: int = 64
    seed: int = 0

    @property
    def noises(self) -> dict[str, Noise]:
        """The noise there was."""
        return {place: noise for place, noise in self.slots.items() if noise.drop_p}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `rates` is the truth."""
        return asdict(self) | {"rates": {place: one.drop_p for place, one in self.noises.items()}}


def cases(rounds: str | None = None) -> Iterator[Case]:
    """Every prefix is balanced over kinds; twins go with those they are twins of.

    `rounds`, or FOOTPRINT_ROUNDS, is "0:2" or any others: the same 132 networks each, with other
    widths, rates and seeds.
    """
    given = rounds or os.environ.get("FOOTPRINT_ROUNDS", ROUNDS)
    first, last = (int(end) for end in given.split(":"))
    for turn in range(first, last):
        for number, (optimiser, data) in enumerate(TRAININGS):
            for twin in (False, True):
                for offset, kind in enumerate(KINDS):
                    yield _case(kind, optimiser, data, 6 * turn + number, offset, twin)


def case_of(key: str) -> Case:
    """The network of this key, of whatever round; KeyError where there is none."""
    turn = int(key.removesuffix("-twin").rpartition("-")[2])
    return {case.key: case for case in cases(f"{turn}:{turn + 1}")}[key]


def _case(kind: str, optimiser: str, data: str, number: int, offset: int, twin: bool) -> Case:
    key = f"{kind.replace(' (', '-').rstrip(')')}-{optimiser}-{data}-{number // 6}"
    draw = random.Random(crc32(key.encode()))
    architecture, widths, places = _drawn(kind, number, draw)
    rates = _rates(len(places), draw, each=kind == "mixed")
    if number % 2 and kind != "mixed":
        rates[0] = 0.0  # the first block never had noise
    slots = {
        place: Noise(0.0 if twin else rate, kind == "channel" and place != "head")
        for place, rate in zip(places, rates, strict=True)
    }
    if kind == "mixed":
        slots = {"norm1": Noise(0.0), **slots}
    turn = number + offset
    return Case(
        f"{key}-twin" if twin else key,
        kind,
        twin,
        architecture,
        widths,
        optimiser,
        data,
        slots,
        momentum=0.01 if turn % 12 == 4 else 0.2 if turn % 6 == 1 else 0.1,
        batch=128 if turn % 6 == 3 else 64,
        seed=crc32(key.encode()) % 1000,
    )


def _rates(count: int, draw: random.Random, each: bool) -> list[float]:
    """One rate for all, or one for each."""
    if each or draw.random() < 0.5:
        return [draw.choice(RATES) for _ in range(count)]
    return [draw.choice(RATES)] * count


def _drawn(kind: str, number: int, draw: random.Random) -> tuple[str, Widths, list[str]]:
    """Architecture, widths and places of one network of this kind."""
    other = (number + number // 6) % 2 == 1  # the second of two variants, with each training once
    blocks = draw.choice((3, 4))
    widths = tuple(sorted(draw.choice((24, 32, 40, 48, 64)) for _ in range(blocks)))
    numbers = range(1, blocks + 1)
    three, wide = widths[:3], (draw.choice((24, 32)), draw.choice((32, 48)))
    if kind == "conv (a)":
        return "conv", widths, [f"norm{i}" for i in numbers]
    if kind == "conv (b)":
        return "conv", widths, [f"conv{i}" for i in numbers[1:]]
    if kind == "tutorial":
        return "tutorial", widths, [f"norm{i}" for i in numbers]
    if kind == "keras":
        return "keras", three, ["conv2", "conv3", *(["head"] if draw.random() < 0.5 else [])]
    if kind == "pool":
        first = "pool" if other else "conv"
        return "pool", three, [f"{first}{i}" for i in (1, 2, 3) if first == "pool" or i > 1]
    if kind.startswith("linear"):
        widths = tuple(draw.choice((128, 192, 256)) for _ in range(draw.choice((2, 3))))
        first = "norm" if kind == "linear (a)" else "linear"
        return "linear", widths, [f"{first}{i}" for i in range(1, len(widths) + 1)]
    if kind == "trunk":
        places = ["norm1", "norm2", "norm3"] if other else ["conv2", "linear"]
        return "trunk", (*widths[:2], draw.choice((64, 128))), places
    if kind == "residual":
        return "residual" if other else "wide", wide, ["block1.conv2", "block2.conv2"]
    if kind == "channel":
        return (
            ("keras", three, ["conv2", "conv3"])
            if other
            else (("conv", widths, [f"conv{i}" for i in numbers[1:]]))
        )
    widths = tuple(sorted(draw.choice((24, 32, 40, 48)) for _ in range(4)))
    both = (
        ["conv2", "norm3", "conv4", "norm4"]
        if draw.random() < 0.5
        else (["norm2", "conv3", "conv4", "norm4"])
    )
    return "tutorial" if other else "conv", widths, both
