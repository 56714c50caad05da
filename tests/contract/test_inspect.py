"""`inspect`: which noise reaches which norm, by which route."""

from __future__ import annotations

import pytest

import varshift as vs
from contract.cases import NAMES, case

ROUTES = {
    "direct": {("0", "1", "a")},
    "linear": {("0", "2", "b")},
    "conv": {("0", "2", "b")},
    "channel": {("0", "2", "b")},
    "sample": {("path", "norm", "b")},
    "through": {("0", "1", "a"), ("0", "4", "through-norm")},
    "frozen": {("0", "2", "b"), ("0", "5", "through-norm")},
    "reused": {("drop", "norm", "a")},
    "functional": {("(model)", "m", "b")},
    "graph": {("drop", "norm", "b")},
    "dicts": {("drop", "norm", "b")},
    "mask": {("(model)", "norm", "a")},
    "depth": set(),
    "several": {("0", "3", "b"), ("2", "3", "a")},
}
NOISES = {
    "direct": [("0", "bernoulli", 0.4, "element")],
    "channel": [("0", "bernoulli", 0.3, "channel")],
    "sample": [("path", "bernoulli", 0.3, "sample")],
    "functional": [("(model)", "bernoulli", 0.3, "element")],
    "mask": [("(model)", "bernoulli", 0.3, "element")],
    "several": [("0", "bernoulli", 0.2, "element"), ("2", "bernoulli", 0.3, "element")],
}


def structure_of(name):
    found = case(name)
    return vs.inspect(found.model, found.batches[0], **found.keywords)


@pytest.mark.parametrize("name", NAMES)
def test_routes(name):
    assert {(r.noise, r.norm, r.placement) for r in structure_of(name).routes} == ROUTES[name]


@pytest.mark.parametrize("name", NOISES)
def test_noises(name):
    noises = structure_of(name).noises
    assert [(n.name, n.law, pytest.approx(n.drop_p), n.sharing) for n in noises] == NOISES[name]
    for noise in noises:
        assert noise.active
        assert noise.tau == pytest.approx(noise.drop_p / (1 - noise.drop_p))


def test_norms_say_how_they_run():
    assert [(n.path, n.frozen) for n in structure_of("frozen").norms] == [("2", True), ("5", False)]
    (norm,) = structure_of("reused").norms
    assert norm.reused
    assert norm.calls == 2
    (norm,) = structure_of("functional").norms
    assert (norm.path, norm.channels) == ("m", 4)
    (norm,) = structure_of("linear").norms
    assert (norm.kind, norm.channels, norm.momentum, norm.affine) == ("BatchNorm1d", 4, 0.1, True)


def test_what_python_decides_is_named_in_notes():
    structure = structure_of("depth")
    assert [noise.law for noise in structure.noises] == ["control-flow"]
    assert structure.notes


def test_lines_of_code_are_the_users():
    (noise,) = structure_of("mask").noises
    assert noise.line.file.endswith("models.py")
    assert "torch.rand_like" in noise.line.code


def test_look_ups_and_proof():
    structure = structure_of("through")
    direct, carried = structure.routes
    assert structure.direct() == structure.behind("1") == (direct,)
    assert structure.noise("0").drop_p == 0.5
    assert structure.norm("4").channels == 4
    assert carried.layers[0].role == "norm"
    proof = structure.prove(direct)
    assert proof
    assert proof.difference > proof.noise_floor == 0.0
    with pytest.raises(vs.UsageError, match="'nowhere' is not here"):
        structure.norm("nowhere")
