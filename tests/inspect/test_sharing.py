"""Which values share one draw, told by comparing all pairs of them."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine.trace.sharing import sharing_of


def numbered(shape, dims):
    """Equal numbers where values share what varies along these dimensions alone."""
    small = [size if dim in dims else 1 for dim, size in enumerate(shape)]
    return torch.arange(torch.Size(small).numel()).reshape(small).expand(shape)


def alike(one, other):
    """Whether both put the same values together."""
    one, other = one.flatten(), other.flatten()
    return torch.equal(one[:, None] == one, other[:, None] == other)


def by_pairs(noise, shape):
    draws = noise.expand(shape)
    if alike(draws, numbered(shape, range(len(shape)))):
        return "element"
    if alike(draws, numbered(shape, [0])):
        return "sample"
    return "channel" if alike(draws, numbered(shape, [0, 1])) else "other"


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2), (4, 3, 2, 5), (2, 2, 2)])
def test_every_way_to_broadcast(shape):
    for full in product([True, False], repeat=len(shape)):
        small = [size if keeps else 1 for size, keeps in zip(shape, full, strict=True)]
        noise = torch.arange(torch.Size(small).numel()).reshape(small)
        expected = by_pairs(noise, shape)
        data = torch.empty(shape)
        assert sharing_of(noise, data) == expected, small
        assert sharing_of(noise.expand(shape), data) == expected, small


def test_dimensions_of_one_value_share_nothing():
    assert sharing_of(torch.empty(4, 1, 1), torch.empty(4, 1, 1)) == "element"
    assert sharing_of(torch.empty(1, 3), torch.empty(1, 3)) == "element"
    assert sharing_of(torch.empty(1, 1), torch.empty(1, 1)) == "sample"
    assert sharing_of(torch.empty(4, 3, 1), torch.empty(4, 3, 1)) == "element"


def test_noise_without_samples_is_shared_by_all_of_them():
    assert sharing_of(torch.empty(3), torch.empty(4, 3)) == "other"
    assert sharing_of(torch.empty(2, 5), torch.empty(4, 3, 2, 5)) == "other"
    assert sharing_of(torch.empty(()), torch.empty(4, 3)) == "other"


@pytest.mark.parametrize(
    ("shape", "index", "expected"),
    [
        ((4,), lambda mask: (mask,), "sample"),
        ((4, 3), lambda mask: (mask,), "channel"),
        ((4, 3, 2, 5), lambda mask: (mask,), "element"),
        ((3,), lambda mask: (slice(None), mask), "other"),
        ((4, 3, 2), lambda mask: (mask,), "other"),
    ],
)
def test_an_index_meets_the_dimensions_it_stands_for(shape, index, expected):
    class Written(nn.Module):
        def forward(self, x):
            y = x.clone()
            y[index(torch.rand(shape) < 0.4)] = 0.0
            return y

    net = nn.Sequential(Written(), nn.BatchNorm2d(3))
    (noise,) = vs.inspect(net, torch.randn(4, 3, 2, 5)).noises
    assert (noise.drop_p, noise.sharing) == (0.4, expected)
