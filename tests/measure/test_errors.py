"""Standard errors: how often they hold what the population has, and where little is to go by.

Branches beside each other, each with inputs of its own, are repetitions in one call.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine import Tally
from varshift._measure.errors import Halved
from varshift.theory import dropout_ratio
from varshift.theory.halves import balanced_halves
from varshift.theory.moments import Moments

BRANCHES, CHANNELS = 100, 8


class Side(nn.Module):
    """Branches, each on its own slice of the input's features."""

    def __init__(self, *make, width=CHANNELS):
        super().__init__()
        self.width = width
        self.branches = nn.ModuleList(
            nn.Sequential(*(each() for each in make)) for _ in range(BRANCHES)
        )

    def forward(self, x):
        slices = zip(self.branches, x.split(self.width, 1), strict=True)
        return sum(branch(part).mean() for branch, part in slices)


def straight():
    return Side(lambda: nn.Dropout(0.5), lambda: nn.BatchNorm1d(CHANNELS))


LAWS = {
    # name: a draw, its mean and variance, and what least share single channels and medians hold.
    "uniform": (torch.rand, 0.5, 1 / 12),
    "normal": (torch.randn, 0.0, 1.0),
    "lognormal": (lambda *s: torch.randn(*s).exp(), math.exp(0.5), math.exp(2) - math.exp(1)),
}


def shares(law, samples, turns=2):
    """Of ± 1.96 s.e. that hold the truth: of channels, medians, severities."""
    draw, mean, var = LAWS[law]
    offset = torch.linspace(0, 1, CHANNELS).repeat(BRANCHES) * math.sqrt(var)
    c = offset[:CHANNELS].double() + mean
    truth = dropout_ratio(c, torch.full_like(c, var), tau=1.0)
    held = []
    for turn in range(turns):
        torch.manual_seed(turn)
        x = draw(samples, BRANCHES * CHANNELS) + offset
        for site in vs.measure(straight(), x.split(64)).sites.values():
            off = [site.delta - truth, site.shift - truth.quantile(0.5)]
            off.append(site.severity - (1 / truth).quantile(0.5))
            errors = [site.delta_se, site.shift_se, site.severity_se]
            inside = [abs(a) <= 1.96 * e for a, e in zip(off, errors, strict=True)]
            held.append(torch.stack([each.double().mean() for each in inside]))
    return torch.stack(held).mean(0).tolist()


@pytest.mark.parametrize(
    ("law", "least"), [("uniform", 0.885), ("normal", 0.885), ("lognormal", 0.84)]
)
def test_errors_hold_what_they_say(law, least):
    """200 repetitions: one s.e. of a share of 95 % is 1.5 points, and 4.3 of them are 6.5.

    A lognormal's median holds 90 % (docs/measure.md), 2.1 points a s.e.; one channel alone by a
    jackknife over its own groups would hold 77 %, far below.
    """
    channel, shift, severity = shares(law, 512)
    assert 0.9 < channel < 0.99  # 8 channels in each repetition
    assert shift > least - (0.04 if law == "lognormal" else 0)
    assert severity > least - (0.04 if law == "lognormal" else 0)


def test_errors_are_no_larger_than_the_spread_wants():
    """Medians over channels alike: a delete-one jackknife claims 1.4 times their spread."""
    torch.manual_seed(0)
    x = torch.randn(512, BRANCHES * CHANNELS)
    sites = vs.measure(straight(), x.split(64)).sites.values()
    spread = torch.tensor([site.shift for site in sites]).std()
    claimed = torch.tensor([site.shift_se for site in sites]).square().mean().sqrt()
    assert float(claimed / spread) < 1.32  # 7 % is one s.e. of the spread


def tally(counts, channels=3, seed=0):
    """Groups of so many values, and the values."""
    generator = torch.Generator().manual_seed(seed)
    values = [100 + torch.randn(n, channels, generator=generator).double() for n in counts]
    parts = [Moments.of(v) for v in values]
    none = torch.zeros(channels, dtype=torch.float64)
    made = Tally(
        torch.tensor([[float(n)] for n in counts], dtype=torch.float64),
        torch.stack([p.mean for p in parts]),
        torch.stack([p.m2 for p in parts]),
        *(none, 0.0, (none, none), torch.arange(len(counts))),
    )
    return made, values


def test_variances_of_choices_are_those_of_their_values():
    made, values = tally([3, 1, 7, 2, 40])
    groups = torch.arange(6)  # one of them it has nothing of
    halves = balanced_halves(6)
    found = made.var_of(halves, groups)
    for row, half in zip(found, halves, strict=True):
        kept = [v for v, chosen in zip(values, half, strict=False) if chosen]
        some = torch.cat(kept) if kept else torch.zeros(0, 3)
        if len(some) > 1:
            torch.testing.assert_close(row, some.var(0), rtol=1e-9, atol=0)
        else:
            assert row.isnan().all()
    assert made.shares(groups).tolist() == pytest.approx([n / 53 for n in (3, 1, 7, 2, 40, 0)])


def test_halves_of_uneven_groups_are_scaled_to_the_whole():
    """Groups of very different sizes: the mean square deviation is still that of all values."""
    sizes = [1 + 5 * (i % 4) for i in range(16)]
    squares = []
    for seed in range(200):
        made, _ = tally(sizes, 1, seed)
        squares.append(float(Halved.of(made).deviations.square().mean()))
    # ln of a normal variance of n values varies by 2/n; 200 × about 12 degrees of freedom: 2.9 %.
    expected = 2 / sum(sizes)
    assert sum(squares) / 200 == pytest.approx(expected, rel=0.2)


def test_one_channel_alone_has_the_error_of_its_median():
    torch.manual_seed(0)
    site = vs.measure(
        nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(1)), torch.randn(400, 1).split(50)
    )["1"]
    assert site.shift_se == pytest.approx(float(site.delta_se), rel=0.25)


def test_exact_channels_do_not_borrow_the_errors_of_others():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(8)

        def forward(self, x):
            return self.norm(torch.cat([x[:, :4], self.drop(x[:, 4:])], 1))

    torch.manual_seed(0)
    site = vs.measure(Half(), torch.randn(400, 8).split(50))["norm"]
    assert (site.delta_se[:4] < 1e-6).all()
    assert (site.delta_se[4:] > 0.01).all()


def test_few_groups_are_little_to_go_by():
    """Of two groups an error has one degree of freedom: t is 6.5 times as far as normal."""
    errors = []
    for groups in (2, 16):
        squares = []
        for seed in range(100):
            made, _ = tally([64 // groups] * groups, 1, seed)
            halved = Halved.of(made)
            squares.append(halved.error_of(lambda var: var.mean(-1), made.total().var()) ** 2)
        errors.append(math.sqrt(sum(squares) / 100))
    assert errors[0] > 4 * errors[1]


def test_intervals_stay_where_figures_can_be():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(3))
    x = torch.randn(40, 3)
    x[:, 2] = 3
    site = vs.measure(net, x.split(10))["1"]
    low, high = site.shift_interval
    assert 0 < low < site.shift < high == pytest.approx(site.shift + 1.96 * site.shift_se)
    assert low * high == pytest.approx(site.shift**2)
    assert site.severity_interval[0] >= 1
    lows, highs = site.delta_interval
    assert lows.tolist()[2] == highs.tolist()[2] == 0 == site.delta_se[2]
    assert (lows[:2] > 0).all()
    assert (highs > site.delta).tolist() == [True, True, False]
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(3))
    assert all(map(math.isnan, vs.measure(net, [torch.randn(1, 3, 4, 4)])["1"].shift_interval))
