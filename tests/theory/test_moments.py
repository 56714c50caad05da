from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oracles import wrong
from oracles.data import assert_close, normal, prop
from varshift.errors import UsageError
from varshift.theory import Moments, merge_all

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
columns = st.lists(numbers, min_size=0, max_size=12)


def of(values):
    return Moments.of(torch.tensor(values, dtype=torch.float64).reshape(-1, 1))


def exact(values):
    """Count, mean and M2 in rational numbers: no rounding at all."""
    parts = [Fraction(v) for v in values]
    mean = sum(parts, Fraction(0)) / len(parts)
    return len(parts), mean, sum(((p - mean) ** 2 for p in parts), Fraction(0))


def assert_moments(moments, values):
    count, mean, m2 = exact(values)
    size = max(abs(float(v)) for v in values)
    assert moments.count == count
    assert moments.mean.item() == pytest.approx(float(mean), rel=1e-13, abs=1e-14 * size)
    # Rounded means leave an error of (ε·size)² per value, and ε·size·√(n·M2) from the gaps.
    slack = count * (1e-14 * size) ** 2 + 1e-14 * size * (count * float(m2)) ** 0.5
    assert moments.m2.item() == pytest.approx(float(m2), rel=1e-12, abs=slack)


@prop
@given(columns.filter(len))
def test_moments_are_those_of_exact_arithmetic(values):
    assert_moments(of(values), values)


@prop
@given(columns.filter(len), columns, columns)
def test_merging_is_the_union_in_any_order_and_grouping(a, b, c):
    x, y, z = of(a), of(b), of(c)
    for merged in ((x + y) + z, x + (y + z), z + (x + y), merge_all([y, z, x])):
        assert_moments(merged, a + b + c)


@prop
@given(columns.filter(len), st.integers(0, 20))
def test_nothing_is_neutral(values, place):
    whole = of(values)
    parts = [of([]) for _ in range(3)]
    parts.insert(place % 4, whole)
    merged = merge_all(parts)
    assert merged.count == whole.count
    assert torch.equal(merged.mean, whole.mean)
    assert torch.equal(merged.m2, whole.m2)


def test_channels_positions_and_dimensions():
    x = normal(3, 4, 5, 2, seed=0)
    for dim in range(4):
        for channel_dim in (dim, dim - 4):
            m = Moments.of(x, channel_dim)
            rows = x.movedim(dim, 0).flatten(1)
            assert m.count == rows.shape[1]
            assert_close(m.mean, rows.mean(1), rtol=1e-13)
            assert_close(m.var(), rows.var(1), rtol=1e-13)
            assert_close(m.var(unbiased=False), rows.var(1, correction=0), rtol=1e-13)
            assert_close(m.second(), rows.square().mean(1), rtol=1e-13)


def test_any_batching_gives_the_same():
    x = normal(97, 3, 4, seed=1, mean=1e4)
    whole = Moments.of(x)
    for size in (1, 7, 50):
        parts = merge_all(Moments.of(part) for part in x.split(size))
        assert parts.count == whole.count
        assert_close(parts.mean, whole.mean, rtol=1e-14)
        assert_close(parts.var(), whole.var(), rtol=1e-11)


def test_a_large_mean_costs_no_digits():
    x = normal(50, 2, seed=2, mean=0.0).float() + 5000
    truth = [exact(column)[2] / 50 for column in x.T.tolist()]
    truth = torch.tensor([float(value) for value in truth], dtype=torch.float64)
    merged = merge_all(Moments.of(part) for part in x.split(8))
    assert_close(merged.var(unbiased=False), truth, rtol=1e-12)
    _, one_pass = wrong.moments_one_pass_float32(x)
    with pytest.raises(AssertionError):
        assert_close(one_pass, truth, rtol=1e-3)


def test_the_rounding_of_the_mean_is_not_scatter():
    values = [1e12 + i / 128 for i in (0, 1, 1, 3, 7)]
    assert of(values).m2.item() == pytest.approx(float(exact(values)[2]), rel=1e-12)


def test_a_plain_mean_of_means_is_a_wrong_rule():
    a, b = of([1.0, 2.0, 3.0]), of([10.0])
    _, mean, m2 = exact([1.0, 2.0, 3.0, 10.0])
    merged = wrong.merge_plain_means(a, b)
    assert merged.mean.item() != pytest.approx(float(mean), rel=1e-3)
    assert merged.m2.item() != pytest.approx(float(m2), rel=1e-3)
    assert_moments(a + b, [1.0, 2.0, 3.0, 10.0])


def test_equal_parts_in_equal_order_give_equal_bits():
    parts = [Moments.of(normal(5, 3, seed=i)) for i in range(7)]
    one, two = merge_all(parts), merge_all(iter(parts))
    assert torch.equal(one.mean, two.mean)
    assert torch.equal(one.m2, two.m2)


def test_too_few_values_have_no_variance():
    nothing = Moments.empty(2)
    assert nothing.count == 0
    for value in (nothing.var(), nothing.var(unbiased=False), nothing.second()):
        assert value.isnan().all()
        assert value.shape == (2,)
    single = of([3.0])
    assert single.var().isnan().item()
    assert single.var(unbiased=False).item() == 0
    assert single.second().item() == 9


def test_empty_batches_and_integers_are_data_too():
    assert Moments.of(torch.zeros(0, 4, 3)).count == 0
    assert len(Moments.of(torch.zeros(0, 4, 3)).mean) == 4
    assert Moments.of(torch.tensor([[1], [2]])).mean.item() == 1.5
    assert Moments.of(torch.tensor([1.0, 2.0]), channel_dim=0).count == 1


def test_gradients_and_storage_are_left_alone():
    x = torch.ones(3, 2, requires_grad=True)
    m = Moments.of(x)
    assert not m.mean.requires_grad
    merged = m + Moments.empty(2)
    assert merged is m


def test_errors_say_what_and_what_to_do():
    with pytest.raises(UsageError, match="no dimension 1; pass channel_dim="):
        Moments.of(torch.ones(3))
    with pytest.raises(UsageError, match="complex"):
        Moments.of(torch.ones(3, 2, dtype=torch.complex64))
    with pytest.raises(UsageError, match="2 channels with moments of 3; merge parts of the same"):
        Moments.empty(2).merge(Moments.empty(3))
    with pytest.raises(UsageError, match="no moments to merge"):
        merge_all([])
    with pytest.raises(UsageError, match="count is -1"):
        Moments(-1, torch.zeros(1).double(), torch.zeros(1).double())
    with pytest.raises(UsageError, match=r"mean is torch\.float32"):
        Moments(1, torch.zeros(1), torch.zeros(1))
    with pytest.raises(UsageError, match="mean has 2 channels and m2 has 3"):
        Moments(1, torch.zeros(2).double(), torch.zeros(3).double())
