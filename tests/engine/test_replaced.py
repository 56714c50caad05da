"""An operation with noise replaced by its mean, against the mean over all masks."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from oracles.data import normal
from varshift._engine.control import _replaced, along_samples
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
    found = _replaced(Operation(function, arguments(noise), options), noise, MEAN)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CHOICES)
def test_what_a_yes_or_no_chooses(name):
    function, arguments = CHOICES[name]
    expected = sum(chance * function(*arguments(mask.bool())) for mask, chance in masks())
    noise = next(masks())[0].bool()
    found = _replaced(Operation(function, arguments(noise), {}), noise, MEAN)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_batches_of_matrices():
    noise = torch.ones(3, 2, 2, dtype=torch.float64)
    found = _replaced(
        Operation(ATEN.bmm.default, (noise, normal(3, 2, 2, seed=3)), {}), noise, MEAN
    )
    expected = KEEP_P * normal(3, 2, 2, seed=3).sum(1, keepdim=True).expand(3, 2, 2)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_what_is_not_affine_is_not_replaced():
    noise = torch.rand(2, 2)
    for function in (ATEN.div.Tensor, ATEN.pow.Tensor_Tensor, ATEN.maximum.default):
        assert _replaced(Operation(function, (X, noise), {}), noise, MEAN) is None
    mask = noise > 0.5
    assert _replaced(Operation(ATEN.add.Tensor, (X, mask), {}), mask, MEAN) is None
    # The noise is what is chosen, not what chooses.
    assert _replaced(Operation(ATEN.where.self, (mask, noise, X), {}), noise, MEAN) is None


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
