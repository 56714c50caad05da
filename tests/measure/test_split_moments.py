"""Moments of parts, and every way a kernel may go wrong, against float64 twins."""

from __future__ import annotations

import pytest
import torch

from varshift._engine.record.moments import channel_moments, split_moments
from varshift.theory.moments import Moments, merge_all

LAYOUTS = {
    "columns": lambda: torch.randn(300, 17),
    "few columns": lambda: torch.randn(16, 3),
    "one sample": lambda: torch.randn(1, 5),
    "many columns": lambda: torch.randn(5000, 70),
    "images": lambda: torch.randn(70, 9, 12, 12),
    "few images": lambda: torch.randn(7, 9, 20, 21),
    "many images": lambda: torch.randn(700, 6, 7, 7),
    "channels last": lambda: torch.randn(37, 8, 9, 9).to(memory_format=torch.channels_last),
    "large, channels last": lambda: torch.randn(40, 24, 20, 20).to(
        memory_format=torch.channels_last
    ),
    "volumes": lambda: torch.randn(18, 4, 3, 5, 7),
    "volumes, channels last": lambda: torch.randn(18, 4, 3, 5, 7).to(
        memory_format=torch.channels_last_3d
    ),
    "sequences": lambda: torch.randn(33, 6, 50),
    "turned": lambda: torch.randn(20, 50, 6).transpose(1, 2),
    "strided": lambda: torch.randn(40, 12, 10, 10)[::2, 1::2, :, 2:],
    "expanded": lambda: torch.randn(1, 6, 10, 10).expand(20, -1, -1, -1),
    "points": lambda: torch.randn(64, 8, 1, 1),
}


def scaled_errors(found, exact):
    """Errors of mean and variance of each part, against the whole's deviation or its mean."""
    whole = merge_all(exact)
    deviation = whole.var(False).sqrt()
    for one, other in zip(found, exact, strict=True):
        assert one.count == other.count
        scale = torch.maximum(deviation, whole.mean.abs()).clamp(min=1e-300)
        yield float(((one.mean - other.mean).abs() / scale).max())
        gap = (one.m2 - other.m2).abs() / other.count
        yield float((gap / deviation.square().clamp(min=1e-300)).max())


def worst(x, pieces):
    found = split_moments(x, pieces)
    exact = [Moments.of(part) for part in x.tensor_split(pieces)]
    return max(scaled_errors(found, exact))


@pytest.mark.parametrize("mean", [0.0, 1.0, 5.0, 15.0, 20.0, 5e3])
@pytest.mark.parametrize("pieces", [1, 3, 16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts(layout, pieces, mean):
    torch.manual_seed(0)
    x = LAYOUTS[layout]()
    if len(x) == 1:
        x = x.repeat(2, *[1] * (x.ndim - 1))
        x[1] += 1
    assert worst(x + mean, min(pieces, len(x))) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_in_other_precisions(layout, dtype):
    torch.manual_seed(0)
    x = torch.cat([LAYOUTS[layout]()] * 2).to(dtype) + 1
    assert worst(x, 2) < 5e-7


@pytest.mark.parametrize("mean", [0.0, 2.9, 3.1, 3.9, 4.1, 15.9, 16.1])
def test_the_promise_holds_on_both_sides_of_every_bound(mean):
    torch.manual_seed(0)
    for shape in ((64, 512), (500, 64), (4096, 40), (64, 40, 8, 8), (8, 64, 14, 14)):
        assert worst(torch.randn(shape) + mean, 1) < 5e-7


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_add_up_to_the_whole(layout):
    torch.manual_seed(0)
    x = torch.cat([LAYOUTS[layout]()] * 2)
    together = merge_all(split_moments(x, 2))
    whole = channel_moments(x)
    assert together.count == whole.count
    torch.testing.assert_close(together.mean, whole.mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(together.m2, whole.m2, rtol=1e-6, atol=0)


@pytest.mark.parametrize("shape", [(4, 3, 0), (0, 3), (0, 3, 5, 5)])
def test_no_values(shape):
    found = channel_moments(torch.empty(shape))
    assert (found.count, found.mean.tolist(), found.m2.tolist()) == (0, [0.0] * 3, [0.0] * 3)


def test_fewer_samples_than_parts():
    found = split_moments(torch.tensor([[1.0, 2.0], [3.0, 5.0]]), 3)
    assert [part.count for part in found] == [1, 1, 0]
    assert merge_all(found).mean.tolist() == [2.0, 3.5]


def test_a_single_value_has_no_scatter():
    for x in (torch.full((1, 2), 3.3), torch.full((1, 2, 1, 1), 3.3), torch.full((5, 2), 3.3)):
        assert channel_moments(x).m2.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("size", [1e-25, 1e-12, 1e12, 1e15])
@pytest.mark.parametrize("layout", ["columns", "images", "few images", "channels last"])
def test_sizes_at_the_ends_of_single_precision(layout, size):
    torch.manual_seed(0)
    assert worst(LAYOUTS[layout]() * size, 1) < 1e-6


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("layout", ["columns", "images", "few images", "channels last"])
def test_what_is_not_finite_shows_in_its_channel_alone(layout, value):
    x = LAYOUTS[layout]()
    x[3, 1] = value
    found = channel_moments(x)
    assert not torch.isfinite(found.m2[1])
    assert torch.isfinite(found.m2[[0, 2]]).all()


@pytest.mark.parametrize("last", [False, True])
def test_equal_values_by_the_thousand(last):
    """After a ReLU half the values are one number, and their roundings all go one way."""
    torch.manual_seed(0)
    x = torch.randn(64, 16, 32, 32).relu()
    x[:, 3] = 0
    x = x.to(memory_format=torch.channels_last) if last else x
    assert worst(x, 1) < 5e-7
    assert channel_moments(x).m2[3] == 0


def test_long_columns_need_lanes():
    """The wrong rule on purpose: one column of 65,536 in single precision."""
    torch.manual_seed(0)
    x = torch.randn(65536, 4).relu()
    assert worst(x, 1) < 5e-7
    _, var = torch.batch_norm_update_stats(x, None, None, 0.0)
    assert float((var / Moments.of(x).var(False) - 1).abs().max()) > 5e-6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_input_is_not_written_to(layout):
    torch.manual_seed(0)
    x = LAYOUTS[layout]() + torch.tensor(4.0)
    kept = x.clone()
    split_moments(x, min(len(x), 4))
    assert torch.equal(x, kept)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_device_is_not_waited_for(layout, dtype):
    torch.manual_seed(0)
    x = (torch.cat([LAYOUTS[layout]()] * 4) + 2).to("cuda", dtype)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = split_moments(x, 3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(part.mean.is_cuda and part.m2.is_cuda for part in found)
    exact = [Moments.of(part) for part in x.tensor_split(3)]
    assert max(scaled_errors(found, exact)) < 2e-6
