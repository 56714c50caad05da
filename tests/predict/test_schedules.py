"""A rate that moves from pass to pass: each batch counts with the rate at which it drew."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs

RATES = (0.1, 0.5, 0.3, 0.6)


class Ramp(nn.Module):
    """Dropout whose rate follows a count of its own forwards."""

    def __init__(self, rates=RATES):
        super().__init__()
        self.rates, self.step = rates, 0

    def forward(self, x):
        if not self.training:
            return x
        rate = self.rates[self.step]
        self.step += 1
        return functional.dropout(x, rate)


def batches():
    torch.manual_seed(0)
    return [1 + torch.randn(64, 6, dtype=torch.float64) for _ in RATES]


@pytest.mark.parametrize("weights", [False, True], ids=["a", "b"])
def test_the_noise_is_that_of_all_batches(weights):
    layer = nn.Linear(6, 5, bias=False) if weights else nn.Identity()
    net = nn.Sequential(Ramp(), layer, nn.BatchNorm1d(5 if weights else 6)).double()
    data = batches()
    f = vs.predict(net, data)
    weight = layer.weight.detach() if weights else torch.eye(6, dtype=torch.float64)
    noise = torch.stack(
        [rate / (1 - rate) * x.square().mean(0) for rate, x in zip(RATES, data, strict=True)]
    ).mean(0)
    clean = (torch.cat(data) @ weight.t()).var(0)
    expected = clean / (clean + noise @ weight.t().square())
    site = f["2"]
    torch.testing.assert_close(site.delta, expected, rtol=1e-9, atol=0)
    (tau,) = site.taus.values()
    assert min(RATES) / (1 - min(RATES)) < tau < max(RATES) / (1 - max(RATES))
    assert any("its τ went from 0.111 to 1.5 over these batches" in note for note in f.notes)


def test_a_rate_that_stays_is_given_as_it_is():
    f = vs.predict(nn.Sequential(Ramp((0.5,) * 4), nn.BatchNorm1d(6)).double(), batches())
    assert list(f["1"].taus.values()) == [1.0]
    assert not [note for note in f.notes if "went from" in note]
