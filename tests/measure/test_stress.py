"""A slice of docs/results/stress.md: moments where they are hard to compute, within the bars."""

from __future__ import annotations

from fractions import Fraction
from statistics import mean, variance

import pytest
import torch
from benchmarks.stress import BAR, judged
from benchmarks.stress.cases import CHANNELS, cases
from benchmarks.stress.truth import Exact

CASES = {case.name: case for case in cases(large=False)}
SLICE = (
    "rows: mean 12, variance 1",
    "rows: mean 1e+06, variance 1",
    "rows: mean 0, variance 1e-12",
    "rows: three channels constant at 0, 1 and 1000000",
    "rows: float16, mean 10",
    "rows: one by one, mean 0",
    "images: mean 3.5, variance 1",
    "images: mean 1e+06, variance 1",
    "images: mean 0, variance 1e+12",
    "images: all channels constant at 0.1",
    "images: bfloat16, mean 100",
    "images: one by one, mean 0",
    "images: shuffled, mean 10000, float64",
    "images of many samples: mean 1e+06, variance 1",
    "images, channels last: mean 3.5, variance 1",
    "images, channels last: mean 10000, variance 0.0001",
)


@pytest.mark.parametrize("name", SLICE)
def test_every_verb_keeps_its_bar(name):
    for errors in judged(CASES[name]):
        assert errors.worst <= errors.bar, errors


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_the_truth_is_that_of_fractions(offset):
    x = torch.randn(7, CHANNELS, 2, generator=torch.Generator().manual_seed(0)) + offset
    found = Exact.of(list(x.split(3)))
    for channel in range(CHANNELS):
        values = [Fraction(value) for value in x[:, channel].flatten().tolist()]
        assert float(found.mean[channel]) == pytest.approx(float(mean(values)), rel=1e-15)
        assert float(found.var[channel]) == pytest.approx(float(variance(values)), rel=1e-12)


def test_the_truth_catches_one_pass_in_single_precision():
    x = torch.randn(512, 1, generator=torch.Generator().manual_seed(0)) + 1e4
    wrong = x.square().mean() - x.mean().square()
    assert abs(float(wrong / Exact.of([x]).var) - 1) > 1000 * BAR
