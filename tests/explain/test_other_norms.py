"""Evaluation runs other norms than training: a verdict of its own, with what it costs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine import Effect
from varshift._explain.blaming import _square as square


class Domains(nn.Module):
    """A norm per domain, then one that all share."""

    def __init__(self, drop_p=0.0):
        super().__init__()
        self.one, self.drop, self.two = nn.Linear(8, 16), nn.Dropout(drop_p), nn.Linear(16, 16)
        self.norms = nn.ModuleList(nn.BatchNorm1d(16, momentum=None) for _ in range(3))
        self.three, self.last = nn.Linear(16, 16), nn.BatchNorm1d(16, momentum=None)
        self.head = nn.Linear(16, 3)

    def forward(self, x, domain=0):
        x = self.norms[domain](self.two(self.drop(self.one(x).relu())))
        return self.head(self.last(self.three(x.relu())).relu())


def batches(count=10, samples=64):
    random = torch.Generator().manual_seed(0)
    return [4 * torch.randn(samples, 8, generator=random).double() + 3 for _ in range(count)]


def domain(on, off):
    """Training runs one domain's norm, evaluation another's."""
    return lambda model, batch: model(batch, on if model.training else off)


def trained(net, data, *domains):
    with torch.no_grad():
        for batch in data:
            for each, change in domains:
                net(change(batch), each)
    return net


def same(batch):
    return batch


@pytest.mark.parametrize("others", [[], [(1, lambda batch: 0.3 * batch - 2)]])
def test_another_norm_is_the_verdict_and_its_cost_is_exact(others):
    """Untrained, or trained on another domain: without noise the norms are all there is."""
    data = batches()
    net = trained(Domains().double(), data, (0, same), *others)
    x = vs.explain(net, data, forward=domain(0, 1))
    assert x.verdict == "other-norms"
    assert x.other_norms.training == ("norms.0",)
    assert x.other_norms.evaluation == ("norms.1",)
    assert x.other_norms.pairs == (("norms.0", "norms.1"),)
    assert x.other_norms.fresh == (() if others else ("norms.1",))
    assert "'norms.1' where training runs 'norms.0'" in x.reason
    for place in ("last", "output"):
        assert x.blame.rest[place] == pytest.approx(0, abs=1e-9)
    assert x.skipped["norms.0"] == "training runs it, evaluation does not"
    assert x.skipped["norms.1"] == "evaluation runs it, training does not"
    # The output with the norms of training, and with those of evaluation.
    pooled = _pooled(net, data)
    truth = _outputs(pooled, data, 0), _outputs(pooled, data, 1)
    torch.testing.assert_close(x.outputs["output"].mean_off, truth[0].mean(0))
    gap = (truth[0].mean(0) - truth[1].mean(0)) / truth[0].std(0)
    cost = x.other_norms.mean_shift["output"]
    assert cost.value == pytest.approx(float(gap.square().mean().sqrt()), abs=3 * cost.se + 1e-3)
    assert cost.value > 0.1


def _pooled(net, data):
    """Every norm with the moments of all training batches, as that lane has them."""
    net = copy.deepcopy(net).train()
    met = {}
    for name in ("norms.0", "last"):
        met[name] = []
        net.get_submodule(name).register_forward_pre_hook(
            lambda module, inputs, kept=met[name]: kept.append(inputs[0])
        )
    with torch.no_grad():
        for batch in data:
            net(batch, 0)
    for name, kept in met.items():
        norm, whole = net.get_submodule(name), torch.cat(kept)
        norm.running_mean, norm.running_var = whole.mean(0), whole.var(0, correction=0)
    return net.eval()


def _outputs(net, data, which):
    with torch.no_grad():
        return torch.cat([net(batch, which) for batch in data])


def test_dropout_gets_its_own_share_and_not_that_of_the_norms():
    """What noise does to the output is what it does with the same norm in both modes."""
    data = batches(20)
    net = trained(Domains(0.1).double(), data, (0, same))
    apart = vs.explain(net, data, forward=domain(0, 1))
    alike = vs.explain(net, data, forward=domain(0, 0))
    assert apart.verdict == "other-norms"
    assert alike.other_norms is None
    assert "other-norms" not in alike.scores
    one, other = (x.blame["drop", "last"] for x in (apart, alike))
    assert one.value == pytest.approx(other.value, abs=4 * (one.se**2 + other.se**2) ** 0.5)
    one, other = (x.outputs["output"].var_ratio for x in (apart, alike))
    assert one.value == pytest.approx(other.value, abs=4 * (one.se**2 + other.se**2) ** 0.5)


def test_noise_stays_the_verdict_where_it_does_more():
    data = batches()
    net = Domains(0.9).double()
    with torch.no_grad():
        for norm in net.norms[1:]:
            norm.running_var.fill_(1.2)
    net = trained(net, data, (0, same))
    for norm in net.norms[1:]:  # nearly what norm 0 has
        norm.load_state_dict(net.norms[0].state_dict())
    x = vs.explain(net, data, forward=domain(0, 1))
    assert x.verdict == "noise"
    assert "'drop'" in x.reason
    assert any("evaluation runs other norms than training" in note for note in x.notes)


def test_lists_that_overlap_are_paired_batch_by_batch():
    """Domains 0 and 1 in training, 1 and 2 in evaluation."""
    data = batches()
    net = trained(Domains().double(), data, (0, same), (1, same))

    def forward(model, batch):
        which = int(batch[0, 0] > 3)
        return model(batch, which if model.training else which + 1)

    x = vs.explain(net, data, forward=forward)
    assert x.other_norms.training == ("norms.0",)
    assert x.other_norms.evaluation == ("norms.2",)
    assert set(x.other_norms.pairs) == {("norms.0", "norms.1"), ("norms.1", "norms.2")}
    assert x.verdict == "other-norms"
    assert x.blame.rest["output"] == pytest.approx(0, abs=1e-9)


class Split(nn.BatchNorm1d):
    """Half of each training batch goes through an auxiliary norm; all of evaluation through one."""

    def __init__(self, width):
        super().__init__(width, momentum=None)
        self.auxiliary = nn.BatchNorm1d(width, momentum=None)

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        half = len(x) // 2
        return torch.cat([super().forward(x[:half]), self.auxiliary(x[half:])])


def test_split_norms():
    data = [torch.cat([batch[:32], 3 * batch[32:] + 2]) for batch in batches()]
    net = nn.Sequential(nn.Linear(8, 16), Split(16), nn.ReLU(), nn.Dropout(0.05), nn.Linear(16, 3))
    net = net.double()
    with torch.no_grad():
        for batch in data:
            net(batch)
    x = vs.explain(net, data)
    assert x.verdict == "other-norms"
    assert x.other_norms.pairs == (("1.auxiliary", "1"),)
    assert x.other_norms.evaluation == ()


class Auxiliary(nn.Module):
    """A head with a norm of its own, in training alone."""

    def __init__(self, drop_p=0.0):
        super().__init__()
        self.drop = nn.Dropout(drop_p)
        self.body = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16, momentum=None), nn.ReLU())
        self.side = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Linear(16, 3))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = self.body(self.drop(x))
        return (self.head(x), self.side(x)) if self.training else self.head(x)


def test_an_auxiliary_head_costs_nothing():
    net, data = Auxiliary().double(), batches()
    with torch.no_grad():
        for batch in data:
            net(batch)
    x = vs.explain(net, data)
    assert x.verdict == "none"
    assert x.other_norms.training == ("side.1",)
    assert x.other_norms.displacement == {}


def test_the_first_of_several_outputs_is_that_of_evaluation():
    data = batches()
    net = Auxiliary(0.5).double()
    with torch.no_grad():
        for batch in data:
            net(batch)
    x = vs.explain(net, data)
    assert x.verdict == "noise"
    assert set(x.outputs) == {"output"}
    assert x.blame["drop", "output"] > 0.1
    assert x.outputs["output"].var_ratio < 0.9


class PerMode(nn.Module):
    """A norm that one mode alone runs, with no other in its place."""

    def __init__(self, mode):
        super().__init__()
        self.mode, self.extra = mode, nn.BatchNorm1d(8)
        self.norm, self.head = nn.BatchNorm1d(8, momentum=None), nn.Linear(8, 3)

    def forward(self, x):
        x = self.norm(x)
        if self.training == (self.mode == "training"):
            x = self.extra(3 * x + 1)
        return self.head(x)


@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_a_norm_that_one_mode_adds(mode):
    data = batches()
    net = PerMode(mode).double()
    with torch.no_grad():
        for batch in data:
            net(batch)
    x = vs.explain(net, data)
    assert getattr(x.other_norms, mode) == ("extra",)
    assert x.verdict in ("other-norms", "none")
    if mode == "evaluation":  # it divides by 1 what has variance 9
        assert x.verdict == "other-norms"
        assert x.other_norms.fresh == ("extra",)
    else:  # it normalises what is normal already
        assert "Nothing to see" in x.reason or "differ" in x.reason


def test_layer_drop_is_no_other_norm():
    class Skipping(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in range(4))

        def forward(self, x):
            for norm in self.norms:
                if not self.training or torch.rand(()) < 0.7:
                    x = x + norm(x)
            return x

    x = vs.explain(Skipping(), [torch.randn(64, 8) for _ in range(12)])
    assert x.other_norms is None


def test_a_mean_counts_by_deviations_and_a_variance_by_half_its_share():
    """As a displacement does: half a log of a ratio, which for small changes is half the change."""
    changed = Effect(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
    assert square(changed, torch.tensor([4.0, 2.0])) == pytest.approx((1 + 0.75**2) / 2)
