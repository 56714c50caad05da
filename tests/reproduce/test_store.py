"""Files of runs are whole or not there."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from reproduce.small import DROPPED, PLAIN
from varshift.reproduce.records import read_lines, write_lines
from varshift.reproduce.store import Store


def test_a_record_comes_back_as_it_was_kept(tmp_path):
    store, record = Store(tmp_path), {"a": [1, 2.5, None], "β": {"x": "ü"}}
    assert store.record(PLAIN) is None
    store.keep(PLAIN, record)
    assert store.record(PLAIN) == record
    assert store.record(DROPPED) is None
    assert [path.name for path in store.place(PLAIN).iterdir()] == ["record.json"]


def test_every_run_has_its_own_folder(tmp_path):
    store = Store(tmp_path)
    assert store.place(PLAIN) == tmp_path / "runs" / PLAIN.id
    assert store.place(PLAIN).is_dir()
    places = {store.state(PLAIN), store.state(DROPPED), store.lock(PLAIN), store.lock(DROPPED)}
    assert len(places) == 4
    assert {path.parent for path in places} == {store.place(PLAIN), store.place(DROPPED)}


def test_a_record_that_cannot_be_written_leaves_the_old_one(tmp_path):
    store = Store(tmp_path)
    store.keep(PLAIN, {"old": 1})
    with pytest.raises(ValueError, match="Out of range float"):
        store.keep(PLAIN, {"new": math.nan})
    with pytest.raises(TypeError, match="not JSON serializable"):
        store.keep(PLAIN, {"new": object()})
    assert store.record(PLAIN) == {"old": 1}
    assert [path.name for path in store.place(PLAIN).iterdir()] == ["record.json"]


def test_records_are_those_that_are_done_in_their_order(tmp_path):
    store = Store(tmp_path)
    store.keep(DROPPED, {"of": "dropped"})
    assert store.records([PLAIN, DROPPED]) == [{"of": "dropped"}]
    store.keep(PLAIN, {"of": "plain"})
    assert store.records([PLAIN, DROPPED]) == [{"of": "plain"}, {"of": "dropped"}]


def test_a_finished_run_leaves_its_weights_alone(tmp_path):
    store = Store(tmp_path)
    store.state(PLAIN).write_bytes(b"state")
    (store.place(PLAIN) / ".state.pt.killed.pt").write_bytes(b"half written")
    store.sweep(PLAIN)
    assert [path.name for path in store.place(PLAIN).iterdir()] == ["state.pt"]
    store.finish(PLAIN, {"run": 1}, {"weight": torch.ones(2)})
    names = sorted(path.name for path in store.place(PLAIN).iterdir())
    assert names == ["record.json", "weights.pt"]
    assert torch.load(store.weights(PLAIN))["weight"].tolist() == [1, 1]


def test_the_file_and_the_folder_get_what_they_lack_of_each_other(tmp_path):
    """Also of runs that nobody asks for now; what failed is tried again, and stands in no file."""
    other, third, unasked, foreign = (replace(PLAIN, seed=seed) for seed in (7, 8, 9, 10))
    path = tmp_path / "records.jsonl"
    failed = {"id": third.id, "run": "theirs", "failed": "the loss was nan"}
    theirs = [{"id": one.id, "run": "theirs"} for one in (PLAIN, other, foreign)]
    write_lines(path, [*theirs, failed])
    store = Store(tmp_path, path)
    for run in (PLAIN, unasked):
        Store(tmp_path).keep(run, {"id": run.id, "run": "own"})
    assert store.exchange([PLAIN, other, third]) == 2
    assert [one["run"] for one in store.records([PLAIN, other, third])] == ["own", "theirs"]
    assert store.record(foreign) is None
    assert read_lines(path) == [*theirs, failed, {"id": unasked.id, "run": "own"}]
    store.keep(third, failed)
    assert len(read_lines(path)) == 5
    store.keep(third, {"id": third.id, "run": "own"})
    assert read_lines(path)[3:] == [{"id": one.id, "run": "own"} for one in (unasked, third)]
