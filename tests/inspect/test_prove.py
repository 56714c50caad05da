"""A proof is yes, no, or not shown: never no for want of a draw that came out otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import varshift as vs
from varshift.results import NotShown


class Path(nn.Module):
    """Stochastic depth of a small rate, drawn in one of several ways."""

    def __init__(self, drop_p, way):
        super().__init__()
        self.drop_p, self.way = drop_p, way

    def forward(self, x):
        if not self.training:
            return x
        keep_p, shape = 1 - self.drop_p, (len(x), 1)
        if self.way == "bernoulli_":
            return x * x.new_empty(shape).bernoulli_(keep_p) / keep_p
        if self.way == "chances":
            return x * torch.bernoulli(torch.full(shape, keep_p)) / keep_p
        if self.way == "floor":
            return x.div(keep_p) * torch.floor(keep_p + torch.rand(shape))
        if self.way == "normal":
            return x * (torch.randn(shape).abs() < 4.5)  # drops with probability 7e-6
        return x * (torch.rand(shape) >= self.drop_p) / keep_p


def net(noise):
    return nn.Sequential(nn.Linear(8, 8), noise, nn.Linear(8, 8), nn.BatchNorm1d(8))


@pytest.mark.parametrize("drop_p", [1e-4, 0.003, 0.02, 0.5])
@pytest.mark.parametrize("way", ["bernoulli_", "chances", "floor", "rand", "normal"])
def test_a_rare_draw_is_proven(way, drop_p):
    s = vs.inspect(net(Path(drop_p, way)), torch.randn(2, 8))
    proof = s.prove(s.routes[0])
    assert (proof.answer, bool(proof), proof.reseeded, proof.unshown) == (True, True, True, None)


def test_a_draw_that_cannot_change_is_not_shown():
    s = vs.inspect(net(Path(0.0, "bernoulli_")), torch.randn(2, 8))
    proof = s.prove(s.routes[0])
    assert (proof.answer, bool(proof), proof.reseeded) == (None, False, False)
    assert proof.unshown is NotShown.NEVER_CHANGED


class Cancelled(nn.Module):
    """The noise is added and taken away again: the route is followed, and nothing moves."""

    def forward(self, x):
        noise = torch.randint(3, x.shape).to(x.dtype)
        return (x.round() + noise) - noise


def test_a_draw_that_moves_nothing_is_disproven():
    s = vs.inspect(nn.Sequential(Cancelled(), nn.BatchNorm1d(8)), torch.randn(4, 8))
    proof = s.prove(s.routes[0])
    assert (proof.answer, proof.reseeded, proof.unshown) == (False, True, None)


class Ahead(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mask", (torch.rand(64, 8) < 0.5) * 2.0)

    def forward(self, x):
        return x * self.mask[: len(x)] if self.training else x


def test_a_mask_that_no_pass_draws_is_not_shown():
    s = vs.inspect(net(Ahead()), torch.randn(4, 8))
    proof = s.prove(s.routes[0])
    assert (proof.answer, proof.unshown) == (None, NotShown.KEPT)


class ByNumpy(nn.Module):
    def forward(self, x):
        return x * torch.from_numpy(np.random.rand(*x.shape) < 0.5) if self.training else x


def test_what_numpy_draws_is_proven_by_its_seed():
    np.random.seed(0)
    s = vs.inspect(net(ByNumpy()), torch.randn(4, 8))
    before = np.random.get_state()[1].copy()
    assert s.prove(s.routes[0]).answer is True
    assert np.array_equal(np.random.get_state()[1], before)


class OwnGenerator(nn.Module):
    """Two draws of one generator that the model holds."""

    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x):
        first = torch.rand(x.shape, generator=self.generator) < 0.5
        second = torch.rand(x.shape, generator=self.generator) < 0.5
        return torch.cat([x * first, x * second], 1)


class Parted(nn.Module):
    def __init__(self):
        super().__init__()
        self.noise, self.one, self.other = OwnGenerator(), nn.BatchNorm1d(8), nn.BatchNorm1d(8)

    def forward(self, x):
        one, other = self.noise(x).clone().chunk(2, 1)
        return self.one(one.clone()) + self.other(other.clone())


def test_the_draws_after_it_stay_as_they_were_where_a_generator_is_the_models_own():
    s = vs.inspect(Parted(), torch.randn(4, 8))
    # Halves of one buffer count as one, so both routes are reported; one of the two moves nothing.
    answers = {(r.noise, r.norm): s.prove(r).answer for r in s.routes}
    assert answers == {
        ("noise", "one"): True,
        ("noise", "other"): False,
        ("noise#2", "one"): False,
        ("noise#2", "other"): True,
    }


def test_a_proof_uses_the_draws_of_the_pass_that_was_inspected():
    """A number that decides how often another is drawn moves the count of the draws after it."""

    class Sometimes(nn.Module):
        def forward(self, x):
            for _ in range(int(torch.randint(5, ()))):
                torch.rand(())
            return x * (torch.rand_like(x) < 0.5)

    for seed in range(4):
        torch.manual_seed(seed)
        s = vs.inspect(net(Sometimes()), torch.randn(4, 8))
        assert s.prove(s.routes[0]).answer is True


class Renormalising(nn.Module):
    """A norm by hand that keeps running statistics."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(8))
        self.register_buffer("running_std", torch.ones(8))

    def forward(self, x):
        if not self.training:
            return (x - self.running_mean) / self.running_std
        mean, std = x.mean(0), x.std(0) + 1e-3
        self.running_mean.lerp_(mean, 0.1)
        self.running_std.lerp_(std, 0.1)
        return (x - mean) / std


class MadeInForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        return nn.BatchNorm1d(8)(self.linear(x))


class InAList(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = [nn.BatchNorm1d(8)]

    def forward(self, x):
        return self.norms[0](x)


class PerSample(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.InstanceNorm1d(8, track_running_stats=True)

    def forward(self, x):
        return self.norm(x[:, :, None] * torch.ones(5).cumsum(0))


@pytest.mark.parametrize("norm", [Renormalising, MadeInForward, InAList, PerSample])
def test_norms_by_another_name_are_proven(norm):
    s = vs.inspect(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), norm()), torch.randn(16, 8))
    assert len(s.routes) == 1
    assert s.prove(s.routes[0]).answer is True
