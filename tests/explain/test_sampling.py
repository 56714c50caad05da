"""What the samples drawn make of a data difference: an error for the test data's own."""

from __future__ import annotations

import pytest
import torch

from varshift._explain.moves import move
from varshift._explain.spread import Spread
from varshift._explain.verdict import LEAST, sure


def spread_of(x):
    """Of all samples, and without each of 16 groups of them."""
    parts = x.tensor_split(16)
    rest = [torch.cat(parts[:at] + parts[at + 1 :]) for at in range(16)]
    return Spread(*(torch.stack([f(each) for each in (x, *rest)]) for f in (_mean, _var)))


def _mean(x):
    return x.mean(0)


def _var(x):
    return x.var(0)


def size_of(train, test):
    start = spread_of(train)
    moved = move(spread_of(test), start, start.var[0].sqrt(), apart=True)
    return sure(moved.displacement(torch.ones(train.shape[1], dtype=torch.bool)))


def drawn(seed, samples, law):
    random = torch.Generator().manual_seed(seed)
    return [law(torch.randn(n, 16, generator=random, dtype=torch.float64)) for n in samples]


@pytest.mark.parametrize("samples", [64, 320])
@pytest.mark.parametrize("spread", [0.5, 1.0, 1.5])
def test_data_of_the_same_law_is_no_other_data(spread, samples):
    """Lognormal features: two errors taken off leave a verdict to 5 in 100 at most."""
    found = [
        size_of(*drawn(seed, (1600, samples), lambda x: (spread * x).exp())) for seed in range(60)
    ]
    # One in twenty, and two standard errors of such a count.
    assert sum(size >= LEAST for size in found) <= 6


def test_other_data_in_a_third_of_the_channels_is_found():
    for seed in range(10):
        train, test = drawn(seed, (1600, 2000), lambda x: x)
        test[:, :5] *= 1.3
        assert size_of(train, test) >= LEAST  # the truth: ln 1.3 · √(5/16) = 0.147
