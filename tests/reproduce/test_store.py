"""Files of runs are whole or not there; a broken line is named."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

import varshift as vs
from reproduce.small import DROPPED, PLAIN
from varshift.reproduce.store import Store, read_lines, write_lines


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


def test_lines_come_back(tmp_path):
    path, held = (
        tmp_path / "new" / "records.jsonl",
        [{"run": 1}, {"run": "two\nlines"}, {"run": "\u2028"}],
    )
    write_lines(path, held)
    assert read_lines(path) == held
    assert len(path.read_text("utf-8").split("\n")) == len(held) + 1
    assert json.loads(path.read_text("utf-8").split("\n")[0]) == {"run": 1}
    write_lines(path, [])
    assert read_lines(path) == []


def test_a_line_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"run": 1}\n{"run": \n{"run": 3}\n', "utf-8")
    with pytest.raises(vs.VarshiftError, match=r"line 2 of '.*records\.jsonl' is not JSON: Expec"):
        read_lines(path)


def test_lines_that_cannot_be_written_leave_the_old_file(tmp_path):
    path = tmp_path / "records.jsonl"
    write_lines(path, [{"run": 1}])
    with pytest.raises(ValueError, match="Out of range float"):
        write_lines(path, [{"run": 2}, {"run": math.inf}])
    assert read_lines(path) == [{"run": 1}]
    assert list(tmp_path.iterdir()) == [path]


def test_a_line_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"run": 1}\n{}\n', "utf-8")
    with pytest.raises(vs.VarshiftError, match=r"line 2 of '.*' is no record of a run; pass a"):
        read_lines(path)


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


def test_records_made_elsewhere_are_taken_over_where_there_are_none(tmp_path):
    store, other = Store(tmp_path), replace(PLAIN, seed=7)
    third = replace(PLAIN, seed=8)
    store.keep(PLAIN, {"id": PLAIN.id, "run": "own"})
    elsewhere = [{"id": one.id, "run": "theirs"} for one in (PLAIN, other, replace(PLAIN, seed=9))]
    failed = {"id": third.id, "run": "theirs", "failed": "the loss was nan"}
    store.take([PLAIN, other, third], [*elsewhere, failed])
    assert [one["run"] for one in store.records([PLAIN, other, third])] == ["own", "theirs"]
    assert len(list(tmp_path.rglob("record.json"))) == 2
