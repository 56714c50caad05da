"""What the notes say, and what they must not say."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import varshift as vs
from varshift.results.structure import Line


class Dropped(nn.Module):
    def __init__(self, flag):
        super().__init__()
        self.norm, self.flag = nn.BatchNorm1d(8), flag

    def forward(self, x):
        return self.norm(F.dropout(x, 0.5, self.flag(self.training)))


@pytest.mark.parametrize("real", [True, False])
def test_a_flag_the_wrong_way_round_is_sized(real):
    x = torch.randn(1024, 8)
    net = Dropped(lambda training: not training)
    found = vs.check(net, data=list(x.split(128))) if real else vs.check(net, x)
    (note,) = (n for n in found.notes if "evaluation draws random numbers" in n)
    size = float(note.partition("severity ")[2].partition(",")[0])
    assert size == pytest.approx(2.0, rel=0.1)
    assert not any("stays on in eval mode" in n for n in found.notes)


def test_noise_in_both_modes_is_not_said_to_be_the_wrong_way_round():
    found = vs.check(Dropped(lambda training: True), torch.randn(1024, 8))
    assert any("stays on in eval mode" in n for n in found.notes)
    assert not any("reversed training flag" in n for n in found.notes)


def test_functional_dropout_of_everything_is_said_with_its_line():
    net = nn.Module()
    net.norm = nn.BatchNorm1d(8)
    net.forward = lambda x: net.norm(F.dropout(x, 1.0, net.training))
    (note,) = (n for n in vs.check(net, torch.randn(64, 8)).notes if "drop_p is 1" in n)
    drawn = Line(__file__, 43, "<lambda>", "")  # as the reader sees it from where they stand
    assert note.startswith(f"(model) ({drawn.near}):")


def test_a_fresh_model_is_not_said_to_be_right_in_evaluation():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8))
    found = vs.check(net, data=list(torch.randn(1024, 8).split(128)))  # variance 1, as it was made
    assert [f.code for f in found] == ["VS101"]
    assert not any("evaluation is right as it is" in n for n in found.notes)


class PerMode(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.BatchNorm1d(4), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.one(x) if self.training else self.other(3 * x)


def test_a_norm_that_evaluation_reaches_is_not_said_to_be_out_of_reach():
    found = vs.check(PerMode(), torch.randn(4000, 4))
    assert [f.code for f in found] == ["VS205"]
    assert not any("never reached it" in n for n in found.notes)
