"""JSON lines are whole or not there, each run has one, and a broken line is named."""

from __future__ import annotations

import json
import math
import multiprocessing
import signal
import time
from itertools import chain

import pytest
from filelock import FileLock

import varshift as vs
from varshift.reproduce import records
from varshift.reproduce.records import RecordFile, read_lines, write_lines


def made(*names):
    return [{"id": name, "run": {"seed": 0}} for name in names]


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


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(vs.VarshiftError, match=r"records.jsonl' is no text: pass a records.jsonl"):
        read_lines(path)


def test_a_line_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"run": 1}\n{}\n', "utf-8")
    with pytest.raises(vs.VarshiftError, match=r"line 2 of '.*' is no record of a run; pass a"):
        read_lines(path)


def test_a_file_grows_by_what_is_not_there(tmp_path):
    path = tmp_path / "records.jsonl"
    held = RecordFile(path)
    assert held.read() == []
    held.add(made("a", "b"))
    before = path.read_bytes()
    held.add([])
    held.add([*made("b"), {"id": "c", "run": {}, "failed": "the loss was nan"}])
    assert path.read_bytes() == before
    held.add(made("b", "c"))
    assert held.read() == made("a", "b", "c")
    assert path.read_bytes().startswith(before)


def test_lines_of_other_programs_versions_stay_byte_for_byte(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{ "run": {"seed": 1},  "id": "old"}\n{"run": "without a name"}\n')
    before = path.read_bytes()
    RecordFile(path).add(made("new"))
    assert path.read_bytes() == before + b'{"id":"new","run":{"seed":0}}\n'


@pytest.mark.parametrize("torn", [b'{"id": "b", "ru', '{"id": "ü'.encode()[:-1]])
def test_a_half_line_at_the_end_goes(tmp_path, torn):
    path = tmp_path / "records.jsonl"
    write_lines(path, made("a"))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert RecordFile(path).repair()
    assert path.read_bytes() == whole
    assert not RecordFile(path).repair()
    path.write_bytes(whole + torn)
    RecordFile(path).add(made("b"))
    assert read_lines(path) == made("a", "b")


def test_a_last_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "records.jsonl"
    write_lines(path, made("a", "b"))
    path.write_bytes(path.read_bytes()[:-1])
    assert not RecordFile(path).repair()
    assert path.read_bytes().endswith(b"}\n")
    RecordFile(path).add(made("c"))
    assert read_lines(path) == made("a", "b", "c")


def test_a_record_that_cannot_be_written_leaves_the_file(tmp_path):
    held = RecordFile(tmp_path / "records.jsonl")
    held.add(made("a"))
    with pytest.raises(ValueError, match="Out of range float"):
        held.add([{"id": "b", "run": math.nan}])
    assert held.read() == made("a")


def test_whoever_holds_the_file_for_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "PATIENCE", 0.01)
    held = RecordFile(tmp_path / "records.jsonl")
    with (
        FileLock(tmp_path / "records.jsonl.lock"),
        pytest.raises(vs.VarshiftError, match=r"another process has held '.*records\.jsonl\.lock'"),
    ):
        held.add(made("a"))


def _add(path, first):
    for number in range(20):
        RecordFile(path).add(made(f"{first}{number}", f"both{number}"))


def _add_for_ever(path):
    number = 0
    while True:
        RecordFile(path).add([{"id": str(number), "run": "x" * 10_000}])
        number += 1


def test_two_processes_lose_nothing_and_double_nothing(tmp_path):
    path = tmp_path / "records.jsonl"
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=_add, args=(path, first)) for first in "ab"]
    for one in both:
        one.start()
    for one in both:
        one.join()
    names = [one["id"] for one in read_lines(path)]
    wanted = chain.from_iterable((f"a{n}", f"b{n}", f"both{n}") for n in range(20))
    assert sorted(names) == sorted(wanted)


def test_a_kill_leaves_whole_lines(tmp_path):
    """The process does nothing but add: wherever the kill falls, it falls into that."""
    path = tmp_path / "records.jsonl"
    process = multiprocessing.get_context("spawn").Process(target=_add_for_ever, args=(path,))
    process.start()
    while not path.is_file() or len(path.read_bytes()) < 100_000:
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not RecordFile(path).repair()
    names = [one["id"] for one in read_lines(path)]
    assert names == [str(number) for number in range(len(names))]
    RecordFile(path).add(made("more"))  # the lock went with the process
    assert len(read_lines(path)) == len(names) + 1
