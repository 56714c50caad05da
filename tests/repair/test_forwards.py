"""How many forward passes a repair takes: what its methods need, as docs/repair.md says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import varshift as vs
from problems.settling import settled
from varshift.judging import Judge

BATCH, PASSES = 32, 3
READY = 3  # the structure, the modules that draw, the kind of predictions
ALIKE = 4  # whether noisy passes return what evaluation returns


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)),
        )

    def forward(self, x):
        forwards.append(len(x))
        return self.body(x)


forwards: list[int] = []


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return settled(Counted(), torch.randn(512, 8).split(32), 3)


def taken(net, method, *, labelled, ours=6, theirs=4):
    draws = torch.Generator().manual_seed(1)

    def batches(count):
        x = torch.randn(count * BATCH, 8, generator=draws)
        y = torch.randint(0, 3, (len(x),), generator=draws)
        return (
            list(zip(x.split(BATCH), y.split(BATCH), strict=True)) if labelled else x.split(BATCH)
        )

    forwards.clear()
    judge = Judge(passes=PASSES, level=1e-9)
    r = vs.repair(net, batches(ours), held_out=batches(theirs), method=method, judge=judge)
    assert not r.accepted
    assert all(candidate.score is not None for candidate in r.candidates)
    return len(forwards)


def fit(ours):
    """One pass to meet the norms, then epochs over the calibration batches."""
    return 1 + ours * max(5, math.ceil(200 / ours))


def test_one_that_teaches_nothing(net):
    ours, theirs = 6, 4
    assert taken(net, "adjust-once", labelled=True) == READY + ours + 2 * theirs
    # A prediction without data looks at a few samples in both modes, to see if they are alike.
    assert taken(net, "correct", labelled=True) <= READY + 8 + 2 * theirs
    # Beside the batches, in step, a few samples that show whether the model remembers.
    assert taken(net, "recalibrate", labelled=True) <= READY + ours + 2 + 2 * theirs


def test_one_that_is_taught(net):
    ours, theirs = 6, 4
    expected = READY + ALIKE + PASSES * (ours + theirs) + fit(ours) + 2 * theirs
    assert taken(net, "distill", labelled=True) == expected
    assert taken(net, "distill", labelled=False) == expected


def test_what_candidates_share_is_done_once(net):
    ours, theirs = 6, 4
    methods = ["distill", "adjust-once+distill", "adjust-once"]
    expected = READY + ALIKE + PASSES * (ours + theirs) + 2 * fit(ours) + ours + 4 * theirs
    assert taken(net, methods, labelled=True) == expected
    assert taken(net, methods, labelled=True, theirs=6) == expected + 2 * (PASSES + 4)
