"""All of it at smoke scale; and a table killed ten times at random moments comes out the same."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from problems import lean_reproduce, small_reproduce
from problems.commands import running, varshift
from problems.reproduced import claims, measured
from varshift.reproduce.records import read_lines

KILLS, RUNS = 10, 6
SMALL = small_reproduce.__name__
TABLE = ("reproduce", "table3", "--seeds", "2", "--every", "0.1", "--folder")


def test_all_of_it_at_smoke_scale(tmp_path):
    """But for the footprints, which take most of its time: see below."""
    everything = ("reproduce", "all", "--scale", "smoke", "--folder", tmp_path)
    done = varshift(*everything, main=lean_reproduce.__name__, patience=900)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "smoke" / "all"
    assert len(measured(page)) == 21
    assert len(list(page.glob("*.png"))) == 8
    assert "### Table 3, digits" in (page / "README.md").read_text("utf-8")
    assert claims(page)


def test_a_record_has_the_footprint_of_its_checkpoint(tmp_path):
    asked = ("reproduce", "table1", "--scale", "smoke", "--network", "WRN", "--folder", tmp_path)
    done = varshift(*asked)
    assert done.returncode == 0, done.stderr
    (record,) = read_lines(tmp_path / "smoke" / "table1" / "records.jsonl")
    assert record["footprint"]["passes"] > 0
    assert len(record["footprint"]["sites"]) > 1


def test_ten_kills_leave_the_same_table(tmp_path):
    lines = tmp_path / "records.jsonl"
    begun = time.monotonic()
    assert varshift(*TABLE, tmp_path / "calm", main=SMALL).returncode == 0
    each = (time.monotonic() - begun) / RUNS
    _kill_ten_times(tmp_path / "killed", lines, each)
    assert varshift(*_kept(tmp_path / "killed", lines), main=SMALL).returncode == 0
    calm, killed = (tmp_path / name / "smoke" / "table3" for name in ("calm", "killed"))
    assert _ids(lines) == _ids(killed / "records.jsonl")
    assert len(_ids(lines)) == RUNS
    assert measured(calm) == measured(killed)
    assert claims(calm) == claims(killed)
    pictures = sorted(path.name for path in calm.glob("*.png"))
    assert pictures
    assert all((calm / name).read_bytes() == (killed / name).read_bytes() for name in pictures)


def _kept(folder: Path, lines: Path) -> tuple[object, ...]:
    return (*TABLE, folder, "--records", lines)


def _kill_ten_times(folder: Path, lines: Path, each: float) -> None:
    """What was finished stands in `lines`, but for what a kill left between two writings.

    A kill falls on the beginning of what is to be done first; every fourth follows a finished run,
    so that there are some before and some after. `each`: seconds that a run takes.
    """
    dice = random.Random(0)
    for kill in range(KILLS):
        touched, finished = _touched(folder), _finished(folder)
        with running(*_kept(folder, lines), main=SMALL) as process:
            _changed(_touched, folder, touched, process.pid)
            if kill % 4 == 3:
                _changed(_finished, folder, finished, process.pid)
            time.sleep(dice.uniform(0, each / 6))
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait().returncode == -signal.SIGKILL
        done, written = _finished(folder), _ids(lines)
        assert set(written) <= set(done)
        assert len(written) >= len(done) - 1
    assert 0 < len(written) < RUNS


def _changed(seen: Callable[[Path], object], folder: Path, before: object, pid: int) -> None:
    """Wait until something else is seen."""
    while seen(folder) == before:
        os.kill(pid, 0)  # raises where it has ended by itself
        time.sleep(0.02)


def _finished(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.rglob("record.json"))


def _ids(lines: Path) -> list[str]:
    """Sorted; a double would show."""
    text = lines.read_text("utf-8") if lines.is_file() else ""
    return sorted(json.loads(line)["id"] for line in text.splitlines())


def _touched(folder: Path) -> float:
    """When a run was last saved or begun."""
    return max((path.stat().st_mtime for path in folder.rglob("*")), default=0.0)
