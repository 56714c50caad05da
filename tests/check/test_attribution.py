"""Whose shift it is: a noise's own, carried on, a small batch's, or something else's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs


def carried():
    return nn.Sequential(
        *(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64), nn.BatchNorm1d(64)),
        *(nn.ReLU(), nn.Dropout(0.001), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.Linear(64, 2)),
    )


@pytest.mark.parametrize("real", [True, False])
def test_what_is_carried_on_is_not_blamed_on_a_negligible_dropout(real):
    x = torch.randn(1024, 16)
    found = vs.check(carried(), data=list(x.split(128))) if real else vs.check(carried(), x)
    placed = {f.place: f for f in found}
    assert placed.keys() == {"4", "8"}
    assert (placed["8"].code, placed["8"].noises) == ("VS106", ("2",))
    assert placed["8"].severity > 2


def test_what_noise_does_not_explain_is_said_and_not_blamed_on_it():
    silent = nn.Sequential(
        *(nn.Linear(8, 8), nn.Dropout(1.0), nn.BatchNorm1d(8)),
        *(nn.Linear(8, 8), nn.Dropout(0.02), nn.BatchNorm1d(8)),
    )
    found = vs.check(silent, torch.randn(256, 8))
    assert len(found) == 0
    assert any(
        note.startswith("5: severity ") and "the noise found explains 1.0" in note
        for note in found.notes
    )
    assert any("norm (2): in training nothing arrives there" in note for note in found.notes)


class Scaled(nn.Module):
    """Three times as large in evaluation, whatever the dropout does."""

    def __init__(self, drop_p):
        super().__init__()
        self.drop, self.norm = nn.Dropout(drop_p), nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(self.drop(x if self.training else 3 * x))


def test_a_noises_own_part_is_reported_alone():
    x = torch.randn(1024, 8)
    (rest,) = vs.check(Scaled(0.01), data=list(x.split(128)))
    assert (rest.code, rest.noises, rest.severity) == ("VS108", (), pytest.approx(9.0))
    found = vs.check(Scaled(0.5), data=list(x.split(128)))
    rest, own = found
    assert (rest.code, rest.noises, rest.severity) == ("VS108", (), pytest.approx(9.0))
    assert own.severity == pytest.approx(2.0, rel=0.1)
    assert any("norm: severity 4." in n and "explains 2.0" in n for n in found.notes)


def deep():
    return nn.Sequential(
        *(nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.001)),
        *(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.Linear(64, 64), nn.BatchNorm1d(64)),
    )


def test_a_norms_own_estimate_is_not_counted_as_noise():
    assert len(vs.check(deep(), torch.randn(16, 16))) == 0
    assert len(vs.check(deep(), torch.randn(16, 16), max_severity=1.03)) == 0


def test_very_few_values_give_a_note():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8))
    few = vs.check(net, torch.randn(4, 8))
    assert len(few) == 0
    assert any(note.startswith("1: severity ") and "fewer than 8" in note for note in few.notes)
    pairs = vs.check(net, data=list(torch.randn(256, 8).split(2)))
    assert len(pairs) == 0
    assert any("fewer than 8 values" in note for note in pairs.notes)
    assert len(vs.check(net, torch.randn(8, 8))) == 1
