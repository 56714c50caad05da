"""Each kind of noise source: found by what it does, with its rate, its sharing and its line."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from varshift.results.structure import Line


class Made(nn.Module):
    """noise(x), a linear layer, a norm."""

    def __init__(self, noise, width=6):
        super().__init__()
        self.noise = noise
        if isinstance(noise, nn.Module):
            self.add_module("noise", noise)
        self.linear, self.norm = nn.Linear(width, width), nn.BatchNorm1d(width)

    def forward(self, x):
        return self.norm(self.linear(self.noise(x)))


def found(noise, x=None):
    s = vs.inspect(Made(noise), torch.randn(8, 6) if x is None else x)
    source = next(source for source in s.noises if source.active)
    return s, source


def in_place(x):
    return x * torch.empty_like(x).bernoulli_(0.8).div_(0.8)


def compared(x):
    return x * (torch.rand_like(x) < 0.7)


def filled(x):
    return x.masked_fill(torch.rand(x.shape) < 0.3, 0.0) / 0.7


def chosen(x):
    return torch.where(torch.rand_like(x) < 0.3, torch.zeros_like(x), x)


def indexed(x):
    x = x.clone()
    x[torch.rand(x.shape) < 0.3] = 0
    return x


def left_out(x):
    x = x.clone()
    x[torch.rand(len(x)) < 0.3] = 0
    return x


def floored(x):
    return x / 0.9 * torch.floor(0.9 + torch.rand(x.shape[0], 1))


def normal_mask(x):
    return x * (1 + 0.5 * torch.randn_like(x))


def uniform_mask(x):
    return x * (1 + torch.empty_like(x).uniform_(-0.2, 0.2))


def per_feature(x):
    return functional.dropout(torch.ones(1, x.shape[1]).expand_as(x)[:, :1], 0.25) * x


KNOWN = {
    "module": (nn.Dropout(0.3), "dropout", "bernoulli", 0.3, 3 / 7, "element"),
    "module in place": (
        nn.Dropout(0.3, inplace=True),
        "dropout",
        "bernoulli",
        0.3,
        3 / 7,
        "element",
    ),
    "function": (
        lambda x: functional.dropout(x, 0.4),
        "dropout",
        "bernoulli",
        0.4,
        2 / 3,
        "element",
    ),
    "bernoulli_": (in_place, "bernoulli_", "bernoulli", 0.2, 0.25, "element"),
    "rand <": (compared, "rand_like", "bernoulli", 0.3, 3 / 7, "element"),
    "masked_fill": (filled, "rand", "bernoulli", 0.3, 3 / 7, "element"),
    "where": (chosen, "rand_like", "bernoulli", 0.3, 3 / 7, "element"),
    "x[mask] = 0": (indexed, "rand", "bernoulli", 0.3, 3 / 7, "element"),
    "x[samples] = 0": (left_out, "rand", "bernoulli", 0.3, 3 / 7, "sample"),
    "floor": (floored, "rand", "bernoulli", 0.1, 1 / 9, "sample"),
    "gaussian": (normal_mask, "randn_like", "gaussian", None, 0.25, "element"),
    "uout": (uniform_mask, "uniform_", "uniform", None, 0.04 / 3, "element"),
    "alpha": (nn.AlphaDropout(0.2), "alpha_dropout", "alpha", 0.2, None, "element"),
    "rrelu": (nn.RReLU(), "rrelu", "rrelu", None, None, "element"),
    "additive": (
        lambda x: x + 0.1 * torch.randn_like(x),
        "randn_like",
        "additive",
        None,
        None,
        "element",
    ),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_a_source_is_read_right_and_proven(kind):
    noise, operation, law, drop_p, tau, sharing = KNOWN[kind]
    s, source = found(noise)
    assert (source.operation, source.law, source.sharing) == (operation, law, sharing)
    assert source.drop_p == (None if drop_p is None else pytest.approx(drop_p, rel=1e-9))
    assert source.tau == (None if tau is None else pytest.approx(tau, rel=1e-9))
    (route,) = s.routes
    assert route.placement == "b"
    assert [layer.role for layer in route.layers][-1:] == ["weights"]
    proof = s.prove(route)
    assert proof.moved
    assert proof.noise_floor == 0.0


def test_a_negated_mask_keeps_its_law_and_a_negated_continuous_draw_has_none():
    _, source = found(lambda x: x * ~(torch.rand_like(x) < 0.3))
    assert (source.law, source.drop_p) == ("bernoulli", pytest.approx(0.3, rel=1e-9))
    _, source = found(lambda x: x * torch.logical_not(torch.randn_like(x)))
    assert (source.law, source.tau) == ("unknown", None)


def test_the_line_is_the_users_own():
    _, source = found(compared)
    assert source.line.file == __file__
    assert source.line.function == "compared"
    assert "torch.rand_like(x) < 0.7" in source.line.code


@pytest.mark.parametrize(
    ("noise", "shape", "sharing"),
    [
        (nn.Dropout1d(0.5), (4, 6, 5), "channel"),
        (nn.Dropout2d(0.5), (4, 6, 5, 5), "channel"),
        (nn.Dropout3d(0.5), (4, 6, 3, 3, 3), "channel"),
        (nn.FeatureAlphaDropout(0.5), (4, 6, 5, 5), "channel"),
        (nn.Dropout(0.5), (4, 6, 5, 5), "element"),
    ],
)
def test_sharing(noise, shape, sharing):
    norms = {3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
    s = vs.inspect(nn.Sequential(noise, norms[len(shape)](6)), torch.randn(shape))
    assert s.noises[0].sharing == sharing
    assert [route.placement for route in s.routes] == ["a"]


def test_silent_noise_is_listed_as_inactive():
    model = nn.Sequential(nn.Dropout(0.0), nn.Dropout(0.5), nn.BatchNorm1d(4)).train()
    model[1].eval()
    s = vs.inspect(model, torch.randn(4, 4))
    assert [(noise.name, noise.active) for noise in s.noises] == [("0", False), ("1", False)]
    assert s.routes == ()


def test_attention_and_recurrent_dropout():
    attention = nn.MultiheadAttention(6, 2, dropout=0.25, batch_first=True)

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.norm = attention, nn.BatchNorm1d(6)
            self.lstm = nn.LSTM(6, 6, 2, dropout=0.5, batch_first=True)

        def forward(self, x):
            x = self.attention(x, x, x, need_weights=False)[0]
            return self.norm(self.lstm(x)[0].transpose(1, 2))

    s = vs.inspect(Attends(), torch.randn(2, 5, 6))
    assert [(noise.path, noise.drop_p) for noise in s.noises] == [
        ("attention", 0.25),
        ("lstm", 0.5),
    ]
    assert {route.noise for route in s.direct()} == {"attention", "lstm"}
    assert all(s.prove(route) for route in s.routes)


def test_noise_on_the_weights():
    class DropConnect(nn.Linear):
        def forward(self, x):
            return functional.linear(x, functional.dropout(self.weight, 0.5), self.bias)

    s = vs.inspect(nn.Sequential(DropConnect(4, 4), nn.BatchNorm1d(4)), torch.randn(6, 4))
    assert [(route.noise, route.placement) for route in s.routes] == [("0", "b")]
    assert s.prove(s.routes[0])


def test_layer_drop_is_control_flow():
    class Skips(nn.Module):
        def __init__(self, draw):
            super().__init__()
            self.draw, self.norm = draw, nn.BatchNorm1d(4)

        def forward(self, x):
            return self.norm(x if self.draw() < 0.5 else 2 * x)

    s = vs.inspect(Skips(lambda: torch.rand(())), torch.randn(6, 4))
    assert [noise.law for noise in s.noises] == ["control-flow"]
    assert any("not followed" in note for note in s.notes)
    s = vs.inspect(Skips(random.random), torch.randn(6, 4))
    assert s.noises[0].operation == "python random"
    assert any("python" in note for note in s.notes)


def test_a_bernoulli_draw_with_chances_from_data():
    _, source = found(lambda x: x * torch.bernoulli(torch.sigmoid(x)))
    assert source.law == "unknown"
    assert source.drop_p is None


def test_rates_without_rounding_dust():
    for drop_p in (0.1, 0.2, 0.3, 0.7, 0.9):
        assert found(nn.Dropout(drop_p))[1].drop_p == drop_p
    assert math.isclose(found(nn.Dropout(0.2))[1].tau, 0.25)


def test_noise_added_with_a_factor_is_no_known_law():
    def noise(x):
        return x * torch.add(torch.ones_like(x), torch.randn_like(x), alpha=0.5)

    _, source = found(noise)
    assert (source.law, source.tau) == ("unknown", None)  # and not τ = 1, as without the factor


def test_a_rate_of_zero_is_silent_in_either_mode():
    net, x = nn.Sequential(nn.Dropout(0.0), nn.BatchNorm1d(4)), torch.randn(64, 4)
    found = [vs.inspect(net, x), vs.measure(net, x.split(16)).structure]
    found.append(vs.inspect(net.eval(), x))
    assert [structure.noises[0].operation for structure in found] == ["silent"] * 3


def test_a_line_is_named_from_where_the_reader_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside = Line(str(tmp_path / "nets" / "a.py"), 3, "f", "")
    assert inside.near == f"{Path('nets/a.py')}:3"
    assert str(inside).startswith(str(tmp_path))
    outside = Line(str(tmp_path.parent / "a.py"), 3, "f", "")
    assert outside.near == str(outside)
    assert Line("/opt/lib/site-packages/timm/drop.py", 7, "f", "").near == "timm/drop.py:7"
    assert Line("<string>", 7, "f", "").near == "<string>:7"
