"""Who takes which run, and that the number of processes does not show in the records."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from filelock import FileLock

import varshift as vs
from reproduce.small import DROPPED, LITTLE, PLAIN
from varshift.reproduce import one, working
from varshift.reproduce.nets import Placing
from varshift.reproduce.one import Job
from varshift.reproduce.records import read_lines
from varshift.reproduce.store import Store
from varshift.reproduce.working import work

OTHER = replace(PLAIN, placing=Placing("last", "dropout", 0.5))
HOLD = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def told(record):
    """What must not depend on who did it and when."""
    if isinstance(record, dict):
        return {k: told(v) for k, v in record.items() if k not in ("provenance", "seconds")}
    return [told(one) for one in record] if isinstance(record, list) else record


def job(folder, *runs):
    return Job(runs, folder, LITTLE, {})


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Three runs done by one process."""
    mine = job(tmp_path_factory.mktemp("alone"), PLAIN, DROPPED, OTHER)
    seen = []
    work(mine, report=lambda done, total: seen.append((done, total)))
    return mine, seen


def test_every_run_has_a_record(alone):
    mine, _ = alone
    held = Store(mine.folder).records(mine.runs)
    assert [one["id"] for one in held] == [run.id for run in mine.runs]
    assert held[1]["provenance"]["train_images"] == 128
    assert held[1]["images_seen"] == 2 * 128
    assert ["repairs" in one for one in held] == [False, True, False]


def test_the_report_counts_every_step_once(alone):
    _, seen = alone
    assert seen == [(step, 24) for step in range(1, 25)]


def test_what_is_done_is_not_done_again(alone, monkeypatch):
    mine, _ = alone

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(one, "train", never)
    work(mine)


def test_two_processes_write_the_records_of_one(alone, tmp_path):
    mine, _ = alone
    lines = tmp_path / "records.jsonl"
    work(replace(mine, folder=tmp_path, runs=(PLAIN, DROPPED), records=lines), workers=2)
    held = Store(tmp_path).records([PLAIN, DROPPED])
    assert sorted(read_lines(lines), key=lambda one: one["id"]) == sorted(
        held, key=lambda one: one["id"]
    )
    assert [told(one) for one in held] == [
        told(one) for one in Store(mine.folder).records([PLAIN, DROPPED])
    ]


def test_a_run_that_another_process_holds_is_left_until_that_one_ends(tmp_path, monkeypatch):
    """The other holds the first run; the second is done meanwhile, the first after its death."""
    store, order = Store(tmp_path), []
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.lock(PLAIN))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "held\n"

        def waited(seconds):
            order.append("waited")
            other.kill()
            other.wait()

        def done(self, run):
            order.append(run.id)
            self.store.keep(run, {"id": run.id})

        monkeypatch.setattr(working._Worker, "_do", done)
        monkeypatch.setattr(working.time, "sleep", waited)
        monkeypatch.setattr(working, "WAIT", 0.0)
        # One pass that takes the second, one that can take none and waits, one for the first.
        work(job(tmp_path, PLAIN, OTHER))
    finally:
        other.kill()
        other.communicate()
    assert order == [OTHER.id, "waited", PLAIN.id]


def test_a_run_that_another_process_finishes_is_not_done(tmp_path, monkeypatch):
    store, seen = Store(tmp_path), []
    with FileLock(store.lock(PLAIN)):

        def waited(seconds):
            store.keep(PLAIN, {"id": PLAIN.id})

        monkeypatch.setattr(working.time, "sleep", waited)
        monkeypatch.setattr(working._Worker, "_do", lambda self, run: seen.append(run))
        work(job(tmp_path, PLAIN), report=lambda *args: seen.append(args))
    assert seen == [(0, 8)]


def test_a_lock_is_let_go_when_the_work_fails(tmp_path, monkeypatch):
    def fails(self, run):
        raise vs.VarshiftError("no")

    monkeypatch.setattr(working._Worker, "_do", fails)
    with pytest.raises(vs.VarshiftError, match="no"):
        work(job(tmp_path, PLAIN))
    with FileLock(Store(tmp_path).lock(PLAIN), timeout=0):
        pass


def test_fewer_than_one_worker_is_refused(tmp_path):
    with pytest.raises(vs.UsageError, match="workers is 0; pass 1 or more"):
        work(job(tmp_path, PLAIN), workers=0)


def test_one_worker_keeps_the_threads_it_finds(alone, monkeypatch):
    mine, _ = alone
    set_to = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    work(mine)
    assert set_to == []
