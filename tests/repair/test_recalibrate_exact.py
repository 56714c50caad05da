"""Recalibrated statistics against the layer-by-layer truth, on every batching."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import varshift as vs
from oracles.layerwise import noise_off_statistics, without_upstream_repair
from problems.noisy_nets import Branches, ByHand, Conv, Mlp, Remembers, Twice
from varshift._engine.batches import batches
from varshift._engine.borrow.model import borrowed, set_training, training_flags
from varshift._engine.onebyone import site_by_site


def trained(net, x):
    """A few training steps leave running statistics that are wrong in the usual way."""
    net.train()
    with torch.no_grad():
        for batch in x.split(64):
            net(batch)
    return net


def worst(net, truth):
    """Largest error: of a variance relative to itself, of a mean relative to mean or deviation."""
    errors = []
    for path, (mean, var) in truth.items():
        norm = net.get_submodule(path)
        scale = torch.maximum(mean.abs(), var.sqrt())
        errors.append(((norm.running_var - var).abs() / var).max())
        errors.append(((norm.running_mean - mean).abs() / scale).max())
    return float(max(errors))


def shape(name):
    return (8,) if name == "mlp" else (3, 12, 12)


NETS = {"mlp": Mlp, "conv": Conv}
BATCHINGS = {
    "one by one": lambda x: x.split(1),
    "eights": lambda x: x.split(8),
    "256": lambda x: x.split(256),
    "ragged": lambda x: x.split([1, 7, 64, 100, 13, *([len(x) - 185] if len(x) > 185 else [])]),
    "sorted": lambda x: x[x.flatten(1).mean(1).argsort()].split(16),
}


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("name", NETS)
def test_within_1e_6_of_the_float64_truth(name, batching):
    torch.manual_seed(0)
    x = torch.randn(300, *shape(name))
    net = trained(NETS[name](), x)
    truth = noise_off_statistics(net, x.split(100))
    vs.recalibrate(net, BATCHINGS[batching](x))
    assert worst(net, truth) < 1e-6


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("name", NETS)
def test_within_1e_6_at_an_input_mean_of_5000(name, batching):
    # A float32 network rounds the sums of its first layer to some 1e-4 of their spread, differently
    # for each batch size. So there are two truths: in float64 throughout, and about the activations
    # that this float32 network really has on these batches.
    torch.manual_seed(0)
    x = torch.randn(300, *shape(name)) + 5000
    net = trained(NETS[name](), x)
    exact = copy.deepcopy(net).double()
    truth = noise_off_statistics(exact, x.split(100))
    vs.recalibrate(exact, BATCHINGS[batching](x.double()))
    assert worst(exact, truth) < 1e-6
    truth = noise_off_statistics(net, BATCHINGS[batching](x), double=False)
    vs.recalibrate(net, BATCHINGS[batching](x))
    assert worst(net, truth) < 1e-6


@pytest.mark.parametrize("name", NETS)
def test_the_oracle_catches_a_wrong_rule(name):
    torch.manual_seed(0)
    x = torch.randn(300, *shape(name))
    net = trained(NETS[name](), x)
    wrong = without_upstream_repair(net, x)
    vs.recalibrate(net, x.split(64))
    assert worst(net, wrong) > 1e-2


@pytest.mark.parametrize("name", NETS)
def test_any_order_gives_the_same_buffers(name):
    torch.manual_seed(0)
    x = torch.randn(256, *shape(name))
    one = trained(NETS[name](), x)
    other = copy.deepcopy(one)
    vs.recalibrate(one, x.split(32))
    vs.recalibrate(other, x[torch.randperm(256)].split(50))
    for mine, yours in zip(one.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-6, atol=1e-6)


def test_agrees_with_one_site_at_a_time():
    torch.manual_seed(0)
    x = torch.randn(200, 3, 12, 12)
    net = trained(Conv(), x)
    slow = copy.deepcopy(net)
    with borrowed(slow) as inner:
        set_training([(module, False) for module, _ in training_flags(inner)])

        def settle(site, moments):
            site.running_mean.copy_(moments.mean)
            site.running_var.copy_(moments.var())

        found = site_by_site(inner, list(batches(x.split(32), inner)), settle, lambda path: True)
    r = vs.recalibrate(net, x.split(32))
    assert list(found) == list(r.sites)
    for path, moments in found.items():
        torch.testing.assert_close(r.sites[path].after.var, moments.var(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("how", ["attribute", "list"])
@pytest.mark.parametrize("sizes", [16, [30, 30, 4]])
def test_a_model_that_remembers_is_done_one_norm_at_a_time(how, sizes):
    torch.manual_seed(0)
    x = torch.randn(64, 8) * torch.arange(1.0, 65.0)[:, None]  # batches that differ a lot
    net = Remembers(how)
    truth = noise_off_statistics(net, [x])
    r = vs.recalibrate(net, x.split(sizes))
    assert worst(net, truth) < 1e-6
    assert any("from one forward to the next" in note for note in r.notes)


def test_micro_batches_may_take_different_ways():
    torch.manual_seed(0)
    net = Branches()
    x = torch.randn(40, 4)
    x[:20, 0], x[20:, 0] = x[:20, 0].abs(), -x[20:, 0].abs()
    vs.recalibrate(net, [x[:10], x[20:30], x[10:20], x[30:]])
    left = nn.functional.batch_norm(x[:20], net.left.running_mean, net.left.running_var)
    right = 2 * nn.functional.batch_norm(x[20:], net.right.running_mean, net.right.running_var)
    torch.testing.assert_close(net.left.running_var, x[:20].var(0))
    torch.testing.assert_close(net.right.running_mean, x[20:].mean(0))
    torch.testing.assert_close(net.last.running_var, torch.cat([left, right]).var(0))


def test_a_norm_run_twice_pools_its_inputs_and_says_so():
    torch.manual_seed(0)
    net, x = Twice(), torch.randn(60, 4) * 3
    r = vs.recalibrate(net, x.split(20))
    with torch.no_grad():
        first = nn.functional.batch_norm(x, x.mean(0), x.var(0))
        both = torch.cat([x, net.linear(first)])
    torch.testing.assert_close(net.norm.running_var, both.var(0))
    assert r.sites["norm"].after.count == 120
    assert any("more than once" in note for note in r.notes)


def test_functional_norms_and_subclasses_that_transpose():
    torch.manual_seed(0)
    net, x = ByHand().eval(), torch.randn(50, 6) * 4 + 2
    vs.recalibrate(net, x.split(7))
    with torch.no_grad():
        inner = net.linear(x)
        outer = nn.functional.batch_norm(inner, net.m, net.v)
    torch.testing.assert_close(net.v, inner.var(0))
    seen = (outer[:, None].expand(-1, 5, -1) + torch.arange(5.0)[:, None]).reshape(-1, 6)
    torch.testing.assert_close(net.last.running_var, seen.var(0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(4)).to(dtype), torch.randn(32, 4, 5, 5)
    x = x.to(dtype)
    vs.recalibrate(net, x.split(8))
    values = x.double().transpose(0, 1).flatten(1)
    assert net[1].running_var.dtype == dtype
    torch.testing.assert_close(net[1].running_var, values.var(1).to(dtype))


def test_channels_last_and_three_dimensions():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.3), nn.BatchNorm2d(5))
    x = (torch.randn(40, 5, 40, 40) + 300).to(memory_format=torch.channels_last)
    vs.recalibrate(net, x.split(8))
    var = x.double().transpose(0, 1).flatten(1).var(1)
    assert float(((net[1].running_var - var) / var).abs().max()) < 1e-6
    net = nn.Sequential(nn.Dropout3d(0.3), nn.BatchNorm3d(2, affine=False))
    x = torch.randn(10, 2, 4, 5, 6)
    vs.recalibrate(net, x.split(3))
    torch.testing.assert_close(net[1].running_var, x.transpose(0, 1).flatten(1).var(1))


def test_autocast_and_grad_mode_inside_a_forward_stay_with_their_micro_batch():
    class Contexts(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.a, self.b = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4)
            self.seen = []

        def forward(self, x):
            half = bool(x[0, 0] > 0)
            with torch.autocast("cpu", torch.bfloat16, enabled=half), torch.set_grad_enabled(half):
                x = self.a(self.linear(x).float())
                self.seen.append((half, self.linear(x).dtype, torch.is_grad_enabled()))
            assert not torch.is_autocast_enabled("cpu")
            return self.b(x)

    net = Contexts().eval()
    x = torch.randn(8, 4)
    x[:4, 0], x[4:, 0] = 1.0, -1.0
    vs.recalibrate(net, [x[:4], x[4:], x[:4], x[4:]])
    for half, dtype, grad in net.seen:
        assert dtype == (torch.bfloat16 if half else torch.float32)
        assert grad == half
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("wrap", ["compile", "data-parallel"])
def test_wrapped_models(wrap):
    torch.manual_seed(0)
    net, x = Conv(), torch.randn(40, 3, 12, 12)
    truth = noise_off_statistics(net, x.split(20))
    model = torch.compile(net, backend="eager") if wrap == "compile" else nn.DataParallel(net)
    if wrap == "compile":
        model(x[:8])
        net.load_state_dict(net.state_dict())
        truth = noise_off_statistics(net, x.split(20))
    vs.recalibrate(model, x.split(8))
    assert worst(net, truth) < 1e-6
