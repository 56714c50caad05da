"""Prediction with data against the enumeration of every mask, in float64."""

from __future__ import annotations

import itertools
import operator

import pytest
import torch
from torch import nn

import varshift as vs

DROP = 0.3


class Masked(nn.Module):
    """A dropout whose mask can be set from outside, one for all samples: `kind` says its shape.

    `act`: what a factor of 0 or 1/keep_p does to the data.
    """

    def __init__(self, kind: str, act=operator.mul) -> None:
        super().__init__()
        self.kind, self.act, self.drop = kind, act, DROP
        self.mask = None

    def forward(self, x):
        keep = 1 - self.drop
        if self.mask is not None:
            return self.act(x, self.mask.view(self.shape(x)[1:]) / keep)
        if not self.training:
            return x
        shape = (len(x), *self.shape(x)[1:])
        factor = torch.empty(shape, dtype=x.dtype).bernoulli_(keep).div_(keep)
        return self.act(x, factor)

    def shape(self, x):
        if self.kind == "sample":
            return (1, *(1,) * (x.ndim - 1))
        if self.kind == "channel":
            return (1, x.shape[1], *(1,) * (x.ndim - 2))
        if self.kind == "row":
            return (1, 1, x.shape[2], 1)
        if self.kind == "column":
            return (1, 1, 1, x.shape[3])
        return (1, *x.shape[1:])


class Net(nn.Module):
    """Noise, something, a norm."""

    def __init__(self, kind, after, channels, before=None, act=operator.mul):
        super().__init__()
        self.before, self.noise, self.after = before or nn.Identity(), Masked(kind, act), after
        size, spatial = channels
        self.norm = nn.BatchNorm2d(size) if spatial else nn.BatchNorm1d(size)

    def forward(self, x):
        return self.norm(self.reach(x))

    def reach(self, x):
        return self.after(self.noise(self.before(x)))


class Sum(nn.Module):
    """A residual sum whose other way has no noise: the noise comes from inside."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.skip = nn.Conv2d(2, 3, 1)

    def forward(self, x):
        return self.inner(x) + 0.5 * self.inner.bias.view(-1, 1, 1)


class Join(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 2)

    def forward(self, x):
        y = self.conv(x)
        return torch.cat([y, torch.ones_like(y[:, :2]).cumsum(2), 2 * y], 1)


def cases():
    small = torch.randn(5, 2, 2, 2, dtype=torch.float64) + 0.4  # 2^8 element masks
    flat = torch.randn(7, 6, dtype=torch.float64) + 0.4
    for kind in ("element", "channel", "sample"):
        yield f"direct {kind}", kind, nn.Identity(), (2, True), small
        yield f"conv {kind}", kind, nn.Conv2d(2, 3, 2, padding=1), (3, True), small
        yield f"strided {kind}", kind, nn.Conv2d(2, 4, 2, stride=2, groups=2), (4, True), small
        yield f"transposed {kind}", kind, nn.ConvTranspose2d(2, 3, 2), (3, True), small
        yield f"linear {kind}", kind, nn.Linear(6, 4), (4, False), flat
        yield (
            f"relu conv {kind}",
            kind,
            nn.Sequential(nn.ReLU(), nn.Conv2d(2, 3, 2)),
            (3, True),
            small,
        )
        yield f"scaled {kind}", kind, Scaled(nn.Conv2d(2, 3, 2)), (3, True), small
        yield f"sum {kind}", kind, Sum(nn.Conv2d(2, 3, 2)), (3, True), small
        yield f"join {kind}", kind, Join(), (8, True), small
    yield "pool", "element", nn.AvgPool2d(2), (2, True), small
    yield (
        "flatten linear",
        "element",
        nn.Sequential(nn.Flatten(), nn.Linear(8, 3)),
        (3, False),
        small,
    )
    yield (
        "pool channel conv",
        "channel",
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(2, 3, 1)),
        (
            3,
            True,
        ),
        small,
    )


class Scaled(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return -1.7 * self.inner(x * 0.5) / 3 + 0.25


CASES = {name: rest for name, *rest in (torch.manual_seed(0), list(cases()))[1]}


def enumerated(net, x):
    """Variance of the norm's input over samples, positions and every mask, per channel."""
    size = net.noise.shape(x)[1:].numel() if hasattr(net.noise.shape(x), "numel") else None
    size = int(torch.tensor(net.noise.shape(net.before(x))[1:]).prod()) if size is None else size
    first = second = 0.0
    for bits in itertools.product((0.0, 1.0), repeat=size):
        mask = torch.tensor(bits, dtype=torch.float64)
        drop = net.noise.drop
        weight = float((1 - drop) ** mask.sum() * drop ** (size - mask.sum()))
        net.noise.mask = mask
        rows = net.reach(x).transpose(0, 1).flatten(1)
        first = first + weight * rows.mean(1)
        second = second + weight * rows.square().mean(1)
    net.noise.mask = None
    return second - first**2


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_variance_in_training_is_that_of_all_masks(name):
    kind, after, channels, x = CASES[name]
    net = Net(kind, after, channels).double()
    f = vs.predict(net, [x])
    site = f.sites["norm"]
    truth = enumerated(net, x)
    clean = net.eval().reach(x).transpose(0, 1).flatten(1)
    noise = truth - clean.var(1, unbiased=False)
    torch.testing.assert_close(site.var_train, clean.var(1) + noise, rtol=1e-10, atol=1e-14)
    assert site.how in ("law (a)", "law (b)")
    tau = DROP / (1 - DROP)
    assert site.taus == pytest.approx({"noise": tau})
    torch.testing.assert_close(tau * site.energies["noise"], noise, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", ["element", "channel", "sample", "row", "column"])
@pytest.mark.parametrize("asked", [0.1, 0.5])
@torch.no_grad()
def test_another_rate_keeps_what_shares_a_draw(kind, asked):
    """Rows stay rows: they used to be predicted as single elements, for no law to be found."""
    torch.manual_seed(0)
    net = Net(kind, nn.Conv2d(2, 3, 2, padding=1), (3, True)).double()
    x = torch.randn(5, 2, 2, 2, dtype=torch.float64) + 0.4
    site = vs.predict(net, [x] * 400, noise={"noise": asked}).sites["norm"]
    net.noise.drop = asked
    assert (site.var_train / enumerated(net, x) - 1).abs().max() < 0.1
    assert site.how == ("sampled" if kind in ("row", "column") else "law (b)")


TWICE = {
    "in place of what it drops": lambda x, factor: x * factor + 0.9 * (1 - factor),
    "before and after": lambda x, factor: (x * factor).relu() * factor,
    "squared": lambda x, factor: x * factor * factor,
    "two data": lambda x, factor: x * factor + x.flip(0) * (1 - factor),
}


@pytest.mark.parametrize("act", TWICE)
@pytest.mark.parametrize("kind", ["element", "channel"])
@torch.no_grad()
def test_a_mask_that_meets_data_twice_is_drawn(kind, act):
    torch.manual_seed(0)
    net = Net(kind, nn.Conv2d(2, 3, 2, padding=1), (3, True), act=TWICE[act]).double()
    x = torch.randn(5, 2, 2, 2, dtype=torch.float64) + 0.4
    site = vs.predict(net, [x] * 400).sites["norm"]
    assert site.how == "sampled"
    assert (site.var_train / enumerated(net, x) - 1).abs().max() < 0.1


class Left(nn.Module):
    """Values, or whole samples, written over: `x[mask] = 0`."""

    def __init__(self, whole):
        super().__init__()
        self.whole = whole

    def forward(self, x):
        y = x.clone()
        if self.training:
            y[torch.rand(len(x) if self.whole else x.shape) < DROP] = 0.0
        return y / (1 - DROP)


@pytest.mark.parametrize("whole", [True, False])
@torch.no_grad()
def test_values_that_are_written_over_follow_the_law_of_the_mask(whole):
    """Training has τE[x²] more variance than data without noise, samples or values alike."""
    x = torch.randn(6, 2, 4, 4, dtype=torch.float64) + 0.4
    site = vs.predict(nn.Sequential(Left(whole), nn.BatchNorm2d(2)).double(), [x]).sites["1"]
    rows = x.transpose(0, 1).flatten(1)
    tau = DROP / (1 - DROP)
    assert site.how == "law (a)"
    torch.testing.assert_close(site.var_train, rows.var(1) + tau * rows.square().mean(1))


@pytest.mark.parametrize("act", ["in place of what it drops", "two data"])
@pytest.mark.parametrize("asked", [0.1, 0.5])
@torch.no_grad()
def test_another_rate_of_a_mask_that_meets_data_twice_is_one_noise(act, asked):
    torch.manual_seed(0)
    net = Net("element", nn.Conv2d(2, 3, 2, padding=1), (3, True), act=TWICE[act]).double()
    x = torch.randn(5, 2, 2, 2, dtype=torch.float64) + 0.4
    site = vs.predict(net, [x] * 400, noise={"noise": asked}).sites["norm"]
    net.noise.drop = asked
    assert site.how == "sampled"
    assert (site.var_train / enumerated(net, x) - 1).abs().max() < 0.1


@pytest.mark.parametrize(("drop", "asked"), [(0.3, None), (0.0, {"0": 0.3})])
@torch.no_grad()
def test_a_second_draw_on_top_keeps_its_law(drop, asked):
    """What the first did is part of what the second meets, in this very pass."""
    noise = nn.Dropout(drop)
    net = nn.Sequential(noise, noise, nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3)).double()
    site = vs.predict(net, [torch.randn(6, 2, 4, 4, dtype=torch.float64)], noise=asked).sites["3"]
    assert site.how == "law (b)"


@pytest.mark.parametrize("kind", ["element", "channel", "sample"])
@torch.no_grad()
def test_copies_keep_the_law_where_nothing_mixes_them(kind):
    net = Net(kind, Beside(), (4, True)).double()
    x = torch.randn(5, 2, 2, 2, dtype=torch.float64) + 0.4
    site = vs.predict(net, [x]).sites["norm"]
    clean = x.repeat(1, 2, 1, 1).transpose(0, 1).flatten(1)
    noise = enumerated(net, x) - clean.var(1, unbiased=False)
    assert site.how == "law (a)"
    torch.testing.assert_close(site.var_train, clean.var(1) + noise, rtol=1e-10, atol=1e-14)


class Beside(nn.Module):
    def forward(self, x):
        return torch.cat([x, x], 1)


@torch.no_grad()
def test_two_sources_on_two_ways_add_up():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Dropout(0.3), nn.Dropout2d(0.6)
            self.a, self.b = nn.Conv2d(2, 3, 2), nn.Conv2d(2, 3, 2)
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x):
            return self.norm(self.a(self.one(x)) + self.b(self.two(x)))

    net = Two().double()
    x = torch.randn(6, 2, 4, 4, dtype=torch.float64)
    site = vs.predict(net, [x]).sites["norm"]
    parts = site.signal + 3 / 7 * site.energies["one"] + 1.5 * site.energies["two"]
    torch.testing.assert_close(site.var_train, parts)
    alone = [
        vs.predict(net, [x], noise={other: 0.0}).sites["norm"].var_train - site.signal
        for other in ("one", "two")
    ]
    torch.testing.assert_close(site.var_train, site.signal + alone[0] + alone[1])


@torch.no_grad()
def test_what_no_law_follows_is_drawn_and_said():
    net = nn.Sequential(
        nn.Dropout(0.4), nn.Linear(6, 6), nn.GELU(), nn.Linear(6, 5), nn.BatchNorm1d(5)
    )
    f = vs.predict(net, [torch.randn(256, 6) for _ in range(8)])
    assert f.sites["4"].how == "sampled"
    assert f.sites["4"].energies == {}
    assert any("GELU '2'" in note for note in f.notes)  # the user's module, not an operation


class Made(nn.Module):
    """A convolution of what is made of its input; in a square one no size tells what turned."""

    def __init__(self, made, channels):
        super().__init__()
        self.made = made
        self.conv = nn.Conv2d(channels, 3, 2, padding=1)

    def forward(self, x):
        return self.conv(self.made(x))


class Cut(nn.Module):
    """Some places of what a convolution gives, as a crop or a chomp takes them."""

    def __init__(self, places):
        super().__init__()
        self.places = places
        self.conv = nn.Conv2d(2, 3, 2, padding=1)

    def forward(self, x):
        return self.conv(x)[self.places]


TURNED = Made(lambda x: x.transpose(1, 2), 2)
NO_LAW = {
    "rows": ("row", Made(nn.Identity(), 2)),
    "columns": ("column", Made(nn.Identity(), 2)),
    "channels that became rows": ("channel", TURNED),
    "rows that became channels": ("row", TURNED),
    "columns after a turn": ("column", TURNED),
    "twice itself": ("element", Made(lambda x: x + x, 2)),
    "half itself": ("element", Made(lambda x: x - 0.5 * x, 2)),
    "its square": ("element", Made(lambda x: x * x, 2)),
    "beside itself": ("element", Made(lambda x: torch.cat([x, x], 1), 4)),
    "channels beside themselves": ("channel", Made(lambda x: torch.cat([x, x], 1), 4)),
    "beside its rectified self": ("channel", Made(lambda x: torch.cat([x, x.relu()], 1), 4)),
    "one channel for two": ("element", Made(lambda x: x[:, :1].expand(-1, 2, -1, -1), 2)),
    "cropped behind weights": ("element", Cut((..., slice(0, 1)))),
    "half of the samples": ("element", Cut(slice(0, 3))),
    "one place for four": ("element", Made(lambda x: x[..., :1, :1].expand(-1, -1, 2, 2), 2)),
}


@pytest.mark.parametrize("name", NO_LAW)
@torch.no_grad()
def test_draws_that_are_shared_in_other_ways_are_drawn(name):
    """The law of another sharing would be exact, and wrong."""
    kind, after = NO_LAW[name]
    torch.manual_seed(0)
    net = Net(kind, after, (3, True)).double()
    x = torch.randn(5, 2, 2, 2, dtype=torch.float64) + 0.4
    site = vs.predict(net, [x] * 400).sites["norm"]
    assert site.how == "sampled"
    test = net.eval().reach(x).transpose(0, 1).flatten(1).var(1, unbiased=False)
    truth = test / enumerated(net, x)
    assert (site.delta / truth - 1).abs().max() < 0.1  # 2,000 masks; the law of channels: 0.3
