"""Moments of several activations, and of several parts, read together."""

from __future__ import annotations

import torch

from varshift._engine.record.joined import joined_moments, pooled
from varshift._engine.record.moments import split_moments
from varshift.theory.moments import Moments, merge_all


def test_what_is_alike_is_read_together():
    torch.manual_seed(0)
    images = torch.randn(4, 3, 5, 5)
    inputs = [
        *(torch.randn(4, 3), images, torch.randn(6, 3) + 7, torch.randn(2, 3, 5, 5)),
        *(images.to(memory_format=torch.channels_last), torch.randn(4, 3).double()),
        torch.randn(2, 3, 4, 4),
    ]
    found = joined_moments(inputs)
    assert [part.count for part in found] == [10, 150, 100, 4, 32]
    exact, whole = merge_all([Moments.of(x) for x in inputs]), pooled(found)
    assert whole.count == exact.count
    torch.testing.assert_close(whole.mean, exact.mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(whole.m2, exact.m2, rtol=1e-6, atol=0)


def test_what_is_read_together_stays_in_cache():
    megabyte = torch.randn(1 << 16, 4)
    assert [part.count >> 16 for part in joined_moments([megabyte] * 5)] == [2, 2, 1]
    assert [part.count >> 16 for part in joined_moments([megabyte.repeat(3, 1)] * 2)] == [3, 3]
    assert joined_moments([]) == []


def test_a_channel_far_away_costs_its_neighbours_nothing():
    """Each channel is centred about its own mean, in each part."""
    torch.manual_seed(0)
    for shape in ((48, 4), (48, 4, 3, 3)):
        x = torch.randn(shape)
        x[:, 1] += 1e5
        for pieces in (2, 3, 16):
            found = split_moments(x[:, :1], pieces), split_moments(x, pieces)
            for alone, beside in zip(*found, strict=True):
                torch.testing.assert_close(beside.m2[:1], alone.m2, rtol=1e-5, atol=0)
                torch.testing.assert_close(beside.mean[:1], alone.mean, rtol=0, atol=1e-6)
        part = torch.randn(shape)
        part[: len(part) // 2] += 3.9  # read by its own mean, too
        exact = [Moments.of(each) for each in part.tensor_split(2)]
        for one, other in zip(split_moments(part, 2), exact, strict=True):
            torch.testing.assert_close(one.m2, other.m2, rtol=1e-5, atol=0)
