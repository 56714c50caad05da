"""The batch variance that training has anyway, read back from running statistics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from varshift._engine import norm_handles
from varshift._monitor.updates import StoredBefore, readable


def norm_of(**keywords):
    norm = nn.BatchNorm1d(3, dtype=torch.float64, **keywords)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(3):
            norm(torch.randn(16, 3, dtype=torch.float64) * 3)
    return norm, list(norm_handles(norm).values())


def batches(count, samples=8):
    generator = torch.Generator().manual_seed(1)
    scale = torch.tensor([1.0, 1e-3, 1e3], dtype=torch.float64)
    return [
        torch.randn(samples, 3, dtype=torch.float64, generator=generator) * scale
        for _ in range(count)
    ]


@pytest.mark.parametrize("momentum", [0.1, 0.9, 1.0, 0.01, None])
def test_one_forward_gives_the_unbiased_variance_of_its_batch(momentum):
    norm, handles = norm_of(momentum=momentum)
    (x,) = batches(1)
    before = StoredBefore(handles)
    norm(x)
    torch.testing.assert_close(before.since()[""], x.var(0), rtol=1e-7, atol=0)


def test_several_forwards_give_the_average_that_the_norm_makes_of_them():
    norm, handles = norm_of(momentum=0.3)
    held = batches(4)
    before = StoredBefore(handles)
    for x in held:
        norm(x)
    weights = torch.tensor([0.7**3, 0.7**2, 0.7, 1.0], dtype=torch.float64)
    expected = (weights[:, None] * torch.stack([x.var(0) for x in held])).sum(0) / weights.sum()
    torch.testing.assert_close(before.since()[""], expected, rtol=1e-7, atol=0)


def test_with_momentum_none_the_plain_average():
    norm, handles = norm_of(momentum=None)
    held = batches(3)
    before = StoredBefore(handles)
    for x in held:
        norm(x)
    expected = torch.stack([x.var(0) for x in held]).mean(0)
    torch.testing.assert_close(before.since()[""], expected, rtol=1e-7, atol=0)


def test_a_wrong_momentum_would_be_seen():
    norm, handles = norm_of(momentum=0.1)
    (x,) = batches(1)
    before = StoredBefore(handles)
    norm(x)
    norm.momentum = 0.11
    assert not torch.allclose(before.since()[""], x.var(0), rtol=1e-2)


def test_what_was_given_nothing_is_left_out():
    norm, handles = norm_of()
    before = StoredBefore(handles)
    norm.eval()(batches(1)[0])
    assert before.since() == {}


def test_what_rounding_leaves_nothing_of_is_not_known():
    """A batch's variance a hundred million times smaller than the stored one, in float32."""
    norm, handles = norm_of(momentum=0.1)
    norm.float().running_var.fill_(1e6)
    handles = list(norm_handles(norm).values())
    before = StoredBefore(handles)
    norm(torch.randn(64, 3, generator=torch.Generator().manual_seed(0)) * 0.1)
    assert before.since()[""].isnan().all()


def test_which_norms_can_be_read():
    good = nn.BatchNorm1d(3), nn.BatchNorm2d(3, momentum=None), nn.SyncBatchNorm(3)
    assert all(readable(next(iter(norm_handles(norm).values()))) for norm in good)
    bad = (
        nn.BatchNorm1d(3, momentum=0.0),
        nn.BatchNorm1d(3, momentum=1e-4),
        nn.BatchNorm1d(3).half(),
    )
    assert not any(readable(next(iter(norm_handles(norm).values()))) for norm in bad)
