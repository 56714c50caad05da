"""What a monitor cannot see at the first step: thawing, ramps, a batch of NaN, another device."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

import varshift as vs
from problems.steady import steady
from varshift.errors import VarianceShiftWarning


def watched(model, steps=60, monitor=None, change=lambda step: None, **options):
    """Training forwards alone, with a monitor told of each."""
    monitor = monitor or vs.Monitor(model, every=1, warn=False, **options)
    for step in range(steps):
        change(step)
        x = torch.randn(64, 8)
        model(x)
        monitor.step(x)
    return monitor


def test_norms_that_thaw_are_watched_from_then_on():
    with steady(0):
        model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8), nn.BatchNorm1d(8))
        for norm in model[1:]:
            norm.eval()

        def thaw(step):
            if step == 60:
                model[1].train()
            if step == 200:
                model[2].train()

        monitor = watched(model, 400, change=thaw)
    seen = {step: set(record.norms) for record in monitor.history for step in [record.step]}
    assert seen
    assert set().union(*(norms for step, norms in seen.items() if step <= 200)) == {"1"}
    assert seen[max(seen)] == {"1", "2"}
    assert any("yet (2 norms in eval mode); it is looked for again" in n for n in monitor.notes)
    assert monitor.history[-1].norms["1"].severity > 1.5


@pytest.mark.parametrize("beside", [True, False], ids=["one more", "the only one"])
def test_noise_whose_rate_rises_from_0_is_watched_from_then_on(beside):
    with steady(0):
        model = nn.Sequential(
            *(nn.Dropout(0.3 * beside), nn.BatchNorm1d(8)), *(nn.Dropout(0.0), nn.BatchNorm1d(8))
        )

        def ramp(step):
            model[2].p = 0.5 * (step >= 80)

        monitor = watched(model, 300, change=ramp)
    assert monitor.history[-1].norms["3"].severity > 1.5


def test_where_nothing_can_change_it_rests():
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
    monitor = watched(model, 10)
    assert monitor.notes == (
        "no noise reaches a norm that learns its statistics: there is no shift",
    )


def test_a_batch_of_nan_that_has_spoilt_a_norm_is_said():
    with steady(0):
        model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8, momentum=None))
        monitor = watched(model, 5)
        model(torch.full((64, 8), torch.nan))
        watched(model, 1, monitor)
    assert [n for n in monitor.notes if n.startswith("the norm '1' has stored NaN")]


def test_batches_that_cannot_be_used_do_not_fill_the_notes():
    with steady(0):
        model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8, momentum=None))
        monitor = watched(model, 5)
        for _ in range(5):
            model(torch.randn(64, 8))
            monitor.step(torch.full((64, 8), torch.nan))
    said = [note for note in monitor.notes if "left out" in note]
    assert len(said) == 2
    assert said[0].startswith("the look at step 6 was left out: ")
    assert said[1] == "4 more looks were left out, the last at step 10"


@pytest.mark.parametrize("momentum", [0.5, None])
def test_a_norm_that_runs_twice_is_averaged_in_both_modes_alike(momentum):
    class Twice(nn.Module):
        """One trunk for two inputs of other sizes, as in a Siamese network."""

        def __init__(self):
            super().__init__()
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(8, momentum=momentum)

        def forward(self, x):
            return self.norm(self.drop(x)) + self.norm(self.drop(10 * x))

    with steady(0):
        monitor = vs.Monitor(model := Twice(), every=1, warn=False)
        for _ in range(20):
            model(x := torch.randn(512, 8))
            monitor.step(x)
    # keep_p in either run; with 1/3 and 2/3 against the plain mean it would be 0.38.
    assert monitor.history[-1].norms["norm"].shift == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("each", [True, False], ids=["told of each run", "told of the last"])
def test_runs_on_other_data_between_two_steps_are_said(each):
    """A discriminator: real samples, then generated ones of a tenth of their size."""
    with steady(0):
        model = nn.Sequential(nn.Dropout(0.3), nn.BatchNorm1d(8, momentum=0.5))
        monitor = vs.Monitor(model, every=1, warn=False)
        for _ in range(20):
            for x in (torch.randn(256, 8), 0.1 * torch.randn(256, 8)):
                model(x)
                if each or x.abs().max() < 1:
                    monitor.step(x)
    shift = monitor.history[-1].norms["1"].shift
    assert (shift == pytest.approx(0.7, abs=0.05)) == each
    assert (
        any("runs more than once between two calls of step()" in n for n in monitor.notes) != each
    )


class Elsewhere(Tensor):
    """A tensor of another device, as a file that was loaded to one holds it."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is Tensor.numpy:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        found = super().__torch_function__(func, types, args, kwargs or {})
        return found.as_subclass(Tensor) if func is Tensor.cpu else found


def moved(value):
    """Every tensor of a state elsewhere, as `torch.load(map_location=…)` does."""
    if isinstance(value, Tensor):
        return value.as_subclass(Elsewhere)
    if isinstance(value, dict):
        return {key: moved(each) for key, each in value.items()}
    return type(value)(map(moved, value)) if isinstance(value, (list, tuple)) else value


def test_a_state_that_was_loaded_to_an_accelerator_is_resumed():
    with steady(0):
        model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8, momentum=None))
        before = watched(model, 20)
        after = vs.Monitor(model, every=1, warn=False)
        after.load_state_dict(moved(before.state_dict()))
        assert len(watched(model, 3, after).history) > len(before.history)
    assert all(type(norm.delta) is Tensor for r in after.history for norm in r.norms.values())


def test_a_run_that_warned_of_nothing_warns_once_it_is_resumed_with_warnings():
    with steady(0):
        model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8, momentum=None))
        silent = watched(model, 20)
        loud = vs.Monitor(model, every=1)
        loud.load_state_dict(silent.state_dict())
        with pytest.warns(VarianceShiftWarning):
            watched(model, 3, loud)
        again = vs.Monitor(model, every=1)
        again.load_state_dict(loud.state_dict())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            watched(model, 3, again)
