"""Channels that shift where the median over all of them does not: fewer than half, but not few."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._counting import counted, verb
from varshift.results.grading import GRADES
from varshift.theory.spread import median

__all__ = ["Few", "few_of", "in_words"]

_SHARE = 0.1  # of the channels; fewer are named by nobody
_NAMED = 3


@dataclass(frozen=True)
class Few:
    """How many channels of how many are surely off, and how far: the median severity of those."""

    count: int
    channels: int
    severity: float


def few_of(ratio: Tensor, error: Tensor) -> Few | None:
    """Those of the (C,) ratios, NaN where dead, that two of their errors leave off by a tenth.

    None where the median is off too, or where there are next to none.

    >>> apart = few_of(torch.tensor([1.0, 1.0, 1.0, 0.5]), torch.full((4,), 0.01))
    >>> apart.count, apart.channels, apart.severity
    (1, 4, 2.0)
    >>> few_of(torch.tensor([1.0, 0.5, 0.5]), torch.zeros(3)) is None
    True
    """
    live = ~ratio.isnan()
    ratio, error = ratio[live], error[live].nan_to_num(math.inf)
    low, high = ratio - 2 * error, ratio + 2 * error
    least = torch.where(low > 1, low, torch.where(high < 1, 1 / high.clamp(min=1e-300), 1.0))
    off = least > GRADES["mild"]
    count, channels = int(off.sum()), int(live.sum())
    if not _SHARE * channels <= count <= channels / 2 or not count:
        return None
    overall = float(least.log().square().mean().sqrt())
    if overall <= math.log(GRADES["mild"]):
        return None
    return Few(count, channels, median(torch.maximum(ratio, 1 / ratio)[off]))


def in_words(few: Mapping[str, Few], what: str) -> list[str]:
    """A sentence each, by path of the norm, those first that have most of them.

    `what`: the figure in which they are off, "the stored variance".
    """
    ordered = sorted(few.items(), key=lambda pair: -pair[1].count / pair[1].channels)
    said = [
        f"{path}: {each.count} of {counted(each.channels, 'channel')} {verb(each.count, 'are')} "
        f"off in {what} by severity {each.severity:.2f} (their median). The figure of a norm is "
        "the median over all its channels, which does not show them"
        for path, each in ordered[:_NAMED]
    ]
    if len(ordered) > _NAMED:
        more = len(ordered) - _NAMED
        said.append(f"{counted(more, 'norm')} more {verb(more, 'have')} such channels")
    return said
