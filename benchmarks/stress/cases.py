"""Networks, data and ways to split them that make moments hard to compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["DROP_P", "Both", "Case", "cases"]

CHANNELS, BEHIND, DROP_P = 6, 5, 0.5
Split = Callable[[Tensor], list[Tensor]]


class Both(nn.Module):
    """One dropout in front of a norm, placement (a), and of a layer and a norm, placement (b)."""

    def __init__(self, channels: int, image: bool) -> None:
        super().__init__()
        self.drop = nn.Dropout(DROP_P)
        norm = nn.BatchNorm2d if image else nn.BatchNorm1d
        self.direct = norm(channels)
        self.layer = nn.Conv2d(channels, BEHIND, 3) if image else nn.Linear(channels, BEHIND)
        self.behind = norm(BEHIND)

    def forward(self, x: Tensor) -> Tensor:
        """(N,)"""
        x = self.drop(x)
        return self.direct(x).flatten(1).mean(1) + self.behind(self.layer(x)).flatten(1).mean(1)


@dataclass(frozen=True)
class Case:
    """Data of one kind.

    Attributes:
        name: what is hard about it.
        x: (N, C) or (N, C, H, W), in the number format of the network.
        split: how it becomes batches.
        whole: whether the truth is that of one batch with all samples. Else it is that of the same
            batches: a float32 layer rounds its own sums differently for each size of a batch.
        verbs: those that take it.
    """

    name: str
    x: Tensor
    split: Split
    whole: bool = False
    verbs: tuple[str, ...] = ("recalibrate", "measure", "predict")

    def net(self) -> nn.Module:
        """The same weights each time."""
        torch.manual_seed(0)
        return Both(self.x.shape[1], self.x.ndim == 4).to(self.x.dtype)


def cases(large: bool = True) -> Iterator[Case]:
    """All of them; without the `large` ones they take seconds."""
    yield from _scales()
    yield from _constants()
    yield from _halves()
    yield from _splits()
    if large:
        yield from _large()


def _in(size: int) -> Split:
    return lambda x: list(x.split(size))


def _drawn(*shape: int, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
    """Every channel its own: deviations differ by up to a half, signs of means alternate."""
    dice = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=dice)
    each = torch.linspace(0.5, 1.0, shape[1]), torch.tensor([1.0, -1.0]).repeat(shape[1])
    wide = (-1, *[1] * (len(shape) - 2))
    return deviation * each[0].view(wide) * x + mean * each[1][: shape[1]].view(wide)


def _shapes() -> Iterator[tuple[str, Callable[..., Tensor], Split]]:
    yield "rows", lambda **law: _drawn(512, CHANNELS, **law), _in(64)
    yield "images", lambda **law: _drawn(32, CHANNELS, 12, 12, **law), _in(8)
    yield "images of many samples", lambda **law: _drawn(96, CHANNELS, 6, 6, **law), _in(48)
    yield (
        "images, channels last",
        lambda **law: _drawn(32, CHANNELS, 12, 12, **law).to(memory_format=torch.channels_last),
        _in(8),
    )


def _scales() -> Iterator[Case]:
    for shape, draw, split in _shapes():
        for mean in (1.0, 3.5, 12.0, 1e2, 1e4, 1e6):  # the ways change at 3, 4 and 16
            yield Case(f"{shape}: mean {mean:g}, variance 1", draw(mean=mean), split)
        for var in (1e-12, 1e-6, 1e6, 1e12):
            x = draw(deviation=var**0.5)
            yield Case(f"{shape}: mean 0, variance {var:g}", x, split)
        x = draw(mean=1e4, deviation=1e-2)
        yield Case(f"{shape}: mean 10000, variance 0.0001", x, split)
        x = draw(mean=1e6, deviation=1e6)
        yield Case(f"{shape}: mean 1000000, variance 1e+12", x, split)


def _constants() -> Iterator[Case]:
    for shape, draw, split in _shapes():
        x = draw()
        x[:, 0], x[:, 1], x[:, 2] = 0.0, 1.0, 1e6
        yield Case(f"{shape}: three channels constant at 0, 1 and 1000000", x, split)
        x = torch.full_like(x, 0.1)
        # No channel has a Δ to predict.
        verbs = ("recalibrate", "measure")
        yield Case(f"{shape}: all channels constant at 0.1", x, split, verbs=verbs)


def _halves() -> Iterator[Case]:
    for dtype, means in ((torch.float16, (0.0, 10.0, 1e3)), (torch.bfloat16, (0.0, 10.0, 100.0))):
        for shape, draw, split in _shapes():
            for mean in means:
                name = f"{shape}: {str(dtype).removeprefix('torch.')}, mean {mean:g}"
                yield Case(name, draw(mean=mean).to(dtype), split)


def _ragged(x: Tensor) -> list[Tensor]:
    return list(x.split([3, 2, 14, len(x) - 19]))


def _by_class(x: Tensor) -> list[Tensor]:
    return list(x[x.flatten(1).mean(1).argsort()].split(8))


def _shuffled(x: Tensor) -> list[Tensor]:
    return list(x[torch.randperm(len(x), generator=torch.Generator().manual_seed(2))].split(8))


_SPLITS: dict[str, Split] = {
    "one by one": _in(1),
    "in eights": _in(8),
    "all at once": lambda x: [x],
    "ragged": _ragged,
    "sorted by their means": _by_class,
    "shuffled": _shuffled,
}


def _splits() -> Iterator[Case]:
    """Against the truth of all samples in one batch; at large means in float64 throughout."""
    for shape, draw, _ in list(_shapes())[:2]:
        for how, split in _SPLITS.items():
            # A norm of rows cannot train on a single sample: torch itself refuses.
            alone = how == "one by one" and shape == "rows"
            verbs = ("recalibrate",) if alone else ("recalibrate", "measure")
            yield Case(f"{shape}: {how}, mean 0", draw(), split, True, verbs)
            x = draw(mean=1e4).double()
            yield Case(f"{shape}: {how}, mean 10000, float64", x, split, True, verbs)


def _large() -> Iterator[Case]:
    """Ten million values a channel."""
    x = _drawn(10_000_000, 2)
    yield Case("ten million rows in batches of 100,000, mean 0", x, _in(100_000))
    x = _drawn(10_000_000, 2, mean=100.0)
    yield Case("ten million rows in two batches, mean 100", x, _in(5_000_000))
    for mean in (0.0, 100.0):
        x = _drawn(40, 2, 500, 500, mean=mean)
        yield Case(f"40 images of 500 × 500, one by one, mean {mean:g}", x, _in(1))
