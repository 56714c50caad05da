"""What no noise accounts for is named as that, and blamed on nobody."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs

X = torch.randn(1024, 8, generator=torch.Generator().manual_seed(0))
both = pytest.mark.parametrize("real", [True, False], ids=["data", "example"])


def checked(net, real, **more):
    np.random.seed(0)
    random.seed(0)
    torch.manual_seed(0)
    return vs.check(net, data=list(X.split(128)), **more) if real else vs.check(net, X, **more)


class Rows(nn.Module):
    """A small dropout, and rows replaced in training by a draw outside torch's sight."""

    def __init__(self, drawn):
        super().__init__()
        self.drawn = drawn
        self.drop, self.norm = nn.Dropout(0.05), nn.BatchNorm1d(8)

    def forward(self, x):
        x = self.drop(x).clone()
        if self.training:
            x[self.drawn(len(x))] = 3.0
        return self.norm(x)


OUTSIDE = {
    "(numpy random)": lambda n: torch.from_numpy(np.random.rand(n) < 0.3),
    "(python random)": lambda n: torch.tensor([random.random() < 0.3 for _ in range(n)]),
}


@both
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_draw_outside_torch_is_not_blamed_on_the_dropout_beside_it(name, real):
    found = checked(Rows(OUTSIDE[name]), real)
    codes = {f.code: f for f in found}
    assert set(codes) == {"VS108"}
    assert codes["VS108"].noises == (name,)
    # variance 1 and 30 % of 3: 0.7 + 0.3 · 9 − (0.3 · 3)² = 2.59
    assert codes["VS108"].severity == pytest.approx(2.59, rel=0.1)
    assert "comes from no noise that was found" in codes["VS108"].message


class Ahead(nn.Module):
    """A mask drawn before the pass and kept in an attribute."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.mask = 2.0 * (torch.rand(128, 8) < 0.5)

    def forward(self, x):
        return self.norm(x * self.mask.repeat(len(x) // 128, 1) if self.training else x)


class Doubled(nn.Module):
    """No noise at all: another scale in training, which a second norm takes out."""

    def __init__(self):
        super().__init__()
        self.norm, self.last = nn.BatchNorm1d(8), nn.BatchNorm1d(8)

    def forward(self, x):
        return self.last(self.norm(2 * x if self.training else x))


@both
def test_code_under_training_is_found_without_any_noise(real):
    found = checked(Doubled(), real)
    (f,) = found
    assert (f.code, f.place, f.noises, f.also) == ("VS108", "norm", (), ("last",))
    assert f.severity == pytest.approx(4.0, rel=0.01)
    assert f.shift == pytest.approx(0.25, rel=0.01)


@both
def test_a_mask_drawn_ahead_is_found(real):
    found = checked(Ahead(), real)
    assert [f.place for f in found] == ["norm"]
    assert found.findings[0].severity == pytest.approx(2.0, rel=0.15)


@both
@pytest.mark.parametrize("drop_p", [0.0, 0.5])
def test_where_noise_explains_it_there_is_no_rest(drop_p, real):
    net = nn.Sequential(
        *(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(drop_p)),
        *(nn.Linear(16, 16), nn.RReLU(), nn.BatchNorm1d(16), nn.AlphaDropout(drop_p)),
        *(nn.Linear(16, 16), nn.BatchNorm1d(16)),
    )
    assert not [f for f in checked(net, real) if f.code == "VS108"]


class Always(nn.Module):
    """Dropout in both modes, and perhaps one more in training."""

    def __init__(self, more=0.0, test_p=0.5):
        super().__init__()
        self.first, self.norm = nn.Linear(8, 64), nn.BatchNorm1d(64)
        self.more, self.test_p = nn.Dropout(more), test_p

    def forward(self, x):
        x = functional.dropout(self.first(x).relu(), 0.5 if self.training else self.test_p)
        return self.norm(self.more(x))


@both
@pytest.mark.parametrize("trained", [True, False])
def test_noise_in_both_modes_shifts_nothing(real, trained):
    torch.manual_seed(0)
    net = Always()
    if trained:
        for batch in X.split(64) * 4:
            net(batch)
    found = checked(net, real)
    assert not [f for f in found if f.code.startswith("VS1")]
    assert any("stays on in eval mode" in note for note in found.notes)


@both
def test_noise_of_training_alone_is_sized_beside_noise_of_both(real):
    """E[x²] = e, mean c: both 2e − c², with the other 4e − c²."""
    torch.manual_seed(0)
    net = Always(0.5)
    with torch.no_grad():
        x = net.first(X).relu().double()
    square, mean = x.square().mean(0), x.mean(0)
    true = float(((4 * square - mean**2) / (2 * square - mean**2)).median())
    found = checked(net, real)
    (f,) = (f for f in found if f.code.startswith("VS1"))
    assert f.noises == ("more",)
    assert f.severity == pytest.approx(true, rel=0.1)


@both
def test_another_rate_in_evaluation_is_no_noise_of_both(real):
    found = checked(Always(test_p=0.1), real)
    assert [f for f in found if f.code.startswith("VS1")]


class Head(nn.Module):
    """Pooled features, dropout, and an embedding that is normalised."""

    def __init__(self):
        super().__init__()
        self.drop, self.linear, self.norm = nn.Dropout(0.6), nn.Linear(256, 64), nn.BatchNorm1d(64)

    def forward(self, x):
        return self.norm(self.linear(self.drop(10 + x)))  # a large mean: a shift of hundreds


def test_a_large_shift_is_found_on_four_samples():
    torch.manual_seed(0)
    x = torch.randn(64, 256)
    net = Head()
    (f,) = vs.check(net, x[:4])
    true = vs.measure(net, [torch.randn(64, 256) for _ in range(8)])["norm"].severity
    assert f.low < true < f.high
    assert (f.code, f.basis) == ("VS102", "example")


def test_noise_that_nobody_can_silence_answers_for_what_is_left():
    class Token(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.05), nn.BatchNorm1d(8)

        def forward(self, x):
            x = self.drop(x).clone()
            if self.training:
                x = torch.where(torch.rand(len(x), 1) < 0.3, torch.full_like(x, 3.0), x)
            return self.norm(x)

    for real in (True, False):
        (f,) = checked(Token(), real)
        assert "(model)" in f.noises
        assert f.severity == pytest.approx(2.65, rel=0.1)
