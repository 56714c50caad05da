from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from oracles import masks, wrong
from oracles.data import assert_close, normal, population, prop
from varshift import theory
from varshift.errors import UsageError

DROP_PS = [0.1, 0.5, 0.9]


def outcomes_by_torch(x, drop_p):
    """(kept, dropped) versions of `x`, read off what torch itself makes of copies of it."""
    copies = F.alpha_dropout(x.flatten().repeat(400, 1), drop_p, training=True)
    lines = [column.unique() for column in copies.T]
    assert all(len(line) == 2 for line in lines)
    # A dropped value does not depend on x, so it is the one every column has.
    dropped = next(v for v in lines[0] if all((line == v).any() for line in lines))
    kept = torch.stack([line[line != dropped][0] for line in lines])
    return kept.reshape(x.shape), dropped


def alpha_masks(layer, x, drop_p, shape):
    """Mean and population variance under every mask of one sample, by torch's own outcomes."""
    kept, dropped = outcomes_by_torch(x, drop_p)
    bits = masks.Outcomes([0.0, 1.0], [drop_p, 1 - drop_p])
    every, chances = bits.every(math.prod(shape))
    first, second = [], []
    for sample in kept:
        y = layer(torch.where(every.reshape(-1, *shape) == 1, sample, dropped))
        y = y.reshape(*y.shape[:2], -1)
        first.append((chances[:, None, None] * y).sum(0))
        second.append((chances[:, None, None] * y.square()).sum(0))
    mean = torch.stack(first).mean((0, 2))
    return mean, torch.stack(second).mean((0, 2)) - mean.square()


@pytest.mark.parametrize("drop_p", DROP_PS)
@pytest.mark.parametrize("shape", [(2, 3), (2, 1)], ids=["element", "feature"])
def test_train_moments_match_every_mask_of_torch(drop_p, shape):
    torch.manual_seed(0)
    x = normal(3, 2, 3, seed=1)
    c, v = population(x)
    mean, var = alpha_masks(lambda y: y, x, drop_p, shape)
    assert_close(theory.alpha_mean(c, drop_p), mean, rtol=1e-12)
    assert_close(theory.alpha_train_var(c, v, drop_p), var, rtol=1e-12)
    assert_close(theory.alpha_ratio(c, v, drop_p), v / var, rtol=1e-12)
    back = theory.invert_alpha_stored(mean, var, drop_p)
    assert_close(back[0], c, rtol=1e-11)
    assert_close(back[1], v, rtol=1e-10)
    with pytest.raises(AssertionError):
        assert_close(wrong.alpha_as_dropout(c, v, drop_p), var, rtol=1e-3)


@pytest.mark.parametrize("drop_p", DROP_PS)
@pytest.mark.parametrize(("shape", "sharing"), [((2, 3), "element"), ((2, 1), "channel")])
def test_after_a_padded_convolution(drop_p, shape, sharing):
    torch.manual_seed(0)
    x, weight = normal(2, 2, 3, seed=2), normal(3, 2, 2, seed=3)

    def layer(batch):
        return F.conv1d(batch, weight, padding=1)

    _, test_var = population(layer(x))
    mean, var = alpha_masks(layer, x, drop_p, shape)
    energy = theory.conv_noise_energy(x - theory.ALPHA_PRIME, weight, sharing, padding=1)
    assert_close(theory.alpha_train_var_after(test_var, energy, drop_p), var, rtol=1e-11)
    assert_close(theory.alpha_scale(drop_p) * population(layer(x))[0], mean, rtol=1e-11)
    unshifted = theory.conv_noise_energy(x, weight, sharing, padding=1)
    with pytest.raises(AssertionError):
        assert_close(theory.alpha_train_var_after(test_var, unshifted, drop_p), var, rtol=1e-3)


@pytest.mark.parametrize("drop_p", DROP_PS)
def test_affine_is_the_one_torch_uses(drop_p):
    torch.manual_seed(0)
    x = normal(7, seed=4)
    kept, dropped = outcomes_by_torch(x, drop_p)
    a, b = theory.alpha_affine(drop_p)
    assert_close(a * x + b, kept, rtol=1e-13)
    assert_close(torch.tensor(a * theory.ALPHA_PRIME + b), dropped, rtol=1e-6)


def test_constants_are_those_of_selu():
    lowest = F.selu(torch.tensor([-1e3], dtype=torch.float64))
    assert lowest.item() == pytest.approx(theory.ALPHA_PRIME, rel=1e-15)


@prop
@given(st.floats(0, 0.99))
def test_standard_input_is_left_alone(drop_p):
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert_close(theory.alpha_ratio(zero, one, drop_p), one, rtol=1e-14)


@prop
@given(st.floats(-10, 10), st.floats(0.01, 100), st.floats(0, 0.95))
def test_inversion_undoes_training(mean, var, drop_p):
    c, v = torch.tensor([mean], dtype=torch.float64), torch.tensor([var], dtype=torch.float64)
    stored = theory.alpha_mean(c, drop_p), theory.alpha_train_var(c, v, drop_p)
    back_mean, back_var = theory.invert_alpha_stored(*stored, drop_p)
    assert_close(back_mean, c, rtol=1e-12, atol=1e-300)
    assert_close(back_var, v, rtol=1e-12, atol=1e-12)


def test_errors():
    with pytest.raises(UsageError, match="drop_p is 1"):
        theory.alpha_affine(1.0)
    with pytest.raises(UsageError, match="shapes differ"):
        theory.alpha_train_var(torch.zeros(2), torch.ones(3), 0.5)
    with pytest.raises(UsageError, match="shifted_energy has 2 negative"):
        theory.alpha_train_var_after(torch.ones(2), -torch.ones(2), 0.5)
