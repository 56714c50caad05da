"""Cheap moments against float64, in every layout and at every mean."""

from __future__ import annotations

import pytest
import torch

from varshift._engine.record.moments import channel_moments
from varshift.theory import Moments

SHAPES = {
    "n c": (300, 17),
    "n c, one channel": (300, 1),
    "long rows": (5, 3, 4000),
    "short rows": (40, 30, 5),
    "small": (4, 3, 5, 5),
    "images": (9, 16, 32, 32),
    "small images": (64, 40, 7, 7),
    "volumes": (3, 4, 9, 10, 11),
    "one sample": (1, 8, 40, 40),
    "one position": (64, 8, 1, 1),
}


def worst(x):
    found, exact = channel_moments(x), Moments.of(x)
    assert found.count == exact.count
    deviation = exact.var().sqrt()
    mean = ((found.mean - exact.mean).abs() / torch.maximum(deviation, exact.mean.abs())).max()
    return max(float(mean), float(((found.var() - exact.var()) / exact.var()).abs().max()))


@pytest.mark.parametrize("mean", [0.0, 1.0, 2.9, 10.0, 5e3, 1e5])
@pytest.mark.parametrize("shape", SHAPES)
def test_single_precision(shape, mean):
    torch.manual_seed(0)
    assert worst(torch.randn(SHAPES[shape]) + mean) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    torch.manual_seed(0)
    x = (torch.randn(20, 6, 12, 12) + 3).to(dtype)
    assert worst(x) < 1e-6


def test_channels_last_views_and_strides():
    torch.manual_seed(0)
    x = torch.randn(12, 8, 20, 20) + 50
    assert worst(x.to(memory_format=torch.channels_last)) < 1e-6
    assert worst(x.transpose(2, 3)) < 1e-6
    assert worst(x[:, ::2, 1:]) < 1e-6
    assert worst(x[:1].expand(5, -1, -1, -1)) < 1e-6


def test_the_input_is_not_written_to():
    for shape in SHAPES.values():
        x = torch.randn(shape) + 100
        kept = x.clone()
        channel_moments(x)
        assert torch.equal(x, kept)


def test_constant_channels_have_no_variance():
    x = torch.randn(8, 3, 40, 40)
    x[:, 1], x[:, 2] = 0.0, 3.3
    found = channel_moments(x)
    assert found.m2[1:].tolist() == [0.0, 0.0]
    torch.testing.assert_close(found.mean[2], torch.tensor(3.3, dtype=torch.float64))


def test_batch_norms_own_statistics_would_not_do():
    """The wrong rule on purpose: single-precision sums over columns at mean 5000."""
    torch.manual_seed(0)
    x = torch.randn(4096, 8) + 5000
    _, var = torch.batch_norm_update_stats(x, None, None, 0.0)
    assert float((var / Moments.of(x).var(False) - 1).abs().max()) > 1e-6


def test_it_runs_where_gradients_are_on():
    x = torch.randn(64, 4, requires_grad=True)
    assert not channel_moments(x * 2).mean.requires_grad
