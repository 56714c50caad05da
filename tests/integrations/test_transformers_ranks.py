"""A Trainer on two ranks: all of them evaluate with one set of statistics, from all batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from integrations.hugging_face import network, same

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each rank has come to, by what was asked for."""
    folder = tmp_path_factory.mktemp("ranks")
    path = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ended = subprocess.run(
        [*command, str(HERE / "two_ranks.py"), str(folder)],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    names = [f"{what}-{rank}" for what in ("plain", "corrected") for rank in (0, 1)]
    return folder, {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in names}


def test_training_is_the_same_on_each_rank(found):
    _, by_name = found
    for rank in (0, 1):
        assert same(by_name[f"plain-{rank}"]["bits"], by_name[f"corrected-{rank}"]["bits"])


def test_every_rank_evaluates_with_the_statistics_of_all_batches(found):
    _, by_name = found
    ranks = [by_name[f"corrected-{rank}"] for rank in (0, 1)]
    assert len(ranks[0]["seen"]) == 3  # before the first step too
    for one, other in zip(*(rank["seen"] for rank in ranks), strict=True):
        assert same(one, other)
    batches = [batch["x"] for rank in ranks for batch in rank["batches"]]
    assert [len(x) for x in batches] == [30] * 16
    model, x = network(), torch.cat(batches)
    model.load_state_dict(ranks[0]["bits"])
    for name, layer in model.body.eval().named_children():
        with torch.no_grad():
            if name == "3":
                seen = ranks[0]["seen"][-1]["body.3.running_var"]
                assert_close(seen, x.var(0), rtol=1e-10, atol=0)
                return
            x = layer(x)


def test_the_loss_is_lower(found):
    _, by_name = found
    plain, corrected = by_name["plain-0"]["losses"], by_name["corrected-0"]["losses"]
    assert corrected[-1] < plain[-1] - 0.02


def test_files_hold_noise_off_statistics(found):
    folder, by_name = found
    rank = by_name["corrected-0"]
    file = load_file(folder / "corrected" / "checkpoint-8" / "model.safetensors")
    assert same(file, rank["seen"][-1])
    assert not same(file, rank["bits"])
