"""What each repair writes, against slow twins and closed forms; the gate comes elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from oracles.adjusting import adjusted_statistics
from oracles.layerwise import noise_off_statistics
from oracles.noisyaverage import average_over_masks
from problems.noisy_nets import ByHand, Conv, Mlp
from problems.settling import settled
from problems.shifted import pairs, shifted
from varshift._engine.regime import Regime
from varshift._engine.session import session
from varshift._repair.adjusting import adjusted
from varshift._repair.correction import corrected
from varshift._repair.distillation import distilled
from varshift._repair.predictions import Reader
from varshift._repair.teaching import Teacher, noisy_flags
from varshift.theory import tau_of


def everywhere(path):
    return True


def held(run, data):
    return list(run.batches(data))


# Adjust ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(("make", "shape"), [(Mlp, (48, 8)), (Conv, (24, 3, 9, 9))])
def test_adjust_is_the_moving_average_written_out(make, shape, live):
    torch.manual_seed(0)
    net = settled(make(), torch.randn(shape).split(8), 3)
    data = list(torch.randn(shape).split(8))
    with session(net) as run:
        edit = adjusted(run, held(run, data), everywhere, live=live)
    expected = adjusted_statistics(net, data, live=live)
    for path, (mean, var) in expected.items():
        torch.testing.assert_close(edit.values[f"{path}.running_mean"], mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(edit.values[f"{path}.running_var"], var, rtol=1e-5, atol=1e-6)
    other = adjusted_statistics(net, data, live=not live)
    last = list(expected)[-1]
    assert not torch.allclose(expected[last][1], other[last][1], rtol=1e-2)  # readings differ


# Correct ---------------------------------------------------------------------------------------


def test_correct_inverts_what_is_stored_behind_noise():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.3), nn.BatchNorm1d(5))
    with torch.no_grad():
        net[1].running_mean.copy_(torch.tensor([0.0, 1.0, -2.0, 0.5, 3.0]))
        net[1].running_var.copy_(torch.tensor([1.0, 2.0, 4.0, 0.7, 1.0]))
    stored = net[1].running_mean.clone(), net[1].running_var.clone()
    with session(net) as run:
        (batch,) = held(run, [torch.randn(4, 5)])
        edit, notes = corrected(run.model, batch, everywhere, forward=None)
    mean, var = (value.double() for value in stored)
    tau = tau_of(0.3)
    expected = (var - tau * mean.square()) / (1 + tau)
    # A variance that the noise alone would more than account for is left: 1 − 3/7 · 9 < 0.
    expected = torch.where(expected > 0, expected, var)
    torch.testing.assert_close(edit.values["1.running_var"], expected, rtol=1e-6, atol=0)
    assert list(edit.values) == ["1.running_var"]
    assert notes == ()


def test_correct_takes_out_noise_energy_behind_weights():
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Linear(6, 64), nn.BatchNorm1d(64, momentum=None)),
        *(nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 16), nn.BatchNorm1d(16, momentum=None)),
    )
    data = torch.randn(8192, 6)
    settled(net, data.split(256), 4)
    with session(net) as run:
        edit, _ = corrected(run.model, held(run, [data[:4]])[0], everywhere, forward=None)
    truth = noise_off_statistics(net, data.split(256))["5"][1]
    off_before = (net[5].running_var.double() / truth - 1).abs().median()
    off_after = (edit.values["5.running_var"].double() / truth - 1).abs().median()
    # N from Gaussian moments of a random layer is within some percent; the shift is a factor.
    assert off_before > 0.5
    assert off_after < 0.05


def test_correct_says_what_no_closed_form_reaches_or_refuses():
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    with session(net) as run, pytest.raises(vs.ModelError, match="closed forms"):
        corrected(run.model, held(run, [torch.randn(4, 3)])[0], everywhere, forward=None)


# Teach -----------------------------------------------------------------------------------------


def small_classifier():
    torch.manual_seed(1)
    net = nn.Sequential(
        *(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.4)),
        *(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
    )
    return settled(net, torch.randn(256, 4).split(32), 5)


def teacher_of(run, batch, passes, kind="logits"):
    run.once(batch, Regime("training", structure=True))
    return Teacher(run, noisy_flags(run, batch), Reader(kind), passes)


def test_the_noise_average_is_that_over_all_masks():
    net, x = small_classifier(), torch.randn(5, 4)
    with session(net) as run:
        (batch,) = held(run, [x])
        torch.manual_seed(0)
        (found,) = teacher_of(run, batch, 4000).taught([batch])
    truth = average_over_masks(net, "3", x, 6, 0.6)
    # n fixed: 4000 passes, a probability deviates by at most 1/2 from its mean: 5 · 0.5/√4000.
    assert float((found.exp() - truth).abs().max()) < 5 * 0.5 / 4000**0.5
    with torch.no_grad():
        clean = net.eval()(x).softmax(1)
    assert float((clean - truth).abs().max()) > 5 * 0.5 / 4000**0.5  # and not the clean one


def test_only_what_draws_is_switched_on_unless_that_hides_a_source():
    class Auxiliary(nn.Module):
        """Returns something else in training, as networks with auxiliary heads do."""

        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(4)

        def forward(self, x):
            out = self.norm(self.drop(x))
            return (out, "auxiliary") if self.training else out

    class Hidden(nn.Module):
        """Calls its dropout only in training itself."""

        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(4)

        def forward(self, x):
            return self.norm(self.drop(x) if self.training else x)

    for make, wanted in (
        (Auxiliary, {"drop": True, "": False, "norm": False}),
        (Hidden, {"drop": True, "": True, "norm": False}),
    ):
        net = make().train()
        with session(net) as run:
            (batch,) = held(run, [torch.randn(8, 4)])
            teacher = teacher_of(run, batch, 2)
            flags = {
                name: flag
                for name, module in net.named_modules()
                for owner, flag in teacher.flags
                if owner is module
            }
        assert flags == wanted


# Distil ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("into", ["affine", "statistics"])
def test_distil_finds_the_affine_map_that_made_the_targets(into):
    torch.manual_seed(0)
    net = settled(
        nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5)), torch.randn(512, 5).split(64), 3
    )
    data = torch.randn(512, 5)
    scale, offset = (
        torch.tensor([0.5, 0.8, 1.0, 1.3, 2.0]),
        torch.tensor([0.0, 0.5, -0.5, 1.0, 0.2]),
    )
    with torch.no_grad():
        targets = [scale * net.eval()(part) + offset for part in data.split(64)]
    net.train()
    with session(net) as run:
        parts = held(run, data.split(64))
        edit = distilled(run, parts, targets, everywhere, Reader("values"), into=into)
    names = {"affine": {"1.weight", "1.bias"}, "statistics": {"1.running_mean", "1.running_var"}}
    assert set(edit.values) == names[into]
    with edit.standing_in(net), torch.no_grad():
        found = net.eval()(data)
    assert float((found - torch.cat(targets)).abs().max()) < 0.02
    if into == "affine":
        torch.testing.assert_close(edit.values["1.weight"], scale, rtol=0.01, atol=0.01)
        torch.testing.assert_close(edit.values["1.bias"], offset, rtol=0.01, atol=0.01)


def distil(net, *, into="affine", seed=0, wanted=everywhere):
    with session(net) as run:
        parts = held(run, [x for x, _ in pairs("train")])
        torch.manual_seed(0)
        targets = teacher_of(run, parts[0], 8).taught(parts)
        return distilled(run, parts, targets, wanted, Reader("logits"), into=into, seed=seed)


def test_one_clean_pass_says_what_many_noisy_ones_do():
    net = shifted("a", 0.7)
    x = torch.cat([x for x, _ in pairs("test")])
    with session(net) as run:
        (batch,) = held(run, [x])
        torch.manual_seed(9)
        (average,) = teacher_of(run, batch, 30).taught([batch])
    edit = distil(net)
    reader = Reader("logits")

    def off():
        with torch.no_grad():
            return float(reader.divergence(reader.read(net.eval()(x)), average).mean())

    as_trained = off()
    with edit.standing_in(net):
        assert off() < 0.2 * as_trained


def test_statistics_say_what_scale_and_offset_do():
    # One fit, folded two ways: the same function, up to float32 and negative variances.
    net = shifted("a", 0.7)
    x = torch.cat([x for x, _ in pairs("test")])[:200]
    outs = []
    for into in ("affine", "statistics"):
        edit = distil(net, into=into)
        assert all(name.endswith(("weight", "bias")) == (into == "affine") for name in edit.values)
        with edit.standing_in(net), torch.no_grad():
            outs.append(net.eval()(x))
        net.train()
    torch.testing.assert_close(outs[0], outs[1], rtol=1e-3, atol=1e-3)


def test_norms_without_parameters_take_it_in_their_statistics():
    net = nn.Sequential(
        *(nn.Dropout(0.5), nn.Linear(4, 6), nn.BatchNorm1d(6, affine=False)),
        *(nn.ReLU(), nn.Linear(6, 3)),
    )
    data = torch.randn(256, 4)
    settled(net, data.split(32), 3)
    with session(net) as run:
        parts = held(run, data.split(32))
        targets = teacher_of(run, parts[0], 4).taught(parts)
        edit = distilled(run, parts, targets, everywhere, Reader("logits"))
    assert set(edit.values) == {"2.running_mean", "2.running_var"}
    assert bool((edit.values["2.running_var"] >= 0).all())


def test_a_weight_that_others_share_is_left_and_the_fit_goes_into_statistics():
    net = nn.Sequential(
        *(nn.Dropout(0.5), nn.BatchNorm1d(4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 4)),
        *(nn.BatchNorm1d(4), nn.LayerNorm(4), nn.BatchNorm1d(4)),
    )
    net[3].weight, net[3].bias = net[1].weight, net[1].bias
    net[6].weight, net[6].bias = net[5].weight, net[5].bias
    data = torch.randn(64, 4)
    settled(net, data.split(16), 3)
    edits = []
    for into in ("affine", "statistics"):
        with session(net) as run:
            parts = held(run, data.split(16))
            targets = teacher_of(run, parts[0], 4).taught(parts)
            edit = distilled(run, parts, targets, everywhere, Reader("logits"), into=into)
        edits.append(edit)
    kinds = ("running_mean", "running_var")
    shared = {f"{index}.{kind}" for index in (1, 3, 5) for kind in kinds}
    assert set(edits[0].values) == shared | {"7.weight", "7.bias"}
    # One fit, written two ways, is one function.
    outs = []
    for edit in edits:
        with edit.standing_in(net), torch.no_grad():
            outs.append(net.eval()(data))
    torch.testing.assert_close(outs[0], outs[1], rtol=1e-4, atol=1e-4)


def test_by_hand_norms_are_fitted_through_their_buffers():
    net = ByHand()
    data = torch.randn(64, 6)
    settled(net, data.split(16), 3)
    with session(net) as run:
        parts = held(run, data.split(16))
        targets = teacher_of(run, parts[0], 4, kind="values").taught(parts)
        edit = distilled(run, parts, targets, lambda path: path == "m", Reader("values"))
    assert set(edit.values) == {"m", "v"}


def test_the_fit_leaves_parameters_gradients_and_flags_alone():
    net = shifted("a", 0.7)
    net.head.weight.requires_grad_(False)
    before = {name: (p.requires_grad, p.grad, p._version) for name, p in net.named_parameters()}
    distil(net)
    after = {name: (p.requires_grad, p.grad, p._version) for name, p in net.named_parameters()}
    assert before == after


def test_the_same_seed_gives_the_same_bits():
    one, two = distil(shifted("a", 0.7)), distil(shifted("a", 0.7))
    assert all(torch.equal(one.values[name], two.values[name]) for name in one.values)


def test_a_model_that_cannot_be_differentiated_is_refused():
    class Closed(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(4)

        @torch.no_grad()
        def forward(self, x):
            return self.norm(self.drop(x))

    net = Closed()
    with session(net) as run:
        parts = held(run, [torch.randn(8, 4)])
        targets = teacher_of(run, parts[0], 2).taught(parts)
        with pytest.raises(vs.ModelError, match="no_grad or inference_mode inside its forward"):
            distilled(run, parts, targets, everywhere, Reader("logits"))
