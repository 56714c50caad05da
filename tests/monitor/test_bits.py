"""Training with a monitor ends with the same bits as without, whatever happens in it."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import varshift as vs
from monitor.loops import assert_same, convolutions, mlp, train
from varshift.errors import VarianceShiftWarning


def watched(found: list, **keywords):
    def watch(model):
        monitor = vs.Monitor(model, **({"every": 1, "warn": False} | keywords))
        found.append(monitor)
        return monitor.step

    return watch


@pytest.mark.parametrize("before_update", [False, True], ids=["after", "before"])
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("make", [mlp, convolutions])
def test_the_same_bits_as_without(make, accumulate, before_update):
    found: list[vs.Monitor] = []
    plain = train(make, steps=24, accumulate=accumulate)
    seen = train(
        make,
        steps=24,
        accumulate=accumulate,
        before_update=before_update,
        watch=watched(found),
    )
    assert len(found[0].history) >= 10
    assert_same(plain, seen)


def test_with_two_passes_a_look():
    """Statistics that do not give the batch's variance back: every look runs in training mode."""

    def make():
        return mlp(momentum=1e-4)

    found: list[vs.Monitor] = []
    plain, seen = train(make), train(make, watch=watched(found, every=5))
    assert any("takes a training pass too" in note for note in found[0].notes)
    assert_same(plain, seen)


class OnlyTraining(nn.Module):
    """A network whose forward is not made for evaluation; it has drawn and written by then."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(momentum=None)
        self.register_buffer("calls", torch.zeros(1))
        self.seen: list[int] = []

    def __getitem__(self, at):
        return self.body[at]

    def forward(self, x):
        self.calls += 1
        self.seen.append(1)
        if not self.training:
            self.body(x + torch.rand(1))
            raise RuntimeError("no targets given")
        return self.body(x)


def test_a_forward_that_raises_stops_the_monitor_and_not_the_training():
    found: list[vs.Monitor] = []
    plain = train(OnlyTraining)
    with pytest.warns(VarianceShiftWarning, match="the monitor rests from here on; training is"):
        seen = train(OnlyTraining, watch=watched(found, warn=True))
    assert_same(plain, seen)
    assert seen.model.seen == plain.model.seen
    assert not found[0].history
    assert "no targets given" in found[0].notes[-1]


def test_an_interrupt_goes_through_and_leaves_the_model_as_it_was():
    torch.manual_seed(0)
    model = mlp(momentum=None)
    monitor = vs.Monitor(model, every=1)
    x = torch.randn(32, 8)
    model(x)
    monitor.step(x)

    def interrupted(module, inputs):
        if not model.training:
            raise KeyboardInterrupt

    hook = model[4].register_forward_pre_hook(interrupted)
    model(x)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        monitor.step(x)
    hook.remove()
    assert all(module.training for module in model.modules())
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.is_grad_enabled()
    model(x)
    assert monitor.step(x) is None  # the look before it was lost; this one starts anew
    model(x)
    assert monitor.step(x) is not None


class Checkpointed(nn.Module):
    """Its forward runs twice in training: running statistics are updated twice, by one batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(momentum=None)

    def __getitem__(self, at):
        return self.body[at]

    def forward(self, x):
        if not torch.is_grad_enabled():
            return self.body(x)
        return checkpoint(self.body, x, use_reentrant=False)


def test_under_activation_checkpointing():
    found: list[vs.Monitor] = []
    assert_same(train(Checkpointed), train(Checkpointed, watch=watched(found)))
    assert found[0].history


def test_inside_an_autocast_block_the_training_step_keeps_its_gradients():
    """A weight cast by the look, without gradients, must not be what the next forward finds."""

    def run(monitored: bool):
        torch.manual_seed(0)
        model = mlp(momentum=None)
        monitor = vs.Monitor(model, every=1, warn=False)
        losses = []
        with torch.autocast("cpu", torch.bfloat16):
            for _ in range(4):
                x = torch.randn(32, 8)
                model.zero_grad()
                loss = model(x).square().mean()
                loss.backward()
                losses.append(loss.item())
                if monitored:
                    monitor.step(x)
        return losses, [p.grad.clone() for p in model.parameters()], monitor

    plain, seen = run(False), run(True)
    assert plain[0] == seen[0]
    assert all(torch.equal(one, other) for one, other in zip(plain[1], seen[1], strict=True))
    assert len(seen[2].history) == 3


def test_between_forward_and_backward():
    """Nothing that a graph has saved is written to."""
    torch.manual_seed(0)
    model = mlp(momentum=None)
    monitor = vs.Monitor(model, every=1, warn=False)
    for _ in range(3):
        x = torch.randn(32, 8)
        loss = model(x).square().mean()
        monitor.step(x)
        loss.backward()
    assert len(monitor.history) == 2


def test_without_noise_nothing_is_run_any_more():
    model = mlp(drop_p=0.0)
    monitor = vs.Monitor(model, every=1)
    x = torch.randn(32, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.step(x)
    calls = []
    hook = model.register_forward_pre_hook(lambda *_: calls.append(1))
    for _ in range(5):
        assert monitor.step(x) is None
    hook.remove()
    assert not calls
    assert any("no noise reaches a norm" in note for note in monitor.notes)
