"""Several noises whose mean is not one: evaluation has that of some and leaves the others out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs

X = torch.randn(1024, 8, generator=torch.Generator().manual_seed(0))


def unscaled(x):
    """A mask that nobody rescales: evaluation leaves it out."""
    return x * (torch.rand_like(x) > 0.3)


def scaled_before(x):
    """Its mean of 0.7 is that of evaluation: left out it would be 1/0.7 too large."""
    return x / 0.7 * (torch.rand_like(x) > 0.3)


class InTurn(nn.Module):
    """A noise before each norm, in the order given."""

    def __init__(self, *noises):
        super().__init__()
        self.noises = noises
        self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in noises)

    def forward(self, x):
        for noise, norm in zip(self.noises, self.norms, strict=True):
            x = norm(noise(x) if self.training else x)
        return x


@pytest.mark.parametrize("real", [True, False], ids=["data", "example"])
@pytest.mark.parametrize(
    "noises",
    [
        (unscaled, scaled_before),
        (scaled_before, unscaled),
        (unscaled, unscaled, scaled_before, scaled_before),
    ],
    ids=lambda noises: "-".join(noise.__name__ for noise in noises),
)
def test_each_is_silenced_as_evaluation_does(noises, real):
    net = InTurn(*noises)
    found = vs.check(net, data=list(X.split(128))) if real else vs.check(net, X)
    assert "VS108" not in {f.code for f in found}
    assert not [note for note in found.notes if "also differ there in something else" in note]
    first = next(f for f in found if f.place == "norms.0")
    # 0.7² (v + τv) of a mask that nobody rescales, v + τv of the other; v = 1 and τ = 3/7.
    expected = 0.7 if noises[0] is unscaled else 1 / 0.7
    assert first.severity == pytest.approx(max(expected, 1 / expected), rel=0.1)
