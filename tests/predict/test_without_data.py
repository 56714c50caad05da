"""From a checkpoint alone: exact where the checkpoint determines the answer, silent where not."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import varshift as vs
from problems.noisy_nets import ByHand
from problems.settling import settled
from varshift._cli.demo.net import PreResNet


def exact_statistics(net, data):
    """Stored statistics as endless training would leave them: cumulative, over large batches."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    return settled(net, data, 1)


def test_direct_noise_is_inverted_from_what_is_stored():
    net = nn.Sequential(nn.Dropout(0.4), nn.BatchNorm1d(5))
    c = torch.tensor([0.0, 0.5, -1.0, 2.0, 0.1], dtype=torch.float64)
    v = torch.tensor([1.0, 2.0, 0.3, 1.0, 4.0], dtype=torch.float64)
    tau = 0.4 / 0.6
    with torch.no_grad():
        net[1].running_mean.copy_(c)
        net[1].running_var.copy_(v + tau * (c**2 + v))
    site = vs.predict(net, example=torch.randn(4, 5)).sites["1"]
    assert site.how == "inverted"
    torch.testing.assert_close(site.delta, v / (v + tau * (c**2 + v)), rtol=1e-6, atol=0)
    asked = vs.predict(net, example=torch.randn(4, 5), noise={"0": 0.1}).sites["1"]
    torch.testing.assert_close(asked.delta, v / (v + (c**2 + v) / 9), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "function", [nn.ReLU(), nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.LeakyReLU(0.2), nn.Identity()]
)
@pytest.mark.parametrize("layer", ["linear", "conv", "padded", "strided"])
def test_gaussian_moments_through_the_route(function, layer):
    """The first norm's output is Gaussian by construction: exact up to sampling."""
    flat = layer == "linear"
    after = {
        "linear": lambda: nn.Linear(6, 5),
        "conv": lambda: nn.Conv2d(6, 5, 3),
        "padded": lambda: nn.Conv2d(6, 5, 3, padding=1),
        "strided": lambda: nn.Conv2d(6, 4, 3, stride=2, padding=1, groups=2),
    }[layer]()
    first, last = (nn.BatchNorm1d(6), nn.BatchNorm1d(5)) if flat else (
        nn.BatchNorm2d(6),
        nn.BatchNorm2d(4 if layer == "strided" else 5),
    )  # fmt: skip
    with torch.no_grad():
        first.weight.uniform_(0.5, 1.5)
        first.bias.uniform_(-0.5, 0.5)
    net = nn.Sequential(first, function, nn.Dropout(0.5), after, last)
    shape = (4096, 6) if flat else (256, 6, 8, 8)
    data = [torch.randn(shape) for _ in range(16)]
    exact_statistics(net, data)
    blind = vs.predict(net, example=data[0][:4]).sites["4"]
    seen = vs.predict(net, data).sites["4"]
    assert blind.how == "moments"
    energies = blind.energies["2"] / seen.energies["2"]
    torch.testing.assert_close(energies, torch.ones_like(energies), rtol=0.01, atol=0)
    assert blind.shift == pytest.approx(seen.shift, rel=0.02)
    assert blind.low < seen.shift < blind.high


def test_concatenation_average_pools_and_flattening_are_followed():
    class Net(nn.Module):
        def __init__(self, end):
            super().__init__()
            self.a, self.b = nn.BatchNorm2d(3), nn.BatchNorm2d(2)
            self.drop, self.end = nn.Dropout(0.3), end

        def forward(self, x):
            joined = torch.cat([self.a(x[:, :3]).relu(), self.b(x[:, 3:]).tanh()], 1)
            return self.end(self.drop(joined))

    ends = {
        "conv": nn.Sequential(nn.Conv2d(5, 4, 3), nn.BatchNorm2d(4)),
        "pool": nn.Sequential(nn.AvgPool2d(2), nn.BatchNorm2d(5)),
        "flat": nn.Sequential(nn.Flatten(), nn.Linear(80, 4), nn.BatchNorm1d(4)),
        "direct": nn.BatchNorm2d(5),
    }
    data = [torch.randn(512, 5, 4, 4) for _ in range(8)]
    for name, end in ends.items():
        net = exact_statistics(Net(end), data)
        blind, seen = vs.predict(net, example=data[0][:4]), vs.predict(net, data)
        (path,) = [path for path in seen.sites if path.startswith("end")]
        assert blind.sites[path].shift == pytest.approx(seen.sites[path].shift, rel=0.03), name


def test_what_a_checkpoint_does_not_say_is_not_predicted():
    data = [torch.randn(64, 3, 8, 8) for _ in range(4)]
    net = nn.Sequential(
        nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout2d(0.3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4),
        nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4),
        nn.ReLU(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4),
    )  # fmt: skip
    exact_statistics(net, data)
    f = vs.predict(net, example=5 * data[0])  # nothing like the data of training
    assert set(f.sites) == {"0"}
    # masks shared over unknown correlation
    assert f.skipped["4"].startswith("not predicted: '2' is followed no further than Conv2d '3'")
    assert f.skipped["9"].startswith("not predicted: '7'")  # a maximum of unknown neighbours
    assert "through other norms only" in f.skipped["12"]
    for path in ("4", "9", "12"):
        assert "too unlike the data of training" in f.skipped[path]
        assert "pass a batch of that data" in f.skipped[path]
    json.dumps(f.to_dict(), allow_nan=False)


def test_an_example_like_the_data_of_training_says_the_rest():
    data = [torch.randn(64, 3, 8, 8) for _ in range(4)]
    net = nn.Sequential(
        nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout2d(0.3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4),
        nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4),
        nn.ReLU(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4),
    )  # fmt: skip
    exact_statistics(net, data)
    f, seen = vs.predict(net, example=data[0]), vs.predict(net, data)
    assert list(f.sites) == list(seen.sites) == ["0", "4", "9", "12"]
    assert not f.skipped
    for path in ("4", "9", "12"):
        site = f[path]
        assert site.how == "example"
        assert site.low <= seen[path].shift <= site.high
        assert site.shift == pytest.approx(seen[path].shift, rel=0.1)
    # what a law follows is there by source, at the variance that the norm has stored
    torch.testing.assert_close(f["4"].var_train, net[4].running_var.double())
    torch.testing.assert_close(f["4"].signal + 3 / 7 * f["4"].energies["2"], f["4"].var_train)
    assert f["12"].energies == {}


def test_an_untrained_model_and_statistics_without_a_module():
    f = vs.predict(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)), example=torch.randn(4, 3))
    assert "has not been trained" in f.skipped["1"]
    f = vs.predict(ByHand(), example=torch.randn(8, 6))
    assert "F.batch_norm" in f.skipped["m"]


def unscaled(x, training):
    return x * (torch.rand_like(x) < 0.6) / 0.6 if training else x


def filled(x, training):
    return x.masked_fill(torch.rand_like(x) < 0.4, 0.0) / 0.6 if training else x


class Between(nn.Module):
    """Noise by hand between a norm and a norm, with or without weights before the second."""

    def __init__(self, step, weights):
        super().__init__()
        self.first, self.step, self.last = nn.BatchNorm1d(8), step, nn.BatchNorm1d(8)
        self.weights = nn.Linear(8, 8) if weights else nn.Identity()

    def forward(self, x):
        return self.last(self.weights(self.step(self.first(x), self.training)))


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("step", [unscaled, filled])
def test_masks_that_are_scaled_up_afterwards(step, weights):
    net, data = Between(step, weights), [torch.randn(512, 8) + 1 for _ in range(16)]
    exact_statistics(net, data)
    blind, seen = vs.predict(net, example=data[0][:4]), vs.predict(net, data)
    assert blind.sites["last"].shift == pytest.approx(seen.sites["last"].shift, rel=0.05)


def test_two_draws_of_one_source_are_not_taken_for_one():
    drop = nn.Dropout(0.4)
    data = [torch.randn(512, 8) for _ in range(8)]
    for end in (nn.Identity(), nn.Linear(8, 8)):
        net = nn.Sequential(nn.BatchNorm1d(8), drop, drop, end, nn.BatchNorm1d(8))
        exact_statistics(net, data)
        assert "another draw of its own" in vs.predict(net, example=5 * data[0]).skipped["4"]
        assert vs.predict(net, example=data[0])["4"].shift == pytest.approx(0.36, abs=0.05)
        assert vs.predict(net, data).sites["4"].shift == pytest.approx(0.36, abs=0.05)


def test_nothing_is_said_behind_a_norm_of_which_nothing_is_said():
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.3)),
        *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3)),
        *(nn.Conv2d(8, 5, 4), nn.BatchNorm2d(5)),
    )
    data = [torch.randn(32, 3, 8, 8) for _ in range(4)]
    exact_statistics(net, data)
    f = vs.predict(net, example=5 * data[0])
    assert set(f.sites) == {"1"}
    reason = "not predicted: noise also comes through '5', which is not predicted; "
    assert f.skipped["9"].startswith(reason)
    assert set(vs.predict(net, example=data[0]).sites) == {"1", "5", "9"}


def test_bands_hold_what_is_measured_behind_norms_that_are_not_predicted():
    torch.manual_seed(7)
    net, data = PreResNet(1, drop_p=0.4, width=8), [torch.randn(64, 1, 8, 8) for _ in range(8)]
    exact_statistics(net, data)
    blind, seen = vs.predict(net, example=data[0][:4]), vs.predict(net, data)
    hit = [path for path in blind.sites if path.endswith("norm2")]
    assert len(hit) == 6
    for path in hit:
        site = blind.sites[path]
        assert site.how == "inverted"
        assert site.low <= seen.sites[path].shift <= site.high
        assert site.shift == pytest.approx(seen.sites[path].shift, abs=0.15)


def test_a_way_that_is_drawn_is_no_way_without_noise():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.linear, self.last = (
                nn.BatchNorm1d(4),
                nn.Linear(4, 4),
                nn.BatchNorm1d(4),
            )

        def forward(self, x):
            x = self.norm(x)
            if not self.training or torch.rand(()) < 0.99:
                x = self.linear(x)
            return self.last(x)

    net, data = Skips(), [torch.randn(64, 4) for _ in range(4)]
    exact_statistics(net, data)
    f = vs.predict(net, example=data[0])
    assert "which of its parts run" in f.skipped["last"]


def test_channels_put_side_by_side_are_inverted_each_by_its_own_noise():
    """As in DenseNet: new features with dropout beside old ones, their values unknown."""

    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList(nn.BatchNorm2d(wide) for wide in (4, 7, 10))
            self.convs = nn.ModuleList(nn.Conv2d(wide, 3, 1) for wide in (4, 7))
            self.drops = nn.ModuleList(nn.Dropout(p) for p in (0.2, 0.5))

        def forward(self, x):
            for norm, conv, drop in zip(self.norms, self.convs, self.drops, strict=False):
                x = torch.cat([x, drop(conv(norm(x).relu()))], 1)
            return self.norms[2](x)

    net, data = Dense(), [torch.randn(256, 4, 6, 6) for _ in range(8)]
    exact_statistics(net, data)
    blind, seen = vs.predict(net, example=data[0][:4]), vs.predict(net, data)
    for path in ("norms.1", "norms.2"):
        mine, theirs = blind.sites[path], seen.sites[path]
        assert mine.how == "inverted"
        clean = slice(0, 4)
        torch.testing.assert_close(mine.local()[clean], theirs.local()[clean], rtol=1e-6, atol=0)
        torch.testing.assert_close(mine.local(), theirs.local(), rtol=0.02, atol=0)


def test_a_stored_variance_below_that_of_the_noise_is_refused_and_no_figure_is_negative():
    net = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5))
    net += nn.Sequential(nn.Linear(16, 4), nn.BatchNorm1d(4)).double()
    net = net.double()
    with torch.no_grad():
        net[1].running_mean += 0.1  # trained, as far as the statistics tell
        net[4].weight.fill_(1.0)
        # Behind a ReLU of N(0, 1), but for ε: E[x²] = 1/2, so the noise alone is 16/2 = 8.
        net[5].running_var.copy_(torch.tensor([2.0, 4.0, 6.0, 20.0]))
        net[5].running_mean += 6.4
    f = vs.predict(net, example=torch.randn(4, 8, dtype=torch.float64))
    assert "5" not in f.sites
    assert "in 3 of 4 channels the noise of '3' alone would make more" in f.skipped["5"]
    assert not str(f).startswith("No shift")
    assert "not predicted, not predicted" not in str(f)
    net[5].running_var.copy_(torch.tensor([2.0, 12.0, 16.0, 20.0]))
    site = vs.predict(net, example=torch.randn(4, 8, dtype=torch.float64))["5"]
    assert site.how == "moments"
    assert site.delta.tolist() == pytest.approx(
        [0.0, 1 / 3, 1 / 2, 3 / 5], rel=1e-4
    )  # ε of the norm before
    assert 0 <= site.low <= site.shift <= site.high <= 1
