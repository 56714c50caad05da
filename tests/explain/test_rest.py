"""A shift goes to a source as far as it was shown; the rest is named as such, and nobody's."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs


class Between(nn.Module):
    """Dropout, and something else in training, before a norm."""

    def __init__(self, step, drop_p=0.1):
        super().__init__()
        self.step = step
        self.first, self.drop = nn.Linear(8, 32), nn.Dropout(drop_p)
        self.norm, self.head = nn.BatchNorm1d(32, momentum=None), nn.Linear(32, 3)
        self.token = nn.Parameter(2 * torch.randn(32))
        self.register_buffer("mask", (torch.rand(640, 1) > 0.3).float() / 0.7)

    def forward(self, x):
        h = self.drop(torch.tanh(self.first(x)))
        return self.head(self.norm(self.step(self, h) if self.training else h))


def explained(step, drop_p=0.1, seed=0):
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    net, data = Between(step, drop_p), [torch.randn(64, 8) for _ in range(10)]
    with torch.no_grad():
        for _ in range(3):
            for batch in data:
                net(batch)
    return vs.explain(net, data)


def replaced(net, h):
    """Rows become a learned token: seen to draw, neither product nor sum."""
    h = h.clone()
    h[torch.rand(len(h)) < 0.3] = net.token
    return h


def replaced_by_numpy(net, h):
    chosen = torch.from_numpy(np.random.rand(len(h), 1) < 0.3)
    return torch.where(chosen, net.token, h)


def kept(net, h):
    """A mask drawn ahead of the pass."""
    return h * net.mask[: len(h)]


def doubled(net, h):
    return 2 * h


def test_a_draw_that_cannot_be_silenced_comes_before_the_dropout():
    x = explained(replaced)
    rest, share = x.blame.rest["norm"], x.blame["drop", "norm"]
    assert rest.value > 0.15
    assert rest.value > 2 * share.value
    assert x.blame.unsilenced == ("(model)",)
    assert x.verdict == "noise"
    told = f"{100 * rest.value:.0f} % of its training variance, which no source explains"
    assert told in x.reason
    assert x.reason.index("'(model)'") < x.reason.index("'drop'")
    assert "code under self.training" in x.reason


@pytest.mark.parametrize("drop_p", [0.0, 0.1])
def test_masks_that_numpy_draws_are_not_put_on_the_dropout(drop_p):
    """A source of their own where they are followed to the data, else seen to draw."""
    x = explained(replaced_by_numpy, drop_p)
    assert x.verdict == "noise"
    assert "(numpy random)" in {*x.blame.unsilenced, *x.blame.noises}
    assert "'(numpy random)'" in x.reason
    if drop_p:
        rest = max(abs(x.blame.rest["norm"]), abs(x.blame["drop", "norm"]))
        others = [share for name, share in x.blame.behind("norm").items() if name != "drop"]
        assert max([rest, *others]) > 3 * x.blame["drop", "norm"]
        assert "'drop'" not in x.reason or x.reason.index("(numpy") < x.reason.index("'drop'")


@pytest.mark.parametrize("drop_p", [0.0, 0.1])
def test_a_mask_drawn_ahead_is_not_put_on_the_dropout(drop_p):
    """It is a source of its own where it is found, else nobody's: the same in every pass."""
    x = explained(kept, drop_p)
    assert "Nothing to see" not in x.reason
    largest = next(iter(x.blame.behind("norm")), None)
    if largest == "mask":
        assert x.verdict == "noise"
    else:
        assert x.verdict == "unattributed"
        assert x.blame.rest["norm"].value > 0.2
        assert "masks drawn ahead of the pass" in x.reason


@pytest.mark.parametrize("drop_p", [0.0, 0.1])
def test_what_is_the_same_in_every_pass_is_no_draw(drop_p):
    x = explained(doubled, drop_p)
    assert x.verdict == "unattributed"
    assert x.worst["unattributed"] == "norm"
    assert x.blame.steady is True
    assert x.blame.unsilenced == ()
    assert "No draw explains it" in x.reason
    assert "masks drawn ahead of the pass" in x.reason
    assert any("which no source explains" in note for note in x.notes)
    assert x.scores["unattributed"] > 2 * x.scores["noise"]


def test_the_rest_of_a_factor_of_two_is_exact():
    """Without noise: training has four times the variance, three quarters of it nobody's."""
    x = explained(doubled, 0.0)
    rest = x.blame.rest["norm"]
    assert rest.value == pytest.approx(0.75, abs=1 / 640)  # one of its variances is unbiased
    assert x.factors["norm"].noise.value == pytest.approx(0.25, rel=1e-4)
    assert x.factors["norm"].batches.value == pytest.approx(1, abs=1 / 320)
    # Half the log of a variance ratio of 4, and means that double too.
    assert x.factors["norm"].displacement["unattributed"] >= 0.69


def test_a_difference_behind_the_last_norm_is_said():
    """Outputs may differ on purpose: no verdict, but it is not nothing."""

    class Softmax(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16, momentum=None))
            self.head = nn.Linear(16, 3)

        def forward(self, x):
            x = self.head(self.body(x).relu())
            return x if self.training else x.softmax(1)

    net, data = Softmax(), [torch.randn(64, 8) for _ in range(8)]
    with torch.no_grad():
        for batch in data:
            net(batch)
    x = vs.explain(net, data)
    assert x.verdict == "none"
    assert "Nothing to see" not in x.reason
    assert "differ at 'output'" in x.reason


@pytest.mark.parametrize("drop_p", [0.0, 0.1])
def test_layers_dropped_in_python_are_not_nothing(drop_p):
    def dropped(net, h):
        return 0 * h if random.random() < 0.2 else h

    x = explained(dropped, drop_p)
    assert "Nothing to see" not in x.reason
    assert x.blame.unsilenced == ("(python random)",)


def test_mixed_samples_are_not_blamed_on_dropout():
    def mixed(net, h):
        share = np.random.beta(1, 1)
        return share * h + (1 - share) * h[torch.randperm(len(h))]

    x = explained(mixed)
    assert x.blame.rest["norm"].value < -0.1  # mixing lowers the variance
    assert "'(numpy random)'" in x.reason
    assert "'drop' (" not in x.reason or x.reason.index("(numpy") < x.reason.index("'drop' (")


def test_randomised_slopes_leave_no_rest():
    x = explained(lambda net, h: functional.rrelu(h, training=True) if net.training else h)
    # Evaluation has no such layer at all: what its mean slope does is nobody's draw.
    assert x.blame.steady is True
    net = nn.Sequential(nn.RReLU(), nn.BatchNorm1d(8, momentum=None))
    data = [torch.randn(256, 8) for _ in range(8)]
    with torch.no_grad():
        for batch in data:
            net(batch)
    right = vs.explain(net, data)
    assert right.blame.rest["1"] == vs.Figure(0.0, 0.0)
    assert right.blame.steady is None


def test_values_that_are_dropped_by_an_index_are_silenced():
    def left_out(net, h):
        h = h.clone()
        h[torch.rand(h.shape) < 0.3] = 0.0
        return h / 0.7

    x = explained(left_out, 0.0)
    rest = x.blame.rest["norm"]
    assert x.blame.unsilenced == ()
    assert abs(rest.value) < max(0.01, 5 * rest.se)
    assert x.blame["(model)", "norm"].value > 0.1


def test_without_anything_else_nothing_is_left():
    x = explained(lambda net, h: h, 0.5)
    assert x.verdict == "noise"
    assert x.blame.rest["norm"] == vs.Figure(0.0, 0.0)
    assert (x.blame.unsilenced, x.blame.steady) == ((), None)
    assert "self.training" not in x.reason
    assert "unattributed" not in x.scores


class Flagged(nn.Module):
    """Functional dropout with a flag of the user's own."""

    def __init__(self, flag):
        super().__init__()
        self.flag, self.first = flag, nn.Linear(8, 16)
        self.norm, self.head = nn.BatchNorm1d(16, momentum=None), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(
            self.norm(functional.dropout(self.first(x), 0.5, self.flag(self.training)))
        )


def flagged(flag):
    net, data = Flagged(flag), [torch.randn(64, 8) for _ in range(10)]
    with torch.no_grad():
        for _ in range(4):
            for batch in data:
                net(batch)
    return vs.explain(net, data)


def test_noise_that_evaluation_draws_too_is_no_rest():
    x = flagged(lambda training: True)
    assert x.verdict == "none"
    rest = x.blame.rest["norm"]
    assert abs(rest.value) < 5 * rest.se
    assert x.blame.unsilenced == ()
    assert not x.blame.in_evaluation


def test_noise_that_evaluation_alone_draws_is_said():
    """Half of the values go, and the others are doubled: evaluation has more variance."""
    x = flagged(lambda training: not training)
    assert x.verdict == "unattributed"
    assert x.blame.in_evaluation
    assert x.blame.rest["norm"].value < -0.5
    assert "a draw in evaluation alone" in x.reason


class ByBatch(nn.Module):
    """Normalised by the batch in both modes."""

    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(8)
        self.next, self.last = nn.Linear(8, 8), nn.BatchNorm1d(8, momentum=None)

    def forward(self, x):
        stored = self.norm.running_mean, self.norm.running_var
        x = functional.batch_norm(self.drop(x), *stored, training=True)
        return self.last(self.next(x))


def test_a_norm_by_its_batch_in_evaluation_too_shifts_nothing():
    net, data = ByBatch(), [torch.randn(64, 8) for _ in range(10)]
    with torch.no_grad():
        for _ in range(4):
            for batch in data:
                net(batch)
    x = vs.explain(net, data)
    assert x.verdict == "none"
    assert set(x.factors) == {"last"}
    assert "by its batch in evaluation too" in x.skipped["norm"]
    assert any("depends on the whole batch" in note for note in x.notes)
    # What it hands on has the same variance with noise and without.
    assert x.factors["last"].alone.value == pytest.approx(1, abs=0.05)


def test_norms_in_their_own_way_are_named_where_something_is_left():
    """Per-sample statistics in training, stored ones in evaluation: no draw, and no other code."""
    net = nn.Sequential(
        *(nn.Unflatten(1, (4, 2)), nn.InstanceNorm1d(4, track_running_stats=True), nn.Flatten()),
        *(nn.Linear(8, 8), nn.BatchNorm1d(8, momentum=None)),
    )
    data = [3 * torch.randn(64, 8) for _ in range(10)]
    with torch.no_grad():
        for batch in data:
            net(batch)
    x = vs.explain(net, data)
    assert x.blame.otherwise == ("1",)
    assert "norms that normalise in their own way ('1')" in " ".join([x.reason, *x.notes])
