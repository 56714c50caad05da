"""What came batch after batch: exact while batches are few, averages of neighbours beyond."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from varshift._engine import Recording, Regime, session


def series(net, data):
    recording = Recording("training", scattered=True)
    with session(net) as run:
        run.run(run.batches(data), {"train": Regime("training", record=(recording,))})
    return {path: recording.at[path].series for path in recording.stored}


@pytest.mark.parametrize("count", [1, 5, 64, 65, 200, 300])
def test_stretches_are_averages_of_batches_in_order(count):
    data = [torch.randn(16, 3).double() + index for index in range(count)]
    found = series(nn.Sequential(nn.BatchNorm1d(3)).double(), data)["0"]
    assert len(found) <= 64
    assert sum(stretch.batches for stretch in found) == count
    start = 0
    for stretch in found:
        own = data[start : start + stretch.batches]
        torch.testing.assert_close(stretch.mean, torch.stack([b.mean(0) for b in own]).mean(0))
        torch.testing.assert_close(stretch.var, torch.stack([b.var(0) for b in own]).mean(0))
        start += stretch.batches


def test_a_norm_that_some_batches_reach_has_these_alone():
    class Either(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.BatchNorm1d(3), nn.BatchNorm1d(3)

        def forward(self, x):
            return self.one(x) if x[0, 0] > 0 else self.other(x)

    data = [torch.randn(16, 3).abs() * (1 - 2 * (index % 3 == 0)) for index in range(9)]
    found = series(Either(), data)
    assert [sum(s.batches for s in found[name]) for name in ("one", "other")] == [6, 3]
    torch.testing.assert_close(found["other"][1].mean, data[3].double().mean(0))
