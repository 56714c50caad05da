"""Networks that take images: options they accept, and the smallest side they take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.zoo.specimen import LeftOut, Specimen, on_meta, revived, tested

__all__ = ["SIDES", "accepted", "smallest"]

SIDES = (64, 96, 128, 160, 192, 224, 256, 299, 384)
_REFUSED = re.compile(r"(?:unexpected|multiple values for) (?:keyword )?argument(.*)")


def accepted(make: Callable[..., nn.Module], options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that the constructor takes, found by trying, without memory."""
    while True:
        try:
            on_meta(partial(make, **options))
        except TypeError as refused:
            named = _REFUSED.search(str(refused))
            unknown = [name for name in options if named and f"'{name}'" in named[1]]
            if not unknown:
                raise
            options = {name: value for name, value in options.items() if name not in unknown}
        else:
            return options


def smallest(
    make: Callable[..., nn.Module],
    tries: Iterable[tuple[dict[str, Any], int]],
    channels: int = 3,
    depth: tuple[int, ...] = (),
) -> Specimen:
    """The first (options, side) that passes a training forward; all samples are square images."""
    said = "no side was tried"
    for options, side in tries:
        samples = 4 if side <= 64 else 2

        def draw(count: int, side: int = side) -> torch.Tensor:
            return torch.randn(count, channels, *depth, side, side)

        words = " ".join(f"{name}={value}" for name, value in options.items())
        shape = " × ".join(str(size) for size in (samples, channels, *depth, side, side))
        told = f"{shape} {words}".strip()
        try:
            return tested(Specimen(revived(make(**options)), draw, None, told, samples))
        except LeftOut as reason:  # the next side may do
            said = str(reason)
    raise LeftOut(said)
