"""Fixed weights, statistics averaged over many noisy passes: drop_p is read back."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from varshift._footprint.estimating import footprint
from varshift.errors import UsageError
from varshift.theory import conv_noise_energy


def norms(net):
    return [path for path, module in net.named_modules() if isinstance(module, _BatchNorm)]


def blocks(*pairs, drop_p, placement):
    """Dropout, layer, norm, ReLU; or layer, dropout, norm, ReLU."""
    layers = []
    for layer, norm in pairs:
        drop = nn.Dropout(drop_p)
        layers += [drop, layer, norm] if placement == "b" else [layer, drop, norm]
        layers.append(nn.ReLU())
    return layers


def stacked(drop_p, placement):
    """Two convolutions and two linear layers: noise passes through three norms."""
    conv = blocks(
        (nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)),
        (nn.Conv2d(16, 32, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(32)),
        drop_p=drop_p,
        placement=placement,
    )
    linear = blocks(
        (nn.Linear(512, 64), nn.BatchNorm1d(64)),
        (nn.Linear(64, 64), nn.BatchNorm1d(64)),
        drop_p=drop_p,
        placement=placement,
    )
    return nn.Sequential(*conv, nn.Flatten(), *linear)


def images(count=40):
    draw = torch.Generator().manual_seed(5)

    def normal(*shape):
        return torch.randn(*shape, generator=draw)

    return [(normal(64, 3, 8, 8) + normal(64, 1, 1, 1)).relu() for _ in range(count)]


def remember(net, data, passes=5):
    """Let the norms average what they receive with noise on, and nothing else."""
    for path in norms(net):
        net.get_submodule(path).momentum = None
    net.train()
    with torch.no_grad():
        for _ in range(passes):
            for batch in data:
                net(batch)
    return net


def places(net, placement):
    return norms(net) if placement == "a" else None


@pytest.mark.parametrize("placement", ["a", "b"])
@pytest.mark.parametrize("drop_p", [0.1, 0.3, 0.5])
def test_stacked_layers_are_read_back(drop_p, placement):
    torch.manual_seed(1)
    data = images()
    net = remember(stacked(drop_p, placement), data)
    f = footprint(net, data, places=places(net, placement))
    assert list(f.sites) == norms(net)
    for site in f.sites.values():
        assert site.placement == placement
        assert site.drop_p == pytest.approx(drop_p, abs=0.015)
        assert abs(site.tau - drop_p / (1 - drop_p)) < 3 * site.tau_se
        assert site.claimed
        assert site.drop_p == pytest.approx(site.tau / (1 + site.tau))
        assert site.added > 0.03
    assert f.notes == (
        "4 dropout modules of the model were silenced: the noise judged here replaces theirs",
    )


def test_a_converted_file_has_lost_its_momentum_and_not_its_statistics():
    torch.manual_seed(1)
    data = images()
    net = remember(stacked(0.3, "b"), data)
    for path in norms(net):
        net.get_submodule(path).momentum = 0.0
    f = footprint(net, data)
    assert all(site.drop_p == pytest.approx(0.3, abs=0.015) for site in f.sites.values())
    assert all(site.low < 0.3 < site.high for site in f.sites.values())
    assert any(note.startswith("4 norms (first 2) have momentum 0") for note in f.notes)


@pytest.mark.parametrize("placement", ["a", "b"])
def test_without_noise_nothing_is_claimed(placement):
    torch.manual_seed(1)
    data = images()
    net = remember(stacked(0.0, placement), data, passes=1)
    f = footprint(net, data, places=places(net, placement))
    assert f.claimed == ()
    assert f.notes == ()
    assert f.passes == 1
    for site in f.sites.values():
        assert abs(site.tau) < 1e-4
        assert site.p_value > 0.01


def test_one_noisy_layer_among_clean_ones():
    """The noise of the second block runs on through the third and fourth, which claim none."""
    torch.manual_seed(2)
    data = images()
    net = stacked(0.0, "b")
    net[4].p = 0.4
    f = footprint(remember(net, data), data)
    assert f.claimed == ("6",)
    assert f["6"].place == "5"
    assert f["6"].drop_p == pytest.approx(0.4, abs=0.01)
    assert all(abs(site.drop_p) < 0.01 for path, site in f.sites.items() if path != "6")


def test_a_norm_that_is_left_out_does_not_poison_the_next():
    """Noise stood before a norm that cannot be judged, and none before the next one."""
    torch.manual_seed(2)
    data = images()
    net = stacked(0.0, "b")
    net[4].p = 0.4
    remember(net, data)
    net[6].eval()  # frozen: what it remembers was not taken in this training
    f = footprint(net, data)
    assert "frozen" in f.skipped["6"]
    assert abs(f["11"].drop_p) < 0.02 or f["11"].place == "5"
    assert all(abs(f[path].drop_p) < 0.02 for path in ("2", "15"))


class Upward(nn.Module):
    """A transposed convolution, and one that pads around the edge."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 16, 4, stride=2, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.round = nn.Conv2d(16, 32, 3, padding=1, padding_mode="circular")
        self.norm2 = nn.BatchNorm2d(32)

    def forward(self, x):
        x = self.norm1(self.up(nn.functional.dropout(x, 0.3, self.training))).relu()
        return self.norm2(self.round(nn.functional.dropout(x, 0.3, self.training)))


def test_functional_dropout_and_other_convolutions():
    torch.manual_seed(3)
    data = images(24)
    f = footprint(remember(Upward(), data), data)
    assert [site.place for site in f.sites.values()] == ["up", "round"]
    assert all(site.noise == "element" for site in f.sites.values())
    for site in f.sites.values():
        assert site.drop_p == pytest.approx(0.3, abs=0.01)
    assert "everything but its norms ran in evaluation mode" in f.notes[0]


def test_negative_estimates_are_not_clamped():
    torch.manual_seed(1)
    data = images()
    net = remember(stacked(0.0, "b"), data, passes=1)
    net[2].running_var *= 0.7
    site = footprint(net, data)["2"]
    assert site.low < site.drop_p < site.tau < -0.05
    assert not site.claimed
    assert site.p_value > 0.5


def test_the_same_call_gives_the_same_bits():
    torch.manual_seed(1)
    data = images(12)
    net = remember(stacked(0.3, "b"), data)
    first, torch_state = footprint(net, data), torch.get_rng_state()
    torch.manual_seed(99)
    assert footprint(net, data) == first
    assert not torch.equal(torch_state, torch.get_rng_state())


def test_result_is_plain():
    torch.manual_seed(1)
    data = images(8)
    f = footprint(remember(stacked(0.3, "b"), data, 1), data, max_samples=400)
    assert (f.samples, f.batches) == (400, 7)
    document = json.loads(json.dumps(f.to_dict(), allow_nan=False))
    assert document["schema"] == "varshift.footprint/1"
    assert document["sites"]["2"]["drop_p"] == f["2"].drop_p
    assert [row["site"] for row in f.rows()] == list(f.sites)
    assert all(math.isfinite(row["high"]) for row in f.rows())


def test_noise_energy_by_injection_is_the_closed_form():
    """Two ways to N: finite differences of what the norm receives, and `varshift.theory`."""
    torch.manual_seed(6)
    data = images(24)
    net = remember(nn.Sequential(nn.Conv2d(3, 24, 3, stride=2), nn.BatchNorm2d(24)), data, 1)
    with torch.no_grad():
        met = [net[0](batch).double().transpose(0, 1).flatten(1) for batch in data]
    v = torch.stack([x.var(1) for x in met]).mean(0)
    second = torch.stack([x.square().mean(1) for x in met]).mean(0)
    energies = [conv_noise_energy(batch, net[0].weight, stride=2) for batch in data]
    closed = {"0": torch.stack(energies).mean(0) / v, "1": second / v}
    for place, expected in closed.items():
        found = footprint(net, data, places=[place]).places[place]
        assert found.noise == "element"
        lever = torch.tensor(found.lever, dtype=torch.float64)
        # By some of the batches and by drawing: 64 × 9 values of each channel in each of them.
        assert torch.allclose(lever, expected, rtol=0.06)


class Habits(nn.Module):
    """What people do between weights and norm, with a noise at each of four places."""

    def __init__(self, drop_p=0.3):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 24, 3, padding=1), nn.BatchNorm2d(24)
        self.conv2, self.norm2 = nn.Conv2d(24, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.pool, self.norm3 = nn.MaxPool2d(2), nn.BatchNorm2d(32)
        self.conv3, self.norm4 = nn.Conv2d(32, 48, 3), nn.BatchNorm2d(48)
        self.drop_p = drop_p

    def drop(self, x):
        return nn.functional.dropout(x, self.drop_p, self.training and self.drop_p > 0)

    def maps(self, x):
        return nn.functional.dropout2d(x, self.drop_p, self.training and self.drop_p > 0)

    def forward(self, x):
        x = self.norm1(self.drop(self.conv1(x).relu()))  # the tutorial's own network
        x = self.norm2(self.conv2(self.drop(x)).relu())  # Keras' habit
        x = self.norm3(self.pool(self.drop(x)))
        # Only smooth maps tell a mask for each map from one for each number.
        return self.norm4(self.conv3(self.maps(nn.functional.avg_pool2d(x, 3, 1, 1))))


@pytest.fixture(scope="module")
def habits():
    torch.manual_seed(4)
    data = images(32)
    net = remember(Habits(), data)
    net.drop_p = 0.0
    return net, data


def test_places_and_rates_are_found_whatever_lies_between(habits):
    net, data = habits
    f = footprint(net, data)
    assert f.skipped == {}
    found = {path: (site.place, site.noise) for path, site in f.sites.items()}
    assert found == {
        "norm1": ("norm1", "element"),
        "norm2": ("conv2", "element"),
        "norm3": ("pool", "element"),
        "norm4": ("conv3", "channel"),
    }
    assert f.further == ()
    for site in f.sites.values():
        assert site.claimed
        assert site.low < 0.3 < site.high
        assert site.drop_p == pytest.approx(0.3, abs=0.03)
    assert f.places["conv3"] is f["norm4"]


def test_a_place_that_is_named_is_read_there(habits):
    net, data = habits
    f = footprint(net, data, places=["norm1", "conv2", "pool", "conv3"])
    for place, site in f.places.items():
        assert site.place == place
        assert site.drop_p == pytest.approx(0.3, abs=0.03)


def test_two_noises_at_one_norm_are_told_apart():
    """The rates differ, so that a mix-up would show."""
    torch.manual_seed(5)
    data = images(32)
    before, straight = nn.Dropout(0.5), nn.Dropout(0.1)
    net = nn.Sequential(
        *(nn.Conv2d(3, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), before),
        *(nn.Conv2d(24, 96, 3, padding=1), straight, nn.BatchNorm2d(96)),
    )
    remember(net, data)
    f = footprint(net, data)
    first, second = (f.places[place] for place in ("4", "6"))
    assert first.alike == ("3",)  # the dropout module itself: noise there does just the same
    assert first.low < 0.5 < first.high
    assert second.low < 0.1 < second.high
    assert (first.path, second.path) == ("6", "6")
    assert (first.coded, second.coded) == (0.5, 0.1)  # the modules are still there
    for site in (first, second):
        assert len(site.lever) == len(site.excess) == site.used
        steps = [y / x for x, y in zip(site.lever, site.excess, strict=True)]
        assert sorted(steps)[48] == pytest.approx(site.tau, rel=0.15)
    assert len(f.further) == 1
    assert [row["place"] for row in f.rows() if row["site"] == "6"] == [
        f["6"].place,
        f.further[0].place,
    ]


def test_a_memory_that_nobody_knows_costs_width():
    torch.manual_seed(1)
    data = images(24)
    net = remember(stacked(0.3, "b"), data)
    known, told = footprint(net, data), footprint(net, data, momentum=0.1)
    unknown = footprint(net, data, momentum="unknown")
    assert all(site.low < 0.3 < site.high for site in unknown.sites.values())
    # The file averages 120 batches; of those that a momentum of 0.1 remembers there were 19.
    assert told["2"].tau_se > 1.1 * known["2"].tau_se
    assert unknown["2"].tau_se > 0.99 * told["2"].tau_se


def test_data_of_another_scale_are_not_taken_for_noise():
    """Each norm sees 30 % more variance in the file than in these data: no pattern, no noise."""
    torch.manual_seed(1)
    data = images()
    plain = remember(stacked(0.0, "b"), data, passes=1)
    noisy = remember(stacked(0.4, "b"), data)
    for net in (plain, noisy):
        for path in norms(net):
            net.get_submodule(path).running_var *= 1.3
    assert footprint(plain, data).claimed != ()
    assert footprint(plain, data, data="similar").claimed == ()
    f = footprint(noisy, data, data="similar")
    assert f["6"].low < 0.4 < f["6"].high
    assert f["6"].claimed


def test_data_may_be_named_either_way():
    torch.manual_seed(1)
    data = images(8)
    net = remember(stacked(0.3, "b"), data, 1)
    assert footprint(net, data=data) == footprint(net, data)
    with pytest.raises(UsageError, match="data is the text 'validation'"):
        footprint(net, data, data="validation")
    with pytest.raises(UsageError, match="no batches were passed"):
        footprint(net, data="similar")
    with pytest.raises(UsageError, match="batches were passed twice"):
        footprint(net, data, data=data)


@pytest.mark.parametrize("momentum", ["never", 0.0, 1.5, -0.1])
def test_what_is_no_momentum_is_refused(momentum):
    with pytest.raises(
        UsageError, match=r"momentum is .*pass torch's, the weight of the new batch"
    ):
        footprint(stacked(0.0, "b"), images(4), momentum=momentum)
