"""A model is borrowed: every verb, through success and every way to fail, bit for bit."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

import varshift as vs
from problems.noisy_nets import Mlp


class Counting(Mlp):
    """Changes plain attributes, keeps tensors and a frozen norm, and uses all generators."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.body[1].momentum = None
        self.body[5].momentum = 0.0
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.scratch = torch.full((2,), float("nan"))

    def forward(self, x):
        self.calls += 1
        self.steps += 1
        self.scratch = x.sum(0)[:2].detach()
        self.new_tensor = x.detach()
        random.random()
        np.random.rand()
        return super().forward(x)


class Custom(Counting):
    """Keeps a norm frozen by its own train(), as detection models do."""

    def train(self, mode=True):
        super().train(mode)
        self.body[1].eval()
        return self


def lent(make):
    torch.manual_seed(0)
    net = make().train()
    net.body[5].eval()
    net.body[0].weight.requires_grad_(False)
    net.body[9].running_mean[0] = float("nan")
    net.body[9].running_mean[0] = -0.0
    return net


def bits(tensor):
    return tensor.detach().contiguous().view(-1).view(torch.uint8).clone()


def state(net):
    return {
        "flags": [module.training for module in net.modules()],
        "buffers": {
            name: (id(b), b.data_ptr(), b._version, bits(b).tolist())
            for name, b in net.named_buffers()
        },
        "parameters": {
            name: (id(p), p.data_ptr(), p._version, bits(p).tolist(), p.requires_grad, p.grad)
            for name, p in net.named_parameters()
        },
        "momenta": [getattr(module, "momentum", "none") for module in net.modules()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for m in net.modules()
        ],
        "attributes": [[*sorted(vars(m)), getattr(m, "calls", None)] for m in net.modules()],
        "scratch": (id(net.scratch), bits(net.scratch).tolist()),
        "torch": torch.get_rng_state().tolist(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "grad": torch.is_grad_enabled(),
        "state_dict": list(net.state_dict()),
    }


class Raising:
    """A loader that gives two batches and raises."""

    def __init__(self, error):
        self.error = error

    def __iter__(self):
        yield torch.ones(6, 8).cumsum(0)
        yield torch.eye(8)[:6]
        raise self.error


def good():
    return [torch.ones(6, 8).cumsum(0), torch.eye(8)[:6]]


def inspect(net, data):
    return vs.inspect(net, next(iter(data)))


def blind(net, data):
    return vs.predict(net, example=data[0] if isinstance(data, list) else next(iter(data)))


def what_if(net, data):
    return vs.predict(net, data, noise={"body.3": 0.2}, moved={"body.7": "body.8"})


def wide():
    return [torch.ones(6, 8).cumsum(1) / (2 + i) for i in range(4)]


def useless(net, data):
    """A repair that is tried in full and not kept: no change can be that sure."""
    few = [batch for batch in data for _ in range(2)] if isinstance(data, list) else data
    r = vs.repair(net, few, held_out=wide(), kind="values", level=1e-300)
    assert not r.accepted
    tried = {candidate.method for candidate in r.candidates if candidate.score is not None}
    assert tried == {"recalibrate", "distill"}  # there is nothing stored yet to correct


def rewritten_and_back(net, data):
    batch = data[0] if isinstance(data, list) else next(iter(data))
    for r in (vs.relocate(net, batch), vs.replace(net, batch, 0.1)):
        r.undo()


VERBS = {
    "inspect": inspect,
    "measure": vs.measure,
    "recalibrate": vs.recalibrate,
    "explain": vs.explain,
    "diagnose": vs.diagnose,
    "predict": vs.predict,
    "predict without data": blind,
    "what if": what_if,
    "repair": useless,
    "rewrite": rewritten_and_back,
}


def unchanged(before, after):
    return {key for key in before if before[key] != after[key]}


@pytest.mark.parametrize("make", [Counting, Custom])
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "recalibrate"])
def test_success_leaves_no_trace(verb, make):
    net = lent(make)
    before = state(net)
    VERBS[verb](net, good())
    after = state(net)
    # A buffer that the model itself wrote to must be written back: its version moves, not its bits.
    for name in before["buffers"]:
        assert before["buffers"][name][:2] == after["buffers"][name][:2]
        assert before["buffers"][name][3] == after["buffers"][name][3]
    assert unchanged(before, after) <= {"buffers"}


FAILURES = {
    "raising loader": (RuntimeError, lambda net: Raising(RuntimeError("disk"))),
    "interrupted": (KeyboardInterrupt, lambda net: Raising(KeyboardInterrupt())),
    "nan": (vs.DataError, lambda net: [torch.randn(6, 8), torch.full((6, 8), torch.nan)]),
    "shape": (vs.ModelError, lambda net: [torch.randn(6, 8), torch.randn(6, 9)]),
    "overflow": (vs.ModelError, lambda net: [torch.randn(6, 8), torch.full((6, 8), 3e38)]),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(
    "verb", ["measure", "recalibrate", "explain", "diagnose", "predict", "what if"]
)
def test_failure_leaves_no_trace(verb, failure):
    error, data = FAILURES[failure]
    net = lent(Counting)
    data = data(net)  # made first: drawing it moves the generators
    before = state(net)
    with pytest.raises(error):
        VERBS[verb](net, data)
    after = state(net)
    for name in before["buffers"]:
        assert before["buffers"][name][:2] == after["buffers"][name][:2]
        assert before["buffers"][name][3] == after["buffers"][name][3]
    assert unchanged(before, after) <= {"buffers"}


@pytest.mark.parametrize("failure", [name for name in FAILURES if name != "overflow"])
def test_a_failing_repair_leaves_no_trace(failure):
    # An overflow is no failure here: a loss that is not finite decides nothing.
    error, data = FAILURES[failure]
    net = lent(Counting)
    data = data(net)
    before = state(net)
    with pytest.raises(error):
        vs.repair(net, data, kind="values")
    after = state(net)
    assert unchanged(before, after) <= {"buffers"}
    assert [b[3] for b in before["buffers"].values()] == [b[3] for b in after["buffers"].values()]


def test_recalibrate_changes_statistics_alone():
    net = lent(Counting)
    before = state(net)
    r = vs.recalibrate(net, good())
    after = state(net)
    changed = {n for n in before["buffers"] if before["buffers"][n][3] != after["buffers"][n][3]}
    assert changed == {
        f"body.{index}.running_{kind}" for index in (1, 9) for kind in ("mean", "var")
    }
    assert {n for n, b in before["buffers"].items() if b[:2] != after["buffers"][n][:2]} == set()
    assert unchanged(before, after) == {"buffers"}
    assert r.skipped == {"body.5": "frozen (in eval mode inside a model in train mode)"}
    r.undo()
    assert all(before["buffers"][n][3] == held[3] for n, held in state(net)["buffers"].items())


def test_the_batch_is_borrowed_too():
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True), nn.BatchNorm1d(3))
    x = torch.randn(8, 3)
    kept = x.clone()
    vs.inspect(net, x)
    vs.measure(net, [x])
    vs.explain(net, [x])
    vs.predict(net, [x], noise={"*": 0.3})
    vs.recalibrate(net, [x])
    assert torch.equal(x, kept)


def test_half_built_models_are_refused():
    with pytest.raises(vs.ModelError, match="not initialised yet"):
        vs.inspect(nn.Sequential(nn.LazyLinear(3)), torch.randn(2, 3))
    with torch.device("meta"):
        meta = nn.Sequential(nn.BatchNorm1d(3))
    with pytest.raises(vs.ModelError, match="meta device"):
        vs.recalibrate(meta, [torch.randn(2, 3)])
    with pytest.raises(vs.UsageError, match="pass a torch"):
        vs.inspect(lambda x: x, torch.randn(2, 3))


def test_spectral_norm_and_parametrised_weights_come_back():
    net = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)),
        nn.Dropout(0.5),
        nn.BatchNorm1d(4),
    ).train()
    before = {name: b.clone() for name, b in net.named_buffers()}
    vs.measure(net, [torch.randn(8, 4)])
    assert all(torch.equal(before[name], b) for name, b in net.named_buffers())


INFERENCE = {
    "inspect": lambda net, data: vs.inspect(net, data[0]).routes,
    "measure": lambda net, data: vs.measure(net, data).sites["body.5"].train.var,
    "recalibrate": lambda net, data: vs.recalibrate(net, data).sites["body.5"].after.var,
    "explain": lambda net, data: vs.explain(net, data).factors,
    "predict": lambda net, data: vs.predict(net, data).sites["body.5"].signal,
    "repair": lambda net, data: [
        c.score for c in vs.repair(net, data, held_out=wide(), kind="values").candidates
    ],
    "replace": lambda net, data: vs.replace(net, data[0], 0.1).changes,
}


@pytest.mark.parametrize("verb", INFERENCE)
def test_a_callers_inference_mode_changes_nothing(verb):
    torch.manual_seed(0)
    found = []
    for inference in (False, True):
        net = Mlp()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view_as(parameter).sin())
        torch.manual_seed(0)
        with torch.inference_mode(inference):  # the data made inside it too
            found.append(str(INFERENCE[verb](net, good() * 4)))
            assert torch.is_inference_mode_enabled() == inference
        assert not any(tensor.is_inference() for tensor in net.state_dict().values())
    assert found[0] == found[1] != "()"


def test_a_model_made_in_inference_mode_is_refused():
    with torch.inference_mode():
        net = Mlp()
    with pytest.raises(vs.ModelError, match=r"was created under torch\.inference_mode"):
        vs.inspect(net, good()[0])


def test_requires_grad_that_a_forward_changes_comes_back():
    class Refreezes(Mlp):
        def forward(self, x):
            self.head.weight.requires_grad_(False)
            self.head.bias.requires_grad_(True)
            return super().forward(x)

    net = Refreezes()
    net.head.bias.requires_grad_(False)
    vs.measure(net, good())
    assert net.head.weight.requires_grad
    assert not net.head.bias.requires_grad


class Interrupt:
    """A progress callable that raises at its n-th call: an interrupt in the middle of the work."""

    def __init__(self, at):
        self.at, self.calls = at, 0

    def __call__(self, done, total):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt


def test_a_repair_interrupted_anywhere_leaves_no_trace():
    data = [torch.ones(6, 8).cumsum(0), *(torch.eye(8)[:6] + 0.1 * i for i in range(5))]
    asked = {"kind": "values", "method": ["recalibrate", "correct", "adjust-live", "distill"]}
    whole = Interrupt(0)
    vs.repair(lent(Counting), data, progress=whole, **asked)
    assert whole.calls > 100
    # Every call of the first passes, then every 37th: a fit is many equal steps.
    for at in [*range(1, 25), *range(25, whole.calls, 37), whole.calls]:
        net = lent(Counting)
        before = state(net)
        with pytest.raises(KeyboardInterrupt):
            vs.repair(net, data, progress=Interrupt(at), **asked)
        after = state(net)
        for name in before["buffers"]:
            assert before["buffers"][name][:2] == after["buffers"][name][:2]
            assert before["buffers"][name][3] == after["buffers"][name][3]
        assert unchanged(before, after) <= {"buffers"}


GRAPHS = {
    "inspect": lambda net, x: vs.inspect(net, x),
    "measure": lambda net, x: vs.measure(net, [x, x]),
    "explain": lambda net, x: vs.explain(net, [x, x]),
    "predict": lambda net, x: vs.predict(net, [x, x], noise={"*": 0.3}),
    "check": lambda net, x: vs.check(net, x),
    "check on data": lambda net, x: vs.check(net, data=[x, x]),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("verb", GRAPHS)
def test_a_graph_of_the_users_can_still_be_run_backward(verb, training):
    net = Mlp().train(training)
    x = torch.randn(32, 8)
    loss = net(x).sum()
    GRAPHS[verb](net, x)
    loss.backward()  # torch would refuse if what it saved had been written to
    assert net.head.weight.grad is not None
