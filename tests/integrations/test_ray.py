"""Ray Train with the context manager: one worker and two, end to end, with the real library."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import varshift as vs
from integrations import ray_train
from varshift._engine.memory import _available as available

NEEDS = 3 << 30  # bytes: Ray's own processes, and one that imports torch for each worker


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each worker wrote: by number of workers, by rank, without and with."""
    if find_spec("ray") is None:
        pytest.skip("no ray; pip install '.[ray]'")
    free = available()
    if free is not None and free < NEEDS:
        pytest.skip(f"Ray needs {NEEDS >> 30} GiB of free memory")
    folder = tmp_path_factory.mktemp("ray")
    done = subprocess.run(
        [sys.executable, ray_train.__file__, str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,  # half a minute on two idle cores
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return {n: [torch.load(Path(folder, f"{n}-{r}.pt")) for r in range(n)] for n in (1, 2)}


@pytest.mark.parametrize("workers", [1, 2])
def test_training_is_the_same_to_the_bit_with_and_without(found, workers):
    for without, with_ in found[workers]:
        assert without["steps"] == with_["steps"] == 16 // workers
        for name, value in without["state"].items():
            assert torch.equal(value, with_["state"][name]), name


@pytest.mark.parametrize("workers", [1, 2])
def test_every_worker_validates_with_the_statistics_of_all_data(found, workers):
    _, first = found[workers][0]
    alone = ray_train.network()
    alone.load_state_dict(first["state"])
    vs.recalibrate(alone, [ray_train.data().tensors[0]])
    for _, with_ in found[workers]:
        for name, value in alone.named_buffers():
            assert torch.equal(with_["inside"][name], first["inside"][name]), name
            if "running" in name:
                torch.testing.assert_close(with_["inside"][name], value, rtol=1e-9, atol=1e-12)
