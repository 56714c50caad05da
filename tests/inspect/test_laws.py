"""The table of laws against torch's own operations on the values, and against their integrals."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from varshift._engine.trace.laws import UNKNOWN, Law, drawn_law
from varshift._engine.trace.ops import Operation
from varshift._engine.trace.shaping import law_after

YES = Law("bernoulli", 1.0, 0.0, 0.3)
LEVELS = Law("bernoulli", 2.0, -0.5, 0.3)
UNIFORM, GAUSSIAN = Law("uniform", -0.5, 2.0), Law("gaussian", 1.5, 0.5)
ONE = {
    "neg": torch.neg,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "trunc": torch.trunc,
    "sign": torch.sign,
    "logical_not": torch.logical_not,
    "bitwise_not": lambda values: ~values.bool(),
    "clone": torch.clone,
    "detach": torch.detach,
    "alias": torch.ops.aten.alias,
    "lift_fresh": torch.ops.aten.lift_fresh,
}
TWO = {"mul": torch.mul, "div": torch.div, "add": torch.add, "sub": torch.sub, "rsub": torch.rsub}


def mapped(step, *values):
    return [float(value) for value in step(torch.tensor(values, dtype=torch.float64))]


@pytest.mark.parametrize("name", ONE)
def test_two_values_go_through_an_operation_as_in_torch(name):
    law = YES if "not" in name else LEVELS
    found = law_after(name, law, None, True)
    assert [found.first, found.second] == mapped(ONE[name], law.first, law.second)
    assert (found.kind, found.chance) == ("bernoulli", 0.3)


def sides(name, noise_first):
    number = torch.tensor(-4.0, dtype=torch.float64)
    step = TWO[name]
    return (lambda noise: step(noise, number)) if noise_first else lambda noise: step(number, noise)


@pytest.mark.parametrize("noise_first", [True, False])
@pytest.mark.parametrize("name", TWO)
def test_a_number_meets_each_law_as_in_torch(name, noise_first):
    step = sides(name, noise_first)
    two = law_after(name, LEVELS, -4.0, noise_first)
    assert (two.kind, two.chance) == ("bernoulli", 0.3)
    assert [two.first, two.second] == mapped(step, LEVELS.first, LEVELS.second)
    uniform, gaussian = (law_after(name, law, -4.0, noise_first) for law in (UNIFORM, GAUSSIAN))
    if name == "div" and not noise_first:  # the reciprocal has another law
        assert (uniform, gaussian) == (UNKNOWN, UNKNOWN)
        return
    ends = sorted(mapped(step, UNIFORM.first, UNIFORM.second))
    assert (uniform.kind, uniform.first, uniform.second) == ("uniform", *ends)
    mean, above = mapped(step, 1.5, 2.0)
    assert (gaussian.kind, gaussian.first) == ("gaussian", mean)
    assert gaussian.second == abs(above - mean)


def test_division_by_a_zero_of_the_noise_has_no_value():
    assert math.isnan(law_after("div", YES, 2.0, False).second)


@pytest.mark.parametrize("number", [-1.0, -0.5, 0.25, 1.0, 2.0, 3.0])
@pytest.mark.parametrize(("name", "below"), [("lt", 1), ("le", 1), ("gt", 0), ("ge", 0)])
def test_comparisons_have_the_chance_of_the_distribution(name, below, number):
    cases = {
        UNIFORM: stats.uniform(-0.5, 2.5).cdf(number),
        GAUSSIAN: stats.norm(1.5, 0.5).cdf(number),
    }
    for law, chance in cases.items():
        for noise_first in (True, False):
            found = law_after(name, law, number, noise_first)
            wanted = chance if below == noise_first else 1 - chance
            assert (found.kind, found.first, found.second) == ("bernoulli", 1.0, 0.0)
            assert found.chance == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("number", [-1.0, -0.5, 0.25, 2.0, 3.0])
@pytest.mark.parametrize("name", ["lt", "le", "gt", "ge", "eq", "ne"])
def test_two_values_are_compared_as_in_torch(name, number):
    step = getattr(torch, name)
    there, back = law_after(name, LEVELS, number, True), law_after(name, LEVELS, number, False)
    values = torch.tensor([2.0, -0.5], dtype=torch.float64)
    beside = torch.tensor(number, dtype=torch.float64)
    assert [there.first, there.second] == step(values, beside).double().tolist()
    assert [back.first, back.second] == step(beside, values).double().tolist()
    assert {there.kind, back.kind} == {"bernoulli"}
    assert {there.chance, back.chance} == {0.3}


@pytest.mark.parametrize(("low", "chance"), [(0.9, 0.9), (2.25, 0.25), (-0.3, 0.7), (-1.4, 0.6)])
def test_the_floor_of_a_shifted_draw_is_a_yes_or_no(low, chance):
    found = law_after("floor", Law("uniform", low, low + 1), None, True)
    assert (found.kind, found.first, found.second) == (
        "bernoulli",
        math.floor(low) + 1,
        math.floor(low),
    )
    assert found.chance == pytest.approx(chance, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "law", "number"),
    [
        ("floor", Law("uniform", 0.5, 2.5), None),  # three values
        ("floor", Law("uniform", 0.25, 0.75), None),  # one
        ("floor", Law("uniform", 0.5, 0.5), None),
        ("floor", GAUSSIAN, None),
        ("eq", UNIFORM, 0.5),
        ("ne", GAUSSIAN, 0.5),
        ("lt", Law("uniform", 1.0, 1.0), 0.5),
        ("lt", Law("gaussian", 1.0, 0.0), 0.5),
        ("mul", YES, None),  # by a tensor of many numbers
        ("exp", YES, None),
        ("exp", YES, 2.0),
        ("neg", UNKNOWN, None),
        ("mul", UNKNOWN, 2.0),
    ],
)
def test_what_is_not_in_the_table_is_unknown(name, law, number):
    assert law_after(name, law, number, True) == UNKNOWN


ATEN = torch.ops.aten
X, HALVES = torch.zeros(4, 3), torch.full((4, 3), 0.5)
MIXED = torch.tensor([0.1, 0.5, 0.5])


@pytest.mark.parametrize(
    ("call", "law"),
    [
        ((ATEN.rand.default, [4]), Law("uniform", 0.0, 1.0)),
        ((ATEN.rand_like.default, X), Law("uniform", 0.0, 1.0)),
        ((ATEN.randn.default, [4]), Law("gaussian", 0.0, 1.0)),
        ((ATEN.randn_like.default, X), Law("gaussian", 0.0, 1.0)),
        ((ATEN.bernoulli_.float, X), Law("bernoulli", 1.0, 0.0, 0.5)),
        ((ATEN.bernoulli_.float, X, 0.8), Law("bernoulli", 1.0, 0.0, 0.8)),
        ((ATEN.bernoulli.p, X, 0.7), Law("bernoulli", 1.0, 0.0, 0.7)),
        ((ATEN.bernoulli.default, HALVES), Law("bernoulli", 1.0, 0.0, 0.5)),
        ((ATEN.bernoulli.default, MIXED), UNKNOWN),
        ((ATEN.bernoulli_.Tensor, X, HALVES), Law("bernoulli", 1.0, 0.0, 0.5)),
        ((ATEN.bernoulli_.Tensor, X, MIXED), UNKNOWN),
        ((ATEN.uniform_.default, X), Law("uniform", 0.0, 1.0)),
        ((ATEN.uniform_.default, X, -2.0), Law("uniform", -2.0, 1.0)),
        ((ATEN.uniform_.default, X, -2.0, 3), Law("uniform", -2.0, 3.0)),
        ((ATEN.normal_.default, X), Law("gaussian", 0.0, 1.0)),
        ((ATEN.normal_.default, X, 2), Law("gaussian", 2.0, 1.0)),
        ((ATEN.normal_.default, X, 2, 3.0), Law("gaussian", 2.0, 3.0)),
        ((ATEN.normal.float_float, 2.0, 3.0, [4]), Law("gaussian", 2.0, 3.0)),
        ((ATEN.normal.Tensor_float, HALVES), Law("gaussian", 0.5, 1.0)),
        ((ATEN.normal.Tensor_float, HALVES, 2.0), Law("gaussian", 0.5, 2.0)),
        ((ATEN.normal.Tensor_float, MIXED, 2.0), UNKNOWN),
        ((ATEN.normal.float_Tensor, 2.0, HALVES), Law("gaussian", 2.0, 0.5)),
        ((ATEN.normal.Tensor_Tensor, HALVES, HALVES), Law("gaussian", 0.5, 0.5)),
        ((ATEN.normal.Tensor_Tensor, HALVES, MIXED), UNKNOWN),
        ((ATEN.randint.default, 2, [4]), Law("bernoulli", 1.0, 0.0, 0.5)),
        ((ATEN.randint.low, 5, 7, [4]), Law("bernoulli", 6.0, 5.0, 0.5)),
        ((ATEN.randint.low, 5, 8, [4]), UNKNOWN),
        ((ATEN.randint_like.default, X, 2), Law("bernoulli", 1.0, 0.0, 0.5)),
        ((ATEN.randint_like.low_dtype, X, -1, 1), Law("bernoulli", 0.0, -1.0, 0.5)),
        ((ATEN.poisson.default, X), UNKNOWN),
    ],
)
def test_draws_are_read_from_their_numbers(call, law):
    func, *args = call
    assert drawn_law(Operation(func, tuple(args), {})) == law


def test_numbers_by_name_are_read_too():
    named = Operation(ATEN.uniform_.default, (X,), {"from": -1, "to": 5})
    assert drawn_law(named) == Law("uniform", -1.0, 5.0)
    named = Operation(ATEN.normal_.default, (X,), {"mean": 1, "std": 4})
    assert drawn_law(named) == Law("gaussian", 1.0, 4.0)


@pytest.mark.parametrize(
    ("law", "twin"),
    [
        (LEVELS, stats.rv_discrete(values=([-1, 4], [0.7, 0.3]))),  # twice the values
        (UNIFORM, stats.uniform(-0.5, 2.5)),
        (GAUSSIAN, stats.norm(1.5, 0.5)),
    ],
)
def test_mean_variance_and_tau_are_those_of_the_distribution(law, twin):
    scale = 2.0 if law is LEVELS else 1.0
    mean, var = twin.mean() / scale, twin.var() / scale**2
    assert law.mean == pytest.approx(mean, rel=1e-12)
    assert law.var == pytest.approx(var, rel=1e-12)
    assert law.tau == pytest.approx(var / mean**2, rel=1e-12)


def test_what_has_no_tau_no_rate_or_no_ends():
    assert Law("uniform", -1.0, 1.0).tau is None
    assert UNKNOWN.tau is None
    assert math.isnan(UNKNOWN.mean)
    assert math.isnan(UNKNOWN.var)
    assert UNKNOWN.ends is None
    assert Law("bernoulli", 1.0, 0.0, 1.0).ends is None
    assert [law.drop_p for law in (UNKNOWN, UNIFORM, LEVELS)] == [None] * 3
    assert Law("bernoulli", 1.0, 0.0, 0.3).drop_p == pytest.approx(0.7)
    assert Law("bernoulli", 0.0, 2.0, 0.3).drop_p == 0.3
    assert Law("bernoulli", 0.0, 0.0, 0.3).drop_p == 1.0
    assert LEVELS.ends == (-0.5, 2.0)
    assert GAUSSIAN.ends == (-1.0, 4.0)
    low, high = UNIFORM.ends
    assert low == -0.5
    assert 2.0 - 1e-5 < high < 2.0
