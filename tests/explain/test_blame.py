"""Blame against the naive one-source-at-a-time runs, whatever the source."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from oracles.onesource import naive_shares
from problems.noisy_nets import Conv, Mlp


def check_against_naive(net, data, repeats=12):
    truth = naive_shares(net, data, repeats)
    x = vs.explain(net, data)
    scores = []
    for (source, site), (share, se) in truth.items():
        got = x.blame.at(source, site)
        scores.append((got.value - share) / (got.se**2 + se**2 + 1e-12) ** 0.5)
        assert abs(got.value - share) < 0.05 + 3 * (got.se + se), (source, site, got, share)
    return x, torch.tensor(scores)


def test_stacked_dropout_in_a_multilayer_perceptron():
    torch.manual_seed(1)
    net, data = Mlp(drop_p=0.3), [torch.randn(128, 8) for _ in range(24)]
    x, scores = check_against_naive(net, data)
    assert x.blame.passes == 3
    assert x.blame.unit == "sample"
    # Two standard errors hold for 95 %; of 9 pairs (3 exactly 0), fewer than 3 may be beyond.
    assert int((scores.abs() > 2).sum()) < 3
    assert float(scores.abs().max()) < 4


def test_a_conv_net_with_element_and_channel_noise():
    torch.manual_seed(2)
    net, data = Conv(), [torch.randn(64, 3, 12, 12) for _ in range(8)]
    x, scores = check_against_naive(net, data)
    assert int((scores.abs() > 2).sum()) < 3
    assert x.blame["direct", "second"] == 0.0
    parts = {place: x.blame.total[place].value for place in x.blame.places}
    for place, total in parts.items():
        alone = sum(x.blame[noise, place] for noise in x.blame.noises)
        left = x.blame.interaction[place].value + x.blame.rest[place].value
        assert alone + left == pytest.approx(total, abs=1e-9)


def test_interaction_of_two_noises_in_a_row_is_named():
    """x·ξ₁·ξ₂ at mean 0: (1+τ₁)(1+τ₂) − 1 = τ₁ + τ₂ + τ₁τ₂, the last of them nobody's own."""
    net = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5), nn.BatchNorm1d(8))
    x = vs.explain(net, [torch.randn(512, 8) for _ in range(16)])
    for source in ("0", "1"):
        got = x.blame.at(source, "2")
        assert got.value == pytest.approx(1 / 4, abs=4 * got.se + 1e-3)
    beyond = x.blame.interaction["2"]
    assert beyond.value == pytest.approx(1 / 4, abs=4 * beyond.se)
    assert beyond.se < 0.05


class Noisy(nn.Module):
    """One noise of a kind before a norm."""

    def __init__(self, step):
        super().__init__()
        self.step, self.norm = step, nn.BatchNorm1d(6)

    def forward(self, x):
        return self.norm(self.step(x, self.training))


def masked(x, training):
    keep = torch.rand_like(x) < 0.8
    return torch.where(keep, x, torch.zeros(())) / 0.8 if training else x


def filled(x, training):
    return x.masked_fill(torch.rand_like(x) < 0.2, 0.0) / 0.8 if training else x


def floored(x, training):
    return x * torch.floor(0.8 + torch.rand(len(x), 1)) / 0.8 if training else x


def in_place(x, training):
    if training:
        x = x.clone()
        x.mul_(torch.empty_like(x).bernoulli_(0.8).div_(0.8))
    return x


def gaussian(x, training):
    return x * (1 + 0.5 * torch.randn_like(x)) if training else x


def additive(x, training):
    return x + 0.5 * torch.randn_like(x) if training else x


KINDS = {
    "where": (masked, 0.25),
    "masked_fill": (filled, 0.25),
    "floor": (floored, 0.25),
    "in place": (in_place, 0.25),
    "gaussian": (gaussian, 0.25),
    "additive": (additive, 0.25),
    "uout": (lambda x, t: vs.nn.functional.uout(x, 0.6, t), 0.12),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_noise_is_silenced_exactly(kind):
    step, tau = KINDS[kind]
    net = Noisy(step)
    x = vs.explain(net, [torch.randn(256, 6) for _ in range(16)])
    (source,) = x.blame.noises
    assert x.blame.silenced[source].startswith("exactly")
    got = x.blame.at(source, "norm")
    assert got.value == pytest.approx(tau / (1 + tau), abs=4 * got.se + 0.002)
    assert x.blame.rest["norm"] == vs.Figure(0.0, 0.0)


def test_alpha_dropout_and_rrelu_are_left_out_as_in_evaluation():
    for layer in (nn.AlphaDropout(0.3), nn.FeatureAlphaDropout(0.3), nn.RReLU()):
        net = nn.Sequential(layer, nn.BatchNorm1d(6))
        data = [torch.randn(256, 6) for _ in range(8)]
        x = vs.explain(net, data)
        assert x.blame.silenced["0"].startswith("exactly")
        assert x.blame.rest["1"] == vs.Figure(0.0, 0.0)
        off = torch.cat([layer.eval()(b) for b in data]).var(0)
        on = torch.cat([layer.train()(b) for _ in range(8) for b in data]).var(0)
        share = float(((on - off) / on).mean())
        got = x.blame.at("0", "1")
        assert got.value == pytest.approx(share, abs=4 * got.se + 0.01)


def test_noise_whose_mean_is_not_one_leaves_no_rest():
    """Old-style dropout that is never scaled up: evaluation is larger, and its mean is why."""
    net = Noisy(lambda x, t: x * (torch.rand_like(x) < 0.5) if t else x)
    x = vs.explain(net, [torch.randn(256, 6) + 2 for _ in range(8)])
    # on: variance (4+1)/2 − 1 = 1.5; as in evaluation: 1; silenced by its mean it were 0.25.
    assert x.blame.rest["norm"] == vs.Figure(0.0, 0.0)
    alone = x.blame.at("(model)", "norm")
    assert alone.value == pytest.approx(0.5 / 1.5, abs=4 * alone.se)
    assert alone.se < 0.05


def test_a_shuffle_cannot_be_silenced_and_says_so():
    def shuffled(x, training):
        return x + x[torch.randperm(len(x))] if training else x

    net, data = Noisy(shuffled), [torch.randn(64, 6) for _ in range(16)]
    net.norm.momentum = None
    for batch in data:
        net(batch)
    x = vs.explain(net, data)
    assert x.blame.noises == ()
    assert any("silenced not at all" in note for note in x.notes)
    # Its variance is there all the same: half of what training sees, as nobody's.
    rest = x.blame.rest["norm"]
    assert rest.value == pytest.approx(0.5, abs=5 * rest.se)
    assert x.factors["norm"].alone.value == pytest.approx(0.5, abs=0.1)
    assert x.verdict == "noise"


class Mixing(nn.Module):
    """Samples of a batch act on each other."""

    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(4)
        self.more, self.last = nn.Dropout(0.2), nn.BatchNorm1d(4)

    def forward(self, x):
        x = self.drop(x)
        x = self.norm(x + x.roll(1, 0))
        return self.last(self.more(x))


def test_where_samples_act_on_each_other_whole_batches_carry_the_sources():
    net, data = Mixing(), [torch.randn(128, 4) for _ in range(60)]
    truth = naive_shares(net, data, 8)
    x = vs.explain(net, data)
    assert x.blame.unit == "batch"
    assert any("influence each other" in note for note in x.notes)
    for pair, (share, se) in truth.items():
        got = x.blame.at(*pair)
        assert got.value == pytest.approx(share, abs=4 * (got.se + se) + 0.01)
    few = vs.explain(net, data[:2])
    assert few.blame.passes > 3  # too few batches for one round, and it says what it cost


class Attention(nn.Module):
    """Dropout inside an attention kernel, then weights, then a norm."""

    def __init__(self):
        super().__init__()
        self.out, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(5)

    def forward(self, x):
        p = 0.4 if self.training else 0.0
        x = functional.scaled_dot_product_attention(x, x, x, dropout_p=p)
        return self.norm(self.out(x))


def test_dropout_inside_attention():
    torch.manual_seed(5)
    net, data = Attention(), [torch.randn(64, 5, 8) for _ in range(16)]
    x = vs.explain(net, data)
    (source,) = x.blame.noises
    assert x.blame.silenced[source].startswith("exactly")
    with torch.no_grad():
        on = torch.cat([net.train().out(attend(b, 0.4)) for _ in range(8) for b in data])
        off = torch.cat([net.out(attend(b, 0.0)) for b in data])
    share = ((on.var((0, 2)) - off.var((0, 2))) / on.var((0, 2))).mean()
    got = x.blame.at(source, "norm")
    assert got.value == pytest.approx(float(share), abs=4 * got.se + 0.005)


def attend(x, p):
    return functional.scaled_dot_product_attention(x, x, x, dropout_p=p)


def test_names_that_are_not_there_are_refused():
    x = vs.explain(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4)), [torch.randn(32, 4)])
    with pytest.raises(vs.UsageError, match="'2' is not here; there are '0'"):
        x.blame["2", "1"]
    with pytest.raises(vs.UsageError, match="'nowhere' is not here"):
        x.blame["0", "nowhere"]


def test_chances_from_data_cannot_be_silenced_and_say_so():
    def chosen(x, training):
        return x * torch.bernoulli(torch.sigmoid(x)) * 2 if training else x

    x = vs.explain(Noisy(chosen), [torch.randn(128, 6) for _ in range(8)])
    assert any("(model): silenced not at all" in note for note in x.notes)
    assert x.blame.rest["norm"].value > 0.1


class Skipping(nn.Module):
    """Layers that are left out at random, so that the first batch need not reach every norm."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in range(6))
        self.drop = nn.Dropout(0.3)

    def forward(self, x):
        for norm in self.norms:
            if not self.training or torch.rand(()) < 0.5:
                x = x + self.drop(norm(x))
        return x


def test_a_norm_that_the_first_batch_left_out_has_fixed_statistics_too():
    torch.manual_seed(3)
    x = vs.explain(Skipping(), [torch.randn(64, 8) for _ in range(16)])
    assert any("the example never reached it" in note for note in x.notes)
    assert x.blame.unit == "sample"
    assert not any("influence each other" in note for note in x.notes)
    # Groups that reached a norm in evaluation alone are left out there alone, and errors are known.
    assert len(x.factors) == 6
    assert all(0 < f.noise.se < f.noise.value / 2 for f in x.factors.values())
    m = vs.measure(Skipping(), [torch.randn(64, 8) for _ in range(16)])
    # Which layers a batch has met is drawn for all its samples: a few batches are a few draws.
    assert all(0 < site.shift_se < 2 * site.shift for site in m.sites.values())
