"""Every verb in every precision, layout and wrapping that people train in, on every device.

The figures are those of the network in float64, layer after layer, as far as the precision goes.
"""

from __future__ import annotations

import contextlib
import math

import pytest
import torch
from torch.testing import assert_close

import varshift as vs
from devices.settings import SETTINGS, settled, stored_kept


@pytest.fixture(params=SETTINGS, scope="module")
def setting(request, device):
    found = SETTINGS[request.param]
    if device.type not in found.kinds:
        pytest.skip(f"{request.param} is not there on {device.type}")
    return found


@contextlib.contextmanager
def given_back(model, device):
    """Its tensors and flags, and the generators, come back bit for bit."""

    def marks():
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        draws = [torch.get_rng_state()]
        if device.type != "cpu":
            draws.append(getattr(torch, device.type).get_rng_state())
        flags = [module.training for module in model.modules()]
        # Checkpointing runs in an autograd.Function, which clears the last one for its forward.
        return own, draws, [*flags, torch.is_grad_enabled(), torch._C._is_fwd_grad_enabled()]

    own, draws, flags = marks()
    yield
    now_own, now_draws, now_flags = marks()
    assert all(torch.equal(own[name], now_own[name]) for name in own)
    assert all(map(torch.equal, draws, now_draws))
    assert flags == now_flags


def close(found, truth, setting):
    """Means to a part of the deviation, variances to a part of themselves."""
    (mean, var), (true_mean, true_var) = found, truth
    assert_close(var.double().cpu(), true_var, rtol=setting.rtol, atol=0)
    off = (mean.double().cpu() - true_mean).abs() / true_var.sqrt()
    assert float(off.max()) < setting.rtol


def test_inspect_finds_the_noise_and_its_ways(setting, device):
    model, data = setting.model(device), setting.data(device)
    with given_back(model, device):
        found = vs.inspect(model, data[0], forward=setting.forward)
    assert [norm.path for norm in found.norms] == [f"{setting.prefix}{i}" for i in (3, 5)]
    assert [noise.drop_p for noise in found.noises] == [0.4]


def test_measure_meets_the_variance_of_evaluation(setting, device):
    model, data = setting.model(device), setting.data(device)
    with given_back(model, device):
        found = vs.measure(model, data, forward=setting.forward)
    for index, truth in stored_kept().items():
        site = found.sites[f"{setting.prefix}{index}"]
        close((site.test.mean, site.test.var), truth, setting)
    # Element noise of 0.4 straight before a norm: Δ = v / (v + τ(c² + v)), and twelve thousand
    # values, of which each channel's variance is known to some 2 %.
    mean, var = stored_kept()[3]
    law = var / (var + 0.4 / 0.6 * (mean.square() + var))
    site = found.sites[f"{setting.prefix}3"]
    assert_close(site.test.var.cpu() / site.train.var.cpu(), law, rtol=0.15, atol=0)


def test_recalibrate_is_exact_and_undone(setting, device):
    model, data = setting.model(device), setting.data(device)
    with given_back(model, device):
        found = vs.recalibrate(model, data, forward=setting.forward)
        for index, truth in settled().items():
            after = found.sites[f"{setting.prefix}{index}"].after
            close((after.mean, after.var), truth, setting)
        found.undo()


def test_statistics_for_the_time_of_a_block(setting, device):
    model, data = setting.model(device), setting.data(device)
    with (
        given_back(model, device),
        vs.test_statistics(model, data, forward=setting.forward) as found,
    ):
        assert len(found.sites) == 2


@pytest.mark.parametrize("verb", ["explain", "predict", "check"])
def test_the_other_verbs_answer_and_give_the_model_back(verb, setting, device):
    model, data = setting.model(device), setting.data(device)
    with given_back(model, device):
        if verb == "check":
            found = vs.check(model, data=data, forward=setting.forward)
        else:
            found = getattr(vs, verb)(model, data, forward=setting.forward)
    assert found.rows()


@pytest.mark.parametrize("name", ["float32", "autocast to bfloat16", "compiled within"])
def test_footprint_answers_and_gives_the_model_back(name, device):
    setting = SETTINGS[name]
    model, data = setting.model(device), setting.data(device)
    with given_back(model, device):
        assert vs.footprint(model, data, forward=setting.forward).rows()


def test_predict_agrees_with_measure(setting, device):
    model, data = setting.model(device), setting.data(device)
    predicted = vs.predict(model, data, forward=setting.forward)
    measured = vs.measure(model, data, forward=setting.forward)
    for path, site in measured.sites.items():
        assert math.isclose(predicted.sites[path].severity, site.severity, rel_tol=0.1)


def test_repair_is_undone(setting, device):
    model, data = setting.model(device), setting.data(device)
    with given_back(model, device):
        found = vs.repair(model, data, method="recalibrate", forward=setting.forward)
        assert found.candidates
        found.undo()


def test_batches_are_moved_to_the_model(device):
    setting = SETTINGS["float32"]
    model, data = setting.model(device), setting.data("cpu")
    with given_back(model, device):
        one = vs.measure(model, data)
        other = vs.measure(model, data, device=device)
    assert one.samples == other.samples == sum(len(x) for x, _ in data)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's compiler, of its own graph
def test_a_training_loop_with_and_without_is_the_same(setting, device):
    """Gradient accumulation over two batches, and right statistics at every validation."""

    def trained(validated):
        model, data = setting.model(device), setting.data(device)
        optimiser = torch.optim.SGD(model.parameters(), 0.01)
        torch.manual_seed(5)
        forward = setting.forward or (lambda model, batch: model(batch[0]))
        for step, (x, y) in enumerate(data):
            out = forward(model.train(), (x, y))
            torch.nn.functional.cross_entropy(out.float(), y).backward()
            if step % 2:
                optimiser.step()
                optimiser.zero_grad()
            if validated and step % 3 == 0:
                with vs.test_statistics(model, data[:2], forward=setting.forward):
                    forward(model.eval(), data[0])
        return {name: value.cpu() for name, value in model.state_dict().items()}

    if device.type != "cpu":
        pytest.skip("convolutions add up in any order there; test_accelerator.py has a loop")
    one, other = trained(False), trained(True)
    assert all(torch.equal(one[name], other[name]) for name in one)
