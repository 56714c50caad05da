"""Masks that no draw of the pass makes: kept from before it, or made by numpy and Python."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from varshift._engine.ahead import law_of_values
from varshift.results import NoteKind


class Masked(nn.Module):
    """A linear layer, what a subclass does in training, a norm."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)
        self.make()

    def make(self):
        """What stands ready before a pass."""

    def forward(self, x):
        return self.norm(self.acts(self.linear(x)))

    def acts(self, y):
        return self.masked(y) if self.training else y


class InABuffer(Masked):
    def make(self):
        self.register_buffer("masks", nn.Dropout(0.2)(torch.ones(400, 8)))

    def masked(self, y):
        return y * self.masks[: len(y)]


class TakenInTurns(InABuffer):
    """As in light gated units: slices in turn, and another tensor in evaluation, on one line."""

    def make(self):
        super().make()
        self.register_buffer("ones", torch.ones(1))
        self.turn = 0

    def acts(self, y):
        if self.training:
            if self.turn + len(y) > len(self.masks):
                self.turn, self.masks = 0, functional.dropout(torch.ones(400, 8), 0.2)
            mask = self.masks[self.turn : self.turn + len(y)]
            self.turn += len(y)
        else:
            mask = self.ones
        return y * mask


class Locked(Masked):
    """One mask for all samples and steps, drawn by `reset`."""

    def make(self):
        self.reset()

    def reset(self):
        self.mask = torch.tensor([[0.0, 2, 0, 2, 2, 0, 2, 2]])

    def masked(self, y):
        return y * self.mask


class InAList(Locked):
    def reset(self):
        self.masks = [None, torch.tensor([[0.0, 2, 0, 2, 2, 0, 2, 2]])]

    def masked(self, y):
        return y * self.masks[1]


class Filling(Masked):
    def make(self):
        self.register_buffer("gone", torch.arange(800).view(100, 8) % 4 == 0)

    def masked(self, y):
        return y.masked_fill(self.gone[: len(y)], 0.0)


class Added(Masked):
    def make(self):
        self.register_buffer("noise", torch.randn(100, 8))

    def masked(self, y):
        return y + self.noise[: len(y)]


class OverAPart(Added):
    def masked(self, y):
        y = y.clone()
        y[:, :4] = self.noise[: len(y), :4]
        return y


class Shuffling(Masked):
    def make(self):
        self.order = torch.tensor([3, 1, 0, 2])

    def masked(self, y):
        return 0.5 * y + 0.5 * y[self.order]


KEPT = {
    InABuffer: ("masks", "bernoulli", 0.2),
    TakenInTurns: ("masks", "bernoulli", 0.2),
    Locked: ("mask", "bernoulli", 0.5),
    InAList: ("masks.1", "bernoulli", 0.5),
    Filling: ("gone", "bernoulli", 0.25),
    Added: ("noise", "additive", None),
    OverAPart: ("noise", "unknown", None),
    Shuffling: ("order", "unknown", None),
}


@pytest.mark.parametrize("kind", KEPT, ids=lambda kind: kind.__name__)
def test_a_mask_drawn_ahead_is_a_noise_named_by_where_it_is_kept(kind):
    name, law, drop_p = KEPT[kind]
    s = vs.inspect(kind(), torch.randn(4, 8))
    (noise,) = s.noises
    assert (noise.name, noise.law, noise.operation) == (name, law, "kept tensor")
    assert noise.drop_p == drop_p
    assert (noise.kept, noise.active, noise.calls) == (True, True, 0)
    assert "y" in noise.line.code  # the line where it meets the data
    assert [(r.noise, r.norm, r.placement) for r in s.routes] == [(name, "norm", "a")]


class OnWeights(Masked):
    """Weight dropout made ahead: a mask for the weights."""

    def make(self):
        self.inner = nn.Linear(8, 8)
        self.register_buffer("mask", (torch.arange(64).view(8, 8) % 2) * 2.0)

    def masked(self, y):
        return functional.linear(y, self.inner.weight * self.mask)


class WeightsAhead(Masked):
    """The same with the dropped weights themselves, set before the pass."""

    def make(self):
        self.inner = nn.Linear(8, 8)
        self.dropped = functional.dropout(self.inner.weight.data, 0.5)

    def masked(self, y):
        return functional.linear(y, self.dropped)


@pytest.mark.parametrize(("kind", "name"), [(OnWeights, "mask"), (WeightsAhead, "dropped")])
def test_weights_dropped_ahead(kind, name):
    s = vs.inspect(kind(), torch.randn(4, 8))
    assert [(r.noise, r.placement) for r in s.routes] == [(name, "b")]


OUTSIDE = torch.tensor([[0.0, 2, 0, 2, 2, 0, 2, 2]])


class OfTheModule(Masked):
    """Kept where no module keeps it."""

    def masked(self, y):
        return y * OUTSIDE


class OwnGenerator(Masked):
    def make(self):
        self.generator = np.random.default_rng(0)

    def masked(self, y):
        drawn = self.generator.random(tuple(y.shape)) < 0.5
        return y * torch.from_numpy(drawn * 2.0).float()


@pytest.mark.parametrize("kind", [OfTheModule, OwnGenerator])
def test_what_no_module_keeps_is_named_by_where_it_meets_the_data(kind):
    s = vs.inspect(kind(), torch.randn(8, 8))
    (noise,) = s.noises
    assert (noise.name, noise.operation, noise.kept) == ("(model)", "made outside torch", True)
    assert (noise.law, noise.drop_p) == ("bernoulli", 0.5)
    assert [(r.noise, r.norm) for r in s.routes] == [("(model)", "norm")]


class NumpyTokens(Masked):
    def make(self):
        self.token = nn.Parameter(torch.randn(8))

    def masked(self, y):
        y = y.clone()
        y[torch.from_numpy(np.random.rand(len(y)) < 0.5)] = self.token
        return y


class NumpyRate(Masked):
    """Drawn in both modes; what differs is the rate."""

    def acts(self, y):
        drawn = np.random.rand(*y.shape) >= (0.5 if self.training else 0.0)
        return y * torch.tensor(drawn)


class PythonMask(Masked):
    def masked(self, y):
        return y * torch.tensor([[random.random() < 0.5] for _ in y])


class PythonRows(Masked):
    def masked(self, y):
        y = y.clone()
        y[random.sample(range(len(y)), 2)] = 0.0
        return y


@pytest.mark.parametrize(
    ("kind", "generator"),
    [(NumpyTokens, "numpy"), (NumpyRate, "numpy"), (PythonMask, "python"), (PythonRows, "python")],
)
def test_what_numpy_and_python_draw_has_routes(kind, generator):
    random.seed(0)
    np.random.seed(0)
    s = vs.inspect(kind(), torch.randn(8, 8))
    (noise,) = s.noises
    assert (noise.name, noise.module, noise.kept) == (f"({generator} random)", "", False)
    assert [(r.noise, r.norm, r.placement) for r in s.routes] == [(noise.name, "norm", "a")]
    assert s.prove(s.routes[0]).answer is True
    assert any(note.kind is NoteKind.OUTSIDE_DRAW for note in s.notes)


class Scaled(Masked):
    def make(self):
        self.register_buffer("scale", torch.tensor(2.0))

    def masked(self, y):
        return y * self.scale


class Reordered(Masked):
    def masked(self, y):
        return y[:, torch.tensor([1, 0, 2, 3, 4, 5, 6, 7])]


@pytest.mark.parametrize("kind", [Scaled, Reordered])
def test_a_constant_in_training_alone_is_said_and_is_no_noise(kind):
    s = vs.inspect(kind(), torch.randn(4, 8))
    assert s.noises == ()
    (note,) = [note for note in s.notes if note.kind is NoteKind.UNEXPLAINED]
    assert "in training" in note
    assert "not in evaluation" in note


class BothModes(Masked):
    """Pruned weights, a position code, a constant and a mask of features, in training or not."""

    def make(self):
        self.register_buffer("pruned", torch.arange(8) % 2 == 0)
        self.position = torch.randn(8)

    def acts(self, y):
        return (y + self.position + torch.tensor([0.1] * 8)) * self.pruned


class ScaleOfADraw(Masked):
    def make(self):
        self.register_buffer("keep_p", torch.tensor(0.8))

    def masked(self, y):
        return y * (torch.rand_like(y) < self.keep_p) / self.keep_p


class NormByHand(Masked):
    """Its statistics move in training and are read in evaluation, by other lines."""

    def make(self):
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("var", torch.full((8,), 1.1))

    def acts(self, y):
        if not self.training:
            return (y - self.mean) / self.var.sqrt()
        mean, var = y.mean(0), y.var(0)
        scale, shift = (var / self.var).sqrt(), (mean - self.mean) / self.var.sqrt()
        self.mean.lerp_(mean, 0.1)
        self.var.lerp_(var, 0.1)
        return (y - mean) / var.sqrt() * scale + shift


class ThroughNumpy(Masked):
    """Neighbours found by numpy, from values that training and evaluation do not share."""

    def acts(self, y):
        y = functional.batch_norm(y, torch.zeros(8), torch.ones(8), training=self.training)
        return y + y[torch.from_numpy(np.argsort(y.numpy()[:, 0]))]


class AuxiliaryHead(Masked):
    """A branch that only training runs, with a norm of its own."""

    def make(self):
        self.position, self.head, self.other = torch.randn(8), nn.Linear(8, 8), nn.BatchNorm1d(8)

    def masked(self, y):
        self.other(self.head(y + self.position))
        return y


@pytest.mark.parametrize(
    "kind", [BothModes, ScaleOfADraw, NormByHand, ThroughNumpy, AuxiliaryHead, Masked]
)
def test_what_evaluation_does_too_is_no_noise(kind):
    net = kind()
    if kind is Masked:
        net.masked = lambda y: y
    s = vs.inspect(net, torch.randn(4, 8))
    assert not any(noise.kept or not noise.module for noise in s.noises)
    assert not any(note.kind is NoteKind.UNEXPLAINED for note in s.notes)


def test_spectral_norm_is_no_noise():
    for wrapped in (nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm):
        s = vs.inspect(
            nn.Sequential(wrapped(nn.Linear(8, 8)), nn.BatchNorm1d(8)), torch.randn(4, 8)
        )
        assert (s.noises, s.notes) == ((), ())


@pytest.mark.parametrize("kind", [InABuffer, TakenInTurns, NumpyTokens, OwnGenerator])
def test_looking_twice_leaves_the_model_and_the_generators_as_one_pass_would(kind):
    random.seed(0)
    np.random.seed(0)
    net = kind()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), dict(vars(net))
    vs.inspect(net, torch.randn(4, 8, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert {key: value for key, value in vars(net).items() if isinstance(value, int)} == {
        key: value for key, value in before[2].items() if isinstance(value, int)
    }
    for name, value in net.state_dict().items():
        assert torch.equal(value, state[name])


def test_only_a_candidate_costs_a_pass():
    runs = []
    for kept in (None, torch.randn(8)):
        net = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.BatchNorm1d(8))
        net.register_forward_pre_hook(lambda module, inputs: runs.append(module.training))
        if kept is not None:
            net[0].register_forward_hook(lambda module, inputs, out, kept=kept: out + kept)
        vs.inspect(net, torch.randn(4, 8))
        runs.append(None)
    assert runs == [True, None, True, False, None]


def test_the_law_of_a_kept_mask():
    assert law_of_values(functional.dropout(torch.ones(1000), 0.25)).drop_p == pytest.approx(0.25)
    assert law_of_values(torch.arange(100) % 4 > 0).drop_p == pytest.approx(0.25)
    assert law_of_values(torch.arange(100) % 4 > 0).tau == pytest.approx(1 / 3)
    # Zeros and twos, but nine of ten are twos: not what dropout of a half would leave.
    assert law_of_values((torch.arange(1000) % 10 > 0) * 2.0).drop_p == pytest.approx(0.1)
    assert law_of_values(torch.randn(10)).kind == "unknown"
    assert law_of_values(torch.ones(10)).kind == "unknown"


class Twice(nn.Module):
    """A mask before the norm and one behind it."""

    def __init__(self):
        super().__init__()
        self.before, self.norm, self.behind = Masks(), nn.BatchNorm1d(8), Masks()

    def forward(self, x):
        return self.behind(self.norm(self.before(x)))


class Masks(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("held", nn.Dropout(0.5)(torch.ones(64, 8)))

    def forward(self, x):
        return x * self.held[: len(x)] if self.training else x


def test_a_mask_behind_the_last_norm_is_a_noise_without_a_route():
    s = vs.inspect(Twice(), torch.randn(4, 8))
    assert [noise.name for noise in s.noises] == ["before.held", "behind.held"]
    assert [route.noise for route in s.routes] == ["before.held"]


class Wide(nn.Module):
    """A mask drawn ahead before a linear layer and a norm, as placement (b)."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 32), nn.Linear(32, 16)
        self.norm = nn.BatchNorm1d(16)
        self.register_buffer("masks", nn.Dropout(0.3)(torch.ones(256, 32)))

    def forward(self, x):
        y = self.first(x).relu()
        return self.norm(self.last(y * self.masks[: len(y)] if self.training else y))


def test_no_verb_says_that_nothing_shifts():
    net, data = Wide(), [(torch.randn(256, 8),) for _ in range(4)]
    for _ in range(40):
        for (x,) in data:
            net(x)
    measured = vs.measure(net, data)
    assert measured.sites["norm"].severity > 1.2
    assert not any("no shift" in note for note in measured.notes)
    explained = vs.explain(net, data)
    assert explained.verdict == "noise"
    # All of the shift is the mask's: with it replaced by its mean, nothing is left.
    assert abs(float(explained.blame.rest["norm"])) < 0.02 < float(explained.blame["masks", "norm"])
    assert [finding.noises for finding in vs.check(net, data=data)] == [("masks",)]
    predicted = vs.predict(net, data)
    assert predicted.sites["norm"].severity == pytest.approx(
        float(measured.sites["norm"].severity), rel=0.05
    )
    blind = vs.predict(net, example=data[0][0])
    assert "norm" in blind.skipped or blind.sites["norm"].severity > 1.2
