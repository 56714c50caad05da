"""Two gloo ranks under Lightning's DDP: training is the same on each with the callback and without.

DistributedDataParallel gives every rank the buffers of rank 0 in each forward, validation included:
what comes back after a validation must be what validation without us would have left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from problems.libraries import library

library("lightning")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each rank ended with, and the folder with the file that was saved."""
    folder = tmp_path_factory.mktemp("ddp")
    path = os.pathsep.join([str(HERE.parent), str(HERE.parents[1] / "src")])
    environment = os.environ | {
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    ran = subprocess.run(
        [sys.executable, str(HERE / "lightning_ddp.py"), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return [torch.load(folder / f"rank{rank}.pt") for rank in (0, 1)], folder


@pytest.mark.parametrize("suffix", ["", ", own buffers"])
def test_training_is_the_same_on_every_rank(ranks, suffix):
    for found in ranks[0]:
        with_it, without = found[f"with{suffix}"], found[f"without{suffix}"]
        assert with_it["losses"] == without["losses"]
        for name, value in without["state"].items():
            assert torch.equal(with_it["state"][name], value), name
        for mine, theirs in zip(with_it["buffers"], without["buffers"], strict=True):
            assert all(map(torch.equal, mine, theirs))
    one, other = (found[f"with{suffix}"] for found in ranks[0])
    assert one["losses"] != other["losses"]  # each has its shard
    alike = all(map(torch.equal, one["buffers"][-1], other["buffers"][-1]))
    assert alike == (not suffix)


def test_an_average_is_shipped_alike_from_every_rank(ranks):
    (one, other), folder = ranks
    for found in (one, other):
        assert found["averaged"]["losses"] == found["without"]["losses"]
    for name, value in one["averaged"]["state"].items():
        assert torch.equal(other["averaged"]["state"][name], value), name
    file = torch.load(folder / "file.ckpt", weights_only=True)
    assert set(file["varshift"]["training"]) == {
        f"net.{index}.running_{key}" for index in (3, 7) for key in ("mean", "var")
    }
    for name, value in file["state_dict"].items():
        torch.testing.assert_close(value, one["averaged"]["state"][name], rtol=1e-12, atol=1e-12)
