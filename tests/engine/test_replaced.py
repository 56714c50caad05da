"""An operation with noise replaced by its mean, against the mean over all masks; or left out."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from oracles.data import normal
from varshift._engine.control import along_samples
from varshift._engine.quiet import by_mean, left_out, shut_out
from varshift._engine.trace.flow import NOTHING, Flow
from varshift._engine.trace.ops import Operation

ATEN = torch.ops.aten
KEEP_P = 0.3
X, Y = normal(2, 2, seed=0), normal(2, 2, seed=1)
AFFINE = {
    "mul": (ATEN.mul.Tensor, lambda noise: (X, noise), {}),
    "mul, noise first": (ATEN.mul.Tensor, lambda noise: (noise, X), {}),
    "add": (ATEN.add.Tensor, lambda noise: (X, noise), {"alpha": 2}),
    "sub": (ATEN.sub.Tensor, lambda noise: (noise, X), {}),
    "rsub": (ATEN.rsub.Tensor, lambda noise: (noise, X), {}),
    "addcmul": (ATEN.addcmul.default, lambda noise: (X, noise, Y), {"value": 3}),
    "lerp": (ATEN.lerp.Tensor, lambda noise: (X, Y, noise), {}),
    "mm": (ATEN.mm.default, lambda noise: (noise, X), {}),
    "bmm": (ATEN.bmm.default, lambda noise: (noise[None], X[None]), {}),
}
CHOICES = {
    "masked_fill": (ATEN.masked_fill.Scalar, lambda noise: (X, noise, 5.0)),
    "where": (ATEN.where.self, lambda noise: (noise, X, Y)),
    "mul": (ATEN.mul.Tensor, lambda noise: (X, noise)),
}
MEAN = torch.tensor(KEEP_P, dtype=torch.float64)


def masks():
    for ones in product([0.0, 1.0], repeat=4):
        chances = [KEEP_P if one else 1 - KEEP_P for one in ones]
        yield torch.tensor(ones).double().reshape(2, 2), math.prod(chances)


@pytest.mark.parametrize("name", [name for name in AFFINE if name != "bmm"])
def test_what_is_affine_in_the_noise(name):
    function, arguments, options = AFFINE[name]
    expected = sum(chance * function(*arguments(mask), **options) for mask, chance in masks())
    noise = next(masks())[0]
    found = by_mean(Operation(function, arguments(noise), options), noise, MEAN)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CHOICES)
def test_what_a_yes_or_no_chooses(name):
    function, arguments = CHOICES[name]
    expected = sum(chance * function(*arguments(mask.bool())) for mask, chance in masks())
    noise = next(masks())[0].bool()
    found = by_mean(Operation(function, arguments(noise), {}), noise, MEAN)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_batches_of_matrices():
    noise = torch.ones(3, 2, 2, dtype=torch.float64)
    found = by_mean(Operation(ATEN.bmm.default, (noise, normal(3, 2, 2, seed=3)), {}), noise, MEAN)
    expected = KEEP_P * normal(3, 2, 2, seed=3).sum(1, keepdim=True).expand(3, 2, 2)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_what_is_not_affine_is_notby_mean():
    noise = torch.rand(2, 2)
    for function in (ATEN.div.Tensor, ATEN.pow.Tensor_Tensor, ATEN.maximum.default):
        assert by_mean(Operation(function, (X, noise), {}), noise, MEAN) is None
    mask = noise > 0.5
    assert by_mean(Operation(ATEN.add.Tensor, (X, mask), {}), mask, MEAN) is None
    # The noise is what is chosen, not what chooses.
    assert by_mean(Operation(ATEN.where.self, (mask, noise, X), {}), noise, MEAN) is None


DATA = Flow(data=True)
LEFT_OUT = {  # the function, its arguments, and the mask that is no noise
    "mul": (ATEN.mul.Tensor, lambda noise: (X, noise), torch.ones(2, 2).double()),
    "in place": (ATEN.mul_.Tensor, lambda noise: (X.clone(), noise), torch.ones(2, 2).double()),
    "add": (ATEN.add.Tensor, lambda noise: (noise, X), torch.zeros(2, 2).double()),
    "sub": (ATEN.sub.Tensor, lambda noise: (noise, X), torch.zeros(2, 2).double()),
    "masked_fill": (
        *(ATEN.masked_fill.Scalar, lambda noise: (X, noise.bool(), 5.0)),
        torch.zeros(2, 2, dtype=torch.bool),
    ),
    "where": (
        *(ATEN.where.self, lambda noise: (noise.bool(), torch.tensor(-3.0), X)),
        torch.zeros(2, 2, dtype=torch.bool),
    ),
    "where it is kept": (
        *(ATEN.where.self, lambda noise: (noise.bool(), X, torch.tensor(-3.0))),
        torch.ones(2, 2, dtype=torch.bool),
    ),
    "index_put": (
        *(ATEN.index_put.default, lambda noise: (X, [noise.bool()], torch.tensor(7.0).double())),
        torch.zeros(2, 2, dtype=torch.bool),
    ),
}


def met(function, arguments, noise):
    """The operation, its noise as it stands among the arguments, and what it reads carries."""
    given = arguments(noise)
    operation = Operation(function, given, {})
    drawn = next(each for each in operation.read() if each is noise or each.dtype == torch.bool)
    data = [each for each in operation.read() if each.numel() > 1 and each is not drawn]
    flows = [DATA if any(each is x for x in data) else NOTHING for each in operation.read()]
    return operation, drawn, flows


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_what_no_noise_gives(name):
    function, arguments, calm = LEFT_OUT[name]
    noise = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double()
    operation, drawn, flows = met(function, arguments, noise)
    found = left_out(operation, drawn, flows)
    expected, _, _ = met(function, arguments, calm)
    torch.testing.assert_close(found, expected.run(), rtol=0, atol=0)


def test_where_two_data_meet_none_is_the_one_that_stays():
    mask = torch.tensor([[True, False], [False, True]])
    operation = Operation(ATEN.where.self, (mask, X, Y), {})
    assert left_out(operation, mask, [NOTHING, DATA, DATA]) is None


MASK = torch.tensor([[True, False], [False, False]])
BRINGS = {
    "filled": lambda fill: (ATEN.masked_fill.Scalar, (X, MASK, fill)),
    "chosen": lambda fill: (ATEN.where.self, (MASK, torch.tensor(fill).double(), X)),
    "full": lambda fill: (ATEN.where.self, (MASK, torch.full_like(X, fill), X)),
    "added": lambda fill: (ATEN.add.Tensor, (X, torch.where(MASK, fill, 0.0).double())),
}


@pytest.mark.parametrize("fill", [-1e9, 1e9, -math.inf])
@pytest.mark.parametrize("name", BRINGS)
def test_values_that_shut_data_out_are_no_mean_but_left_out(name, fill):
    function, arguments = BRINGS[name](fill)
    operation = Operation(function, arguments, {})
    noise = MASK if name != "added" else arguments[1]
    flows = [DATA if each is X else NOTHING for each in operation.read()]
    torch.testing.assert_close(shut_out(operation, noise, flows), X, rtol=0, atol=0)


@pytest.mark.parametrize("name", BRINGS)
def test_values_like_those_of_data_shut_nothing_out(name):
    function, arguments = BRINGS[name](-3.0)
    operation = Operation(function, arguments, {})
    noise = MASK if name != "added" else arguments[1]
    flows = [DATA if each is X else NOTHING for each in operation.read()]
    assert shut_out(operation, noise, flows) is None


def test_a_bias_is_left_out_of_a_product():
    noise = torch.full((1, 2, 2), -1e9, dtype=torch.float64)
    operation = Operation(ATEN.baddbmm.default, (noise, X[None], Y[None]), {})
    found = shut_out(operation, noise, [NOTHING, DATA, DATA])
    torch.testing.assert_close(found, (X @ Y)[None], rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("like", "expected"),
    [
        ((3,), [[0.0], [1.0], [2.0]]),
        ((3, 2), [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]),
        ((6,), [[0.0], [0.0], [1.0], [1.0], [2.0], [2.0]]),
        ((2, 3), [[0.0, 1.0, 2.0]] * 2),
    ],
)
def test_values_of_samples_lie_along_the_samples(like, expected):
    found = along_samples(torch.arange(3.0), 3, torch.empty(like))
    shown = (torch.zeros(like) + found).reshape(len(expected), -1)
    assert shown.tolist() == expected


def test_values_of_samples_that_lie_nowhere():
    for like in ((), (4,), (4, 2), (0, 2)):
        assert along_samples(torch.arange(3.0), 3, torch.empty(like)) is None
