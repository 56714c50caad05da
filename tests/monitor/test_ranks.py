"""Two ranks under DistributedDataParallel: each watches its own batches, at its own times."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import varshift as vs
from ranks.harness import on_ranks, outcome

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


class Centred(nn.Module):
    """Takes the mean over all ranks off, as contrastive learning does.

    `modes` are those in which it does so. With `tries` it goes on where the ranks are out of reach.
    With `mask` it multiplies by a constant that was made ahead of the pass, on rank 0 alone: only
    there has the trace to find out whether that is noise, by passes more.
    """

    def __init__(self, modes=(True, False), tries=False, mask=False):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(8, 16), nn.Dropout(0.5), nn.BatchNorm1d(16, momentum=None)
        )
        self.modes, self.tries = modes, tries
        self.masks = [torch.ones(16)] if mask and torch.distributed.get_rank() == 0 else []

    def forward(self, x):
        h = self.body(x)
        for mask in self.masks:
            h = h * mask
        if self.training not in self.modes:
            return h
        try:
            centre = h.detach().mean(0)
            torch.distributed.all_reduce(centre)
        except Exception:
            if not self.tries:
                raise
        return h - centre


def watched(rank, ranks, network, options):
    """The steps of a rank's looks and its notes, or what it raised; what it warned of."""
    model = DistributedDataParallel(Centred(**network), broadcast_buffers=False)

    def run():
        monitor = vs.Monitor(model, **options)
        for _ in range(12):
            x = torch.randn(16, 8)
            model(x).square().mean().backward()
            monitor.step(x)
        return [record.step for record in monitor.history], monitor.notes

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = outcome(run)
    in_step = torch.ones(())
    torch.distributed.all_reduce(in_step)
    return found, [str(each.message) for each in caught], in_step.item()


@pytest.mark.parametrize("tries", [False, True])
def test_a_forward_that_talks_to_ranks_is_stopped_before_it_does(tries):
    """Each rank's own clock would send it into an exchange that no other rank is in."""
    for found, _, in_step in on_ranks(2, watched, {"tries": tries}, {}):
        assert found[0] == "UsageError"
        assert "forward talks to other ranks (allreduce_)" in found[1]
        assert "pass every=" in found[1]
        assert in_step == 2


def test_one_that_talks_in_evaluation_alone_is_not_looked_at():
    for found, warned, in_step in on_ranks(2, watched, {"modes": (False,)}, {}):
        steps, notes = found[1]
        assert not steps
        assert "rests from here on" in notes[-1]
        assert "pass every=" in notes[-1]
        assert warned == [notes[-1]]
        assert in_step == 2


def test_with_every_all_ranks_look_together():
    """Also where the trace has more to ask on one of them."""
    found = on_ranks(2, watched, {"mask": True}, {"every": 4, "warn": False})
    for (fine, seen), _, in_step in found:
        assert fine == "fine"
        assert seen[0] == [4, 8, 12]
        assert in_step == 2


def refused(rank, ranks, step):
    """What a monitor that rank 0 alone has says of a model, made or at its first step."""
    model = Centred() if step else nn.SyncBatchNorm(4)
    if rank:
        return None
    return outcome(
        lambda: vs.Monitor(model).step(torch.randn(16, 8)) if step else vs.Monitor(model)
    )


def test_nobody_is_waited_for():
    """Rank 1 has no monitor."""
    assert on_ranks(2, refused, True)[0][0] == "UsageError"
    kind, message = on_ranks(2, refused, False)[0]
    assert kind == "UsageError"
    assert "SyncBatchNorm" in message


def test_synchronised_norms_are_watched_in_one_process():
    assert vs.Monitor(nn.SyncBatchNorm(4)).notes == ()
