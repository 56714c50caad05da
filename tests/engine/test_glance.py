"""The light entrance: one noise-off forward, against the session that does the same at length."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from problems.steady import steady
from varshift._engine import Glance, Regime, both, norm_handles, session
from varshift.errors import ForwardError


class Net(nn.Module):
    """A norm that runs twice, and a forward that writes and draws."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(6)
        self.more = nn.BatchNorm1d(6)
        self.register_buffer("calls", torch.zeros(1))
        self.fails = False

    def forward(self, x):
        self.calls += 1
        torch.rand(1)
        x = self.norm(self.drop(x))
        x = self.norm(2 * x + 1)
        if self.fails and not self.training:
            raise RuntimeError("not today")
        return self.more(x)


@pytest.fixture
def net():
    with steady(0):
        made = Net()
        for _ in range(3):
            made(torch.randn(32, 6))
    return made


@pytest.fixture
def x():
    return torch.randn(32, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def state(net):
    values = {name: value.clone() for name, value in net.state_dict().items()}
    return values, [m.training for m in net.modules()], torch.get_rng_state()


def assert_as(net, before):
    values, flags, drawn = before
    assert all(torch.equal(value, values[name]) for name, value in net.state_dict().items())
    assert flags == [m.training for m in net.modules()]
    assert torch.equal(drawn, torch.get_rng_state())
    assert torch.is_grad_enabled()


def kept(parts):
    """What a running average makes of runs in a row, beside what it held before."""
    weights = [(1 - 0.1) ** (len(parts) - 1 - at) for at in range(len(parts))]
    return sum(w * part for w, part in zip(weights, parts, strict=True)) / sum(weights)


def test_it_sees_what_a_session_sees_and_leaves_no_mark(net, x):
    glance = Glance(net, norm_handles(net).values())
    assert glance.light
    before = state(net)
    seen = glance.off(x)
    assert_as(net, before)
    arrived = {"norm": [], "more": []}
    with session(net) as run:
        watch = {p: lambda _, x, out, p=p: arrived[p].append(x[0].clone()) for p in arrived}
        run.once(run.example(x), Regime("evaluation", watch=watch))
    assert list(map(len, arrived.values())) == [2, 1]
    assert set(seen) == set(arrived)
    for path, runs in arrived.items():
        mean, var = kept([x.mean(0) for x in runs]), kept([x.var(0) for x in runs])
        torch.testing.assert_close(seen[path].var, var, rtol=1e-9, atol=0)
        torch.testing.assert_close(seen[path].mean, mean, rtol=1e-9, atol=1e-12)


def test_two_passes_see_the_same_with_noise_off(net, x):
    seen = Glance(net, norm_handles(net).values()).off(x)
    before = state(net)
    on, off = both(net, x, None, [])
    assert_as(net, before)
    # Both passes weigh the runs of a norm alike, since neither is compared with an average.
    assert set(off) == set(seen)
    torch.testing.assert_close(seen["more"].var, off["more"].var, rtol=1e-9, atol=0)
    assert (on["norm"].var != off["norm"].var).all()


def test_a_forward_that_raises_leaves_no_mark(net, x):
    glance = Glance(net, norm_handles(net).values())
    net.fails = True
    before = state(net)
    with pytest.raises(ForwardError, match="not today"):
        glance.off(x, index=7)
    assert_as(net, before)


def test_a_norm_that_goes_by_its_batch_in_evaluation_is_left_out(x):
    class Stubborn(nn.BatchNorm1d):
        def forward(self, x):
            return nn.functional.batch_norm(x, self.running_mean, self.running_var, training=True)

    model = nn.Sequential(Stubborn(6, dtype=torch.float64), nn.BatchNorm1d(6, dtype=torch.float64))
    assert set(Glance(model, norm_handles(model).values()).off(x)) == {"1"}


def test_other_modules_make_it_stale(net):
    glance = Glance(net, norm_handles(net).values())
    assert not glance.stale
    net.last = nn.Identity()
    assert glance.stale


def test_a_model_whose_eval_does_more_is_not_light():
    class Merging(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(6)

        def train(self, mode=True):
            super().train(mode)
            self.norm.running_mean = self.norm.running_mean * 0.5  # another tensor
            return self

        def forward(self, x):
            return self.norm(x)

    model = Merging()
    assert not Glance(model, norm_handles(model).values()).light
