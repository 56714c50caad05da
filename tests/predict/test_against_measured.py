"""Prediction and measurement share no code above the floor of structure, and must agree."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

import varshift as vs
from problems.noisy_nets import Conv, Mlp
from problems.settling import settled
from varshift._cli.demo.net import PreResNet


class Wide(nn.Module):
    """Dropout before the last convolution of each block: placement (b) in a residual stream."""

    def __init__(self, noise: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(3))
        self.noises = nn.ModuleList(copy.deepcopy(noise) for _ in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(3))

    def forward(self, x):
        x = self.stem(x)
        for norm, noise, conv in zip(self.norms, self.noises, self.convs, strict=True):
            x = x + conv(noise(norm(x).relu()))
        return x


NETS = {
    "mlp": (lambda: Mlp(drop_p=0.3), (256, 8), 64),
    "conv": (Conv, (64, 3, 12, 12), 24),
    "placement (a)": (lambda: PreResNet(1, blocks=1, width=8, drop_p=0.3), (64, 1, 8, 8), 48),
    "residual, element": (lambda: Wide(nn.Dropout(0.4)), (64, 3, 10, 10), 16),
    "residual, channel": (lambda: Wide(nn.Dropout2d(0.3)), (64, 3, 10, 10), 32),
    "residual, uout": (lambda: Wide(vs.nn.Uout(0.7)), (64, 3, 10, 10), 16),
}


@pytest.mark.parametrize("name", NETS)
def test_directly_hit_sites_are_within_one_percent(name):
    make, shape, count = NETS[name]
    data = [torch.randn(shape) for _ in range(count)]
    net = settled(make(), data, 2)
    m, f = vs.measure(net, data * 3), vs.predict(net, data)
    hit = {route.norm for route in m.structure.direct()}
    assert hit
    for path in hit:
        measured, expected = m.sites[path], f.sites[path]
        assert expected.how in ("law (a)", "law (b)")
        assert expected.shift / measured.shift == pytest.approx(
            1, abs=0.01 + 2 * measured.shift_se / measured.shift
        ), path
        # the error of the measurement does not hide a miss
        assert measured.shift_se / measured.shift < 0.02


def what_if_measured(changed, data):
    """Train the statistics of the changed model, weights fixed, and measure."""
    for module in changed.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None
    settled(changed, data, 10)
    return vs.measure(changed, data * 3)


@pytest.mark.parametrize(
    ("noise", "change"),
    [
        ({"*": 0.5}, lambda net: [setattr(d, "p", 0.5) for d in net.noises]),
        ({"noises.1": 0.0}, lambda net: setattr(net.noises[1], "p", 0.0)),
        ({"noises.*": vs.nn.Uout(0.8)}, lambda net: setattr(
            net, "noises", nn.ModuleList(vs.nn.Uout(0.8) for _ in range(3))
        )),
        ({"noises.0": nn.Dropout2d(0.3)}, lambda net: net.noises.__setitem__(0, nn.Dropout2d(0.3))),
    ],
)  # fmt: skip
def test_what_if_is_what_then_is_measured(noise, change):
    torch.manual_seed(4)
    net = Wide(nn.Dropout(0.2))
    data = [torch.randn(64, 3, 10, 10) for _ in range(12)]
    settled(net, data, 6)
    f = vs.predict(net, data * 2, noise=noise)
    changed = copy.deepcopy(net)
    change(changed)
    m = what_if_measured(changed, data)
    for path, site in m.sites.items():
        # statistics averaged over batches of 64 × 100 values: a little off the pooled ones
        assert f.sites[path].shift == pytest.approx(site.shift, rel=0.01, abs=3 * site.shift_se)
    assert any("weights are held fixed" in note for note in f.notes)


def test_noise_that_is_moved():
    net = nn.Sequential(
        *(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)),
    )
    data = [torch.randn(256, 8) for _ in range(24)]
    settled(net, data, 6)
    f = vs.predict(net, data, moved={"3": "5"})
    changed = copy.deepcopy(net)
    changed[3].p, changed[5] = 0.0, nn.Sequential(nn.Dropout(0.5), changed[5])
    m = what_if_measured(changed, data)
    assert f.sites["5"].how == "law (a)"
    assert f.sites["5"].shift == pytest.approx(m.sites["5.1"].shift, rel=0.02)
    assert list(f.sites["5"].energies) == ["3 → 5"]
    out = vs.predict(net, data, moved={"3": "7"})
    assert out.sites["5"].shift == pytest.approx(1, abs=0.01)


def test_a_silent_dropout_is_given_a_rate():
    net = nn.Sequential(nn.Dropout(0.0), nn.BatchNorm1d(4, momentum=None))
    data = [torch.randn(512, 4) for _ in range(8)]
    f = vs.predict(settled(net, data, 6), data, noise={"0": 0.4})
    assert f.sites["1"].shift == pytest.approx(0.6, abs=0.01)


def test_inverse_questions_answer_the_forward_ones():
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 32), nn.BatchNorm1d(32))
    data = [torch.randn(256, 8) + 0.5 for _ in range(8)]
    settled(net, data, 6)
    f = vs.predict(net, data)
    for bound in (1.05, 1.5, 3.0):
        answer = f.max_drop_p(bound)
        assert answer[""] == min(answer.values())
        again = vs.predict(net, data, noise={"0": answer["2"]})
        assert again.sites["2"].severity == pytest.approx(bound, rel=1e-4)
    with pytest.raises(vs.UsageError, match="above 1"):
        f.max_drop_p(1.0)


def test_width_leaves_direct_noise_alone_and_helps_correlated_filters():
    mixing = torch.ones(16, 16) / 4 + torch.eye(16)
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(16, 8), nn.BatchNorm1d(8))
    with torch.no_grad():
        net[1].weight.abs_()  # filters along the all-ones vector: d·cos²θ well above 1
    data = [torch.randn(512, 16) @ mixing for _ in range(8)]
    settled(net, data, 6)
    now, wide = vs.predict(net, data), vs.predict(net, data, width=4)
    assert wide.sites["2"].shift > now.sites["2"].shift + 0.05
    needed = now.min_width(0.95)["2"]
    again = vs.predict(net, data, width=needed)
    ratio = float(again.sites["2"].delta.median() / now.sites["2"].delta.median())
    local = float(now.sites["2"].local().median())
    assert ratio * local == pytest.approx(0.95, abs=0.01)
    direct = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(16))
    settled(direct, data, 6)
    a, b = vs.predict(direct, data), vs.predict(direct, data, width=4)
    assert b.sites["1"].shift == pytest.approx(a.sites["1"].shift, rel=1e-3)


def test_predict_never_imports_measure():
    code = (
        "import sys, varshift._predict.predicting\n"
        "assert not [name for name in sys.modules if name.startswith('varshift._measure')]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_sentences():
    net, data = Mlp(), [torch.randn(16, 8)]
    with pytest.raises(vs.UsageError, match=r"no noise source matches 'drop'; there are 'body\.3'"):
        vs.predict(net, data, noise={"drop": 0.3})
    with pytest.raises(vs.UsageError, match="no module of that path"):
        vs.predict(net, data, moved={"body.3": "nowhere"})
    with pytest.raises(vs.UsageError, match="'x' is not here"):
        vs.predict(net, data, moved={"x": "head"})
    with pytest.raises(vs.UsageError, match="give data=, or example="):
        vs.predict(net)
    with pytest.raises(vs.UsageError, match="width= needs data"):
        vs.predict(net, example=data[0], width=2)
    with pytest.raises(vs.UsageError, match="width is 0"):
        vs.predict(net, data, width=0)
    with pytest.raises(vs.UsageError, match="noise is a str"):
        vs.predict(net, data, noise={"*": "much"})
    with pytest.raises(vs.UsageError, match="drop_p is 1"):
        vs.predict(net, data, noise={"*": 1.0})
    with pytest.raises(vs.ModelError, match="nothing to predict"):
        vs.predict(nn.Sequential(nn.Dropout(0.5)), data)
    with pytest.raises(vs.UsageError, match="no figure for a norm site 'x'"):
        vs.predict(net, data)["x"]


class Signed(nn.Module):
    """x·ξ with ξ = 3 or −1 before a ReLU: the factor does not pass it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(8, 16), nn.BatchNorm1d(16)

    def forward(self, x):
        if self.training:
            x = x * ((torch.rand_like(x) < 0.5).float() * 4 - 1)
        return self.norm(self.linear(x.relu()))


def test_noise_that_turns_the_sign_does_not_pass_a_relu_as_a_factor():
    net, data = Signed(), [torch.randn(256, 8) + 0.3 for _ in range(24)]
    settled(net, data, 2)
    m, f = vs.measure(net, data * 3), vs.predict(net, data)
    assert f.sites["norm"].how == "sampled"
    assert f.sites["norm"].shift == pytest.approx(m.sites["norm"].shift, rel=0.05)


def test_where_nothing_arrived_no_rate_is_the_largest():
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(1.0), nn.BatchNorm1d(4))
    f = vs.predict(net, [torch.randn(64, 4)], noise={"*": 0.5})
    assert f.max_drop_p(1.1) == {}
