"""The soak sees what grows; `python -m tests.faults.soak` is the soak itself."""

from __future__ import annotations

import os
import threading

import pytest
import torch

from faults.counts import EXACT, counts
from faults.soak import MEMORY, OBJECTS, WARM_UP, grown, soak

ROUNDS = WARM_UP + 2


def leaks(kind, kept, tmp_path):
    """A job that leaves one of these behind each time."""
    if kind == "tensors":
        kept.append(torch.ones(3))
    elif kind == "models":
        kept.append(torch.nn.Linear(2, 2))
    elif kind == "descriptors":
        kept.append(os.open(os.devnull, os.O_RDONLY))
    elif kind == "threads":
        kept.append(threading.Event())
        threading.Thread(target=kept[-1].wait, daemon=True).start()
    elif kind == "global hooks":
        kept.append(torch.nn.modules.module.register_module_forward_hook(lambda *args: None))
    elif kind == "temporary files":
        kept.append(len(kept))
        (tmp_path / str(len(kept))).write_text("left")


def given_back(kind, kept):
    for each in kept:
        if kind == "descriptors":
            os.close(each)
        elif kind == "threads":
            each.set()
        elif kind == "global hooks":
            each.remove()


@pytest.mark.parametrize(
    "kind",
    [
        *("tensors", "models", "descriptors", "threads", "global hooks"),
        *("temporary files", "nothing"),
    ],
)
def test_what_is_left_each_time_is_found(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept = []
    try:
        job = [("a job", lambda: leaks(kind, kept, tmp_path))]
        found = soak(job, lambda rounds: rounds < ROUNDS, lambda line: None)
        said = grown(found)
    finally:
        given_back(kind, kept)
    assert len(found) == ROUNDS
    if kind == "nothing":
        assert said == []
    else:
        assert any(sentence.startswith(f"{kind} grew from ") for sentence in said)


def test_an_error_says_in_which_job():
    def fails():
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd") as caught:
        soak([("the third", fails)], lambda rounds: rounds < 1)
    assert caught.value.__notes__ == ["in round 1, at the job 'the third'"]


def test_what_moves_to_and_fro_is_no_growth():
    now = counts()
    assert set(EXACT) | {"memory", "objects"} == set(now)
    steady = [now | {"memory": now["memory"] + (k % 2) * 2 * MEMORY} for k in range(12)]
    assert grown(steady) == []
    more = [now | {"objects": now["objects"] + k * OBJECTS} for k in range(12)]
    assert [each.partition(" grew")[0] for each in grown(more)] == ["objects"]
    with pytest.raises(ValueError, match="say nothing"):
        grown(steady[: WARM_UP + 1])
