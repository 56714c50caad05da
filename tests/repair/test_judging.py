"""What repairs are judged by: few samples, ignored labels, noise that stays on, odd calls."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from problems.noisy_nets import Mlp
from problems.settling import settled
from problems.shifted import pairs, shifted
from varshift._engine.borrow.rng import seed_all
from varshift._engine.regime import Regime
from varshift._engine.session import session
from varshift._repair.likeness import unlike
from varshift._repair.predictions import Reader
from varshift._repair.scoring import scorer_of
from varshift._repair.teaching import Teacher, noisy_flags
from varshift.judging import Judge


def small(make=Mlp):
    seed_all(0)
    return settled(make(), torch.randn(512, 8).split(32), 3)


def data(samples=320, size=16):
    return torch.randn(samples, 8, generator=torch.Generator().manual_seed(1)).split(size)


# Few ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "size", "asked"),
    [(24, 8, {}), (320, 16, {"max_held_out": 6}), (64, 16, {"held_out": [torch.randn(1, 8)]})],
)
def test_too_few_held_out_samples_are_refused(samples, size, asked):
    match = r"\d+ held-out samples?: too few to tell a repair from chance; hold out at least 20"
    with pytest.raises(vs.DataError, match=match):
        vs.repair(small(), data(samples, size), **asked)


def test_a_batch_of_one_says_what_a_training_pass_needs():
    with pytest.raises(vs.ModelError, match="needs batches of at least 2 samples here"):
        vs.repair(small(), data(40, 1))


def test_ignored_labels_are_left_out_and_said():
    held = [(x, y.clone()) for x, y in pairs("test")]
    for _, y in held:
        y[::3] = -100
    r = vs.repair(shifted("a", 0.7), pairs("train"), held_out=held, method="recalibrate")
    told = sum(int((y != -100).sum()) for _, y in held)
    assert r.before.samples == told < r.held_out
    assert (
        f"{r.held_out - told} held-out samples have a label to be ignored (-100): left out"
        in r.notes
    )
    for _, y in held:
        y[:] = -100
    with pytest.raises(vs.DataError, match=r"0 held-out samples, not counting 898 whose label is"):
        vs.repair(shifted("a", 0.7), pairs("train"), held_out=held, method="recalibrate")


# Reproducible ------------------------------------------------------------------------------------


class Restless(Mlp):
    """Its noise stays on in eval mode, out of three generators."""

    def forward(self, x):
        scale = 1 + 0.3 * random.random() + 0.3 * np.random.rand()
        return super().forward(functional.dropout(scale * x, 0.2, True))


def test_losses_are_those_of_the_seed_and_generators_come_back():
    asked = {"kind": "values", "method": ["recalibrate", "distill"]}
    found = []
    for start in (1, 2):
        net = small(Restless)
        for seeded in (random.seed, np.random.seed, torch.manual_seed):
            seeded(start)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
        r = vs.repair(net, data(), **asked, seed=3)
        after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
        assert before[:2] == after[:2]
        assert torch.equal(before[2], after[2])
        found.append([r.before, *(candidate.score for candidate in r.candidates)])
    assert found[0] == found[1]
    other = vs.repair(small(Restless), data(), **asked, seed=4)
    assert other.before != found[0][0]


class Counts(nn.Dropout):
    """Its rate depends on how often it ran."""

    def __init__(self):
        super().__init__(0.5)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


def test_every_look_at_the_model_gives_back_flags_and_counters():
    net = small(lambda: nn.Sequential(Counts(), nn.Linear(8, 4), nn.BatchNorm1d(4)))
    net[2].eval()
    flags = [(module, module.training) for module in net.modules()]
    reader, lent = Reader("values"), net[0].calls
    with session(net) as run:
        batch = run.example(data()[0])
        with run.trying():
            run.once(batch, Regime("training", structure=True))
        noisy = noisy_flags(run, batch)
        looks = (
            lambda: scorer_of(run, [batch], Judge(kind="values")),
            lambda: noisy_flags(run, batch),
            lambda: unlike(run, noisy, batch, reader),
            lambda: Teacher(run, noisy, reader, 2).taught([batch]),
        )
        for look in looks:
            look()
            assert net[0].calls == lent
            assert [(module, module.training) for module in net.modules()] == flags


def test_labels_of_other_forms_do_where_they_are_not_needed():
    told = [(x, [0] * len(x)) for x in data()]
    net = small()
    for asked in ({"labels": False}, {"loss": lambda out, batch: out[:, 0] + len(batch[1])}):
        r = vs.repair(net, told, kind="values", method="recalibrate", level=1e-12, **asked)
        assert r["recalibrate"].score is not None
    with pytest.raises(vs.DataError, match="the labels of a batch are a list; pass a tensor"):
        vs.repair(net, told)


# Statistics that are no buffers -------------------------------------------------------------------


class Loose(nn.Module):
    """`F.batch_norm` with running statistics that are plain attributes."""

    def __init__(self):
        super().__init__()
        self.mean, self.var = torch.zeros(8), torch.ones(8)
        self.drop, self.linear = nn.Dropout(0.5), nn.Linear(8, 3)

    def forward(self, x):
        x = functional.batch_norm(
            self.drop(x), self.mean, self.var, training=self.training, momentum=0.1
        )
        return self.linear(x)


def test_recalibrating_writes_statistics_that_are_plain_attributes():
    net = small(Loose)
    places = net.mean.data_ptr(), net.var.data_ptr()
    old = net.var.clone()
    with torch.no_grad():  # what it would say with no noise before its norm
        told = [(x, net.linear(x)) for x in data(4096, 64)]
    r = vs.repair(net, told, method="recalibrate")
    assert r["recalibrate"].tensors == ("mean", "var")
    assert r.accepted
    assert (net.mean.data_ptr(), net.var.data_ptr()) == places
    # 1365 samples: five standard errors of a variance. With the noise in it, it was near 2.
    torch.testing.assert_close(net.var, torch.ones(8), rtol=5 * (2 / 1365) ** 0.5, atol=0)
    assert bool((old > 1.5).all())
    r.undo()
    assert torch.equal(net.var, old)


# Scripted parts -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_scripted_parts_are_seen_from_outside_and_said():
    torch.manual_seed(0)
    inner = torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)))
    net = nn.Sequential(nn.Dropout(0.5), inner, nn.Dropout(0.5), nn.BatchNorm1d(8))
    settled(net, data(), 3)
    said = "inside a scripted module, whose tensors lie in C++"
    s = vs.inspect(net, data()[0])
    assert any(note.startswith(f"1.1: {said}") for note in s.notes)
    assert said in vs.recalibrate(net, data()).skipped["1.1"]
    r = vs.repair(net, data(), kind="values")
    assert r["recalibrate"].tensors == ("3.running_mean", "3.running_var")
    scripted = nn.Sequential(nn.Dropout(0.5), torch.jit.script(nn.BatchNorm1d(8)))
    with pytest.raises(vs.ModelError, match=rf"there is nothing to recalibrate \(1: {said}"):
        vs.recalibrate(scripted, data())
