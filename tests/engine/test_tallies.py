"""How the samples of batches are dealt to groups, and what norms have stored."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine.record.tally import pieces, rounding


@pytest.mark.parametrize(
    ("samples", "batch", "expected"),
    [
        *((100, 0, 16), (100, 1, 8), (100, 2, 5), (100, 7, 2), (100, 8, 1), (100, 15, 1)),
        *((100, 99, 1), (3, 0, 3), (3, 1, 3), (1, 0, 1), (1, 50, 1)),
    ],
)
def test_the_first_batches_are_cut_into_more_pieces(samples, batch, expected):
    assert pieces(samples, batch) == expected


def test_rounding_is_told_from_variance():
    """A constant channel in single precision is dead whatever its mean; a thousandth is not."""
    precision = torch.finfo(torch.float32).eps
    for mean in (1e-3, 1.0, -1e3):
        steps = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
        rounded = (mean * (1 + precision * steps)).double().var()
        varied = (mean * (1 + 1e-3 * steps)).double().var()
        bound = rounding(torch.tensor(mean).double(), precision)
        assert rounded < bound < varied
    assert rounding(torch.zeros(2), precision).tolist() == [0, 0]


@pytest.mark.parametrize("training", [True, False])
def test_the_batches_that_a_norm_has_counted(training):
    norm = nn.BatchNorm1d(3)
    net = nn.Sequential(nn.Dropout(0.5), norm)
    batches = torch.randn(70, 3).split(10)
    for batch in batches:
        net(batch)
    stored = vs.measure(net.train(training), batches)["1"].stored
    assert stored.count == 7
    assert torch.equal(stored.var.float(), norm.running_var)
    norm.num_batches_tracked = None  # as of checkpoints from before it was counted
    assert vs.measure(net.eval(), batches)["1"].stored.count == 0
