"""Two ranks under DistributedDataParallel: each watches its own batches, at its own times."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import varshift as vs
from ranks.harness import on_ranks

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch without torch.distributed"
)


def trained(rank, ranks, monitored):
    """Parameters, buffers and random state after training, and what a rank's monitor has seen."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Dropout(0.5),
        nn.BatchNorm1d(16, momentum=None),
        nn.Linear(16, 16),
        nn.BatchNorm1d(16, momentum=None),
        nn.Linear(16, 1),
    ).double()
    wrapped = DistributedDataParallel(model)
    torch.manual_seed(rank)
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    monitor = vs.Monitor(wrapped, every=2 + rank, warn=False)
    for _ in range(24):
        x = torch.randn(256, 16, dtype=torch.float64)
        optimiser.zero_grad()
        wrapped(x).square().mean().backward()
        optimiser.step()
        if monitored:
            monitor.step(x)
    state = {name: value.tolist() for name, value in model.state_dict().items()}
    return state, torch.get_rng_state().tolist(), monitor.result()


def test_the_same_bits_and_a_record_on_each_rank():
    plain, seen = on_ranks(2, trained, False), on_ranks(2, trained, True)
    for rank, (one, other) in enumerate(zip(plain, seen, strict=True)):
        assert one[:2] == other[:2]
        result = other[2]
        assert [record.step for record in result.history] == list(range(2 + rank, 25, 2 + rank))
        # Mean 0, 16 channels of 8 × 256 values each: the median scatters by about 0.007.
        assert abs(result.history[-1].norms["1"].shift - 0.5) < 0.04
        two_passes = any("rank 0 sends its statistics" in note for note in result.notes)
        assert two_passes == (rank == 1)
