"""Several ranks, one thread each: the same bits everywhere, and nobody hangs when one fails."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import varshift as vs
from problems.noisy_nets import Mlp

SHARES = {2: [100, 28], 3: [70, 1, 57]}


def net():
    torch.manual_seed(0)
    return Mlp()


def data():
    return torch.randn(128, 8, generator=torch.Generator().manual_seed(1))


def work(rank, ranks, folder, failing):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=ranks,
        timeout=timedelta(seconds=30),
    )
    model = net()
    mine = data().split(SHARES[ranks])[rank]
    batches = [] if rank == failing == 1 else list(mine.split(16))
    if rank == failing == 0:
        batches.append(torch.full((2, 8), torch.nan))
    try:
        vs.recalibrate(model, batches)
        said = "fine"
    except vs.VarshiftError as error:
        said = str(error)
    torch.save((said, model.state_dict()), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def outcomes(folder, ranks, failing=None):
    mp.spawn(work, args=(ranks, str(folder), failing), nprocs=ranks)
    return [torch.load(folder / f"{rank}.pt") for rank in range(ranks)]


@pytest.mark.parametrize("ranks", [2, 3])
def test_every_rank_ends_with_the_same_bits(tmp_path, ranks):
    alone = net()
    vs.recalibrate(alone, data().split(32))
    states = [state for _, state in outcomes(tmp_path, ranks)]
    for name, buffer in alone.named_buffers():
        for state in states:
            assert torch.equal(state[name], states[0][name])
        torch.testing.assert_close(states[0][name], buffer, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("failing", "reason"), [(0, "batch 7 holds"), (1, "gave no batches")])
def test_one_rank_that_fails_fails_all_and_changes_nothing(tmp_path, failing, reason):
    told = outcomes(tmp_path, 2, failing)
    assert reason in told[failing][0]
    assert f"rank {failing} failed" in told[1 - failing][0]
    for _, state in told:
        assert all(torch.equal(state[name], held) for name, held in net().state_dict().items())
