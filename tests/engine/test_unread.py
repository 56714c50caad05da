"""Statistics that no name gives away: no figure for them, but no all-clear either."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from varshift.errors import ModelError
from varshift.results import NoteKind

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))


class Held:
    """A plain object."""


class Own(nn.Module):
    """Batch norm under names of its own."""

    def __init__(self, kind):
        super().__init__()
        mean, var = torch.zeros(8), torch.ones(8)
        self.kind = kind
        if kind == "parameter":
            self.mu = nn.Parameter(mean, requires_grad=False)
            self.s2 = nn.Parameter(var, requires_grad=False)
        elif kind == "buffer":
            self.register_buffer("mu", mean)
            self.register_buffer("s2", var)
        elif kind == "list":
            self.held = [mean, var]
        elif kind == "object":
            self.held = Held()
            self.held.mu, self.held.s2 = mean, var
        else:
            self.mu, self.s2 = mean, var

    @property
    def statistics(self):
        if self.kind == "list":
            return self.held
        holder = self.held if self.kind == "object" else self
        return [holder.mu, holder.s2]

    def forward(self, x):
        mean, var = self.statistics
        if self.training:
            now = x.mean(0), x.var(0, unbiased=False)
            if self.kind == "rebound":
                self.mu, self.s2 = 0.9 * mean + 0.1 * now[0], 0.9 * var + 0.1 * now[1]
            elif self.kind == "data":  # does not move the version counter
                mean.data.mul_(0.9).add_(0.1 * now[0])
                var.data.mul_(0.9).add_(0.1 * now[1])
            else:
                mean.lerp_(now[0], 0.1)
                var.lerp_(now[1], 0.1)
            mean, var = now
        return (x - mean) / (var + 1e-5).sqrt()


KINDS = ("parameter", "buffer", "attribute", "list", "object", "rebound", "data")
NAMES = {"list": "1.held.0, 1.held.1", "object": "1.held.mu, 1.held.s2"}


def net(kind, noisy=True):
    first = nn.Dropout(0.5) if noisy else nn.Identity()
    return nn.Sequential(first, Own(kind), nn.Linear(8, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_no_all_clear_for_statistics_under_another_name(kind):
    model = net(kind)
    found = vs.inspect(model, X)
    (note,) = found.notes
    assert note.kind is NoteKind.BY_HAND
    names = NAMES.get(kind, "1.mu, 1.s2")
    assert f"a training pass writes {names}: if these are running statistics" in note
    assert "nothing can shift" not in note
    for verb, purpose in ((vs.measure, "measure"), (vs.predict, "predict")):
        match = f"nothing to {purpose}: no normalisation that varshift can read, but"
        with pytest.raises(ModelError, match=match):
            verb(model, [X, X])
    held = model[1].statistics
    assert torch.equal(held[0], torch.zeros(8))
    assert torch.equal(held[1], torch.ones(8))


def test_repair_and_check_say_it_too():
    done = vs.repair(net("buffer"), [X, X])
    assert "there is nothing to repair: no normalisation that varshift can read" in done.reason
    assert any("a training pass writes 1.mu" in note for note in vs.check(net("buffer"), X).notes)


def test_without_noise_the_note_does_not_speak_of_it():
    (note,) = vs.inspect(net("buffer", noisy=False), X).notes
    assert "a shift there cannot be seen" in note


def test_parameters_under_the_usual_names_are_measured():
    class Usual(Own):
        def __init__(self):
            super().__init__("parameter")
            self.running_mean, self.running_var = self.mu, self.s2
            del self.mu, self.s2

        @property
        def mu(self):
            return self.running_mean

        @property
        def s2(self):
            return self.running_var

    site = vs.measure(nn.Sequential(nn.Dropout(0.5), Usual()), [X] * 50).sites["1"]
    # Inputs have mean 0, so dropout 0.5 doubles the variance.
    assert site.shift == pytest.approx(0.5, abs=0.05)


def test_what_torch_itself_writes_is_no_statistic():
    model = nn.Sequential(
        nn.Dropout(0.5), nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)), nn.Linear(8, 2)
    )
    (note,) = vs.inspect(model, X).notes
    assert note.kind is NoteKind.NO_NORM


@pytest.mark.parametrize("training", [True, False])
def test_an_exported_program_keeps_one_mode_and_is_refused(training):
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8)).train(training)
    program = torch.export.export(net, (X,)).module()
    for verb in (vs.measure, vs.recalibrate):
        with pytest.raises(ModelError, match=r"the model is a program that torch\.export made"):
            verb(program, [X, X])
    with pytest.raises(ModelError, match=r"'0' is a program that torch\.export made"):
        vs.inspect(nn.Sequential(program), X)
