"""A norm that runs twice a pass: whose doing it is that its one average fits neither run."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine import Batch, Recording


class Twice(nn.Module):
    """The second run receives what the first does, or that and `further`."""

    def __init__(self, further: float = 0.0):
        super().__init__()
        self.norm, self.further = nn.BatchNorm1d(12), further

    def forward(self, x):
        return self.norm(x), self.norm(x + self.further)


def batches(apart: float, size: int = 64, count: int = 12):
    """Normal numbers, the mean of each batch `apart` from that of the one before, up and down."""
    drawn = torch.randn(count, size, 12, generator=torch.Generator().manual_seed(0))
    return list(drawn + apart * (torch.arange(count) % 2 - 0.5)[:, None, None])


def trained(model, data):
    """Its statistics as many passes over these batches leave them."""
    for _ in range(30):
        for batch in data:
            model(batch)
    return model


def names(found):
    return [step.kind for step in found.advice]


@pytest.mark.parametrize("size", [64, 4])
def test_unlike_batches_are_no_fault_of_alike_runs(size):
    data = batches(6.0, size)
    found = vs.diagnose(trained(Twice(), data), data)
    assert found.explanation.verdict == "small-batch"
    assert found.explanation.unlike_runs == ()
    assert "reused" not in found.explanation.reason
    assert "separate-norms" not in names(found)
    assert "recalibrate" in names(found)


def test_small_batches_are_no_fault_of_alike_runs():
    data = batches(0.0, 2, 64)
    found = vs.explain(trained(Twice(), data), data)
    assert found.unlike_runs == ()
    assert "reused" not in found.reason


@pytest.mark.parametrize("apart", [0.0, 2.0])
def test_unlike_runs_are_told_and_each_gets_a_norm_of_its_own(apart):
    data = batches(apart)
    found = vs.diagnose(trained(Twice(4.0), data), data)
    assert found.explanation.unlike_runs == ("norm",)
    assert "on unlike inputs" in found.explanation.reason
    assert names(found) == ["separate-norms"]
    assert found.explanation.to_dict()["unlike_runs"] == ["norm"]
    shown = str(found)
    assert shown.startswith(
        "Severe. A norm is reused on unlike inputs, so that the statistics stored"
    )
    assert re.search(r"^norm +runs ", shown, re.MULTILINE)


def received(passes):
    """The tally of a norm that was given each of these, (runs, samples, channels), in one pass."""
    bank = Recording("train", scattered=True).bank
    for index, runs in enumerate(passes):
        bank.begin(Batch(index, runs[0], len(runs[0])))
        for x in runs:
            bank.add("norm", x)
        bank.end()
    return bank["norm"]


@pytest.mark.parametrize("count", [1, 40])
def test_the_part_between_runs_is_that_of_their_means_and_variances(count):
    random = torch.Generator().manual_seed(1)
    x = torch.randn(count, 2, 4000 // count, 3, generator=random, dtype=torch.float64)
    moved = torch.tensor([0.0, 3.0], dtype=torch.float64)[:, None, None]
    wider = torch.tensor([1.0, 2.0], dtype=torch.float64)[:, None, None]
    # Means 0 and 3 have a variance of 9/4, variances 1 and 4 one of 9/4 too.
    means, variances = received(wider * x + moved).between_runs()
    assert (means - 9 / 4).abs().max() < 0.3
    assert (variances - 9 / 4).abs().max() < 0.5
    # The same, however far the batches lie apart.
    batches = torch.arange(float(count), dtype=torch.float64)[:, None, None, None]
    apart = received(wider * x + moved + batches).between_runs()
    assert (apart[0] - means).abs().max() < 0.3
    assert (apart[1] - variances).abs().max() < 1e-6
    # Of alike runs there is nothing, and of a single one.
    assert max(part.max() for part in received(x).between_runs()) < 0.01
    assert max(part.max() for part in received(x[:, :1]).between_runs()) == 0
