"""All of it at smoke scale; and a table killed ten times at random moments comes out the same."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from problems.reproduced import claims, measured

KILLS = 10
COMMAND = (sys.executable, "-m", "varshift", "reproduce")
KILLED = (*COMMAND, "table3", "--scale", "smoke", "--every", "0.1", "--folder")


def test_ten_kills_leave_the_same_table(tmp_path):
    _run(*COMMAND, "all", "--scale", "smoke", "--folder", tmp_path / "calm")
    lines = tmp_path / "records.jsonl"
    _kill_ten_times(tmp_path / "killed", lines)
    _run(*KILLED, tmp_path / "killed", "--records", lines)
    everything, killed = (
        tmp_path / "calm" / "smoke" / "all",
        tmp_path / "killed" / "smoke" / "table3",
    )
    assert _ids(lines) == _ids(killed / "records.jsonl")
    calm = _table_of(everything, set(_ids(lines)), tmp_path)
    assert len(measured(everything)) == 21
    assert len(measured(calm)) == 12
    # Lines stand in the order of what was asked for, which was everything or a table.
    assert _by_id(calm) == _by_id(killed)
    assert _tables(calm) == _tables(killed)
    assert len(list(everything.glob("*.png"))) == 8
    pictures = sorted(path.name for path in calm.glob("*.png"))
    assert pictures
    assert all((calm / name).read_bytes() == (killed / name).read_bytes() for name in pictures)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=900)


def _table_of(everything: Path, ids: set[str], folder: Path) -> Path:
    """The page of the table alone, from those records of a run of everything."""
    lines = (everything / "records.jsonl").read_text("utf-8").splitlines(keepends=True)
    some = folder / "some.jsonl"
    some.write_text("".join(line for line in lines if json.loads(line)["id"] in ids), "utf-8")
    made = folder / "table3"
    _run(*COMMAND, "table3", "--scale", "smoke", "--from", some, "--out", made)
    return made


def _kill_ten_times(folder: Path, lines: Path) -> None:
    """What was finished stands in `lines`, but for what a kill left between two writings.

    Each kill falls up to four seconds after the work has begun, and always on unfinished work.

    Twelve networks take more than ten times that, so none of the kills comes too late.
    """
    dice = random.Random(0)
    for _ in range(KILLS):
        before = _touched(folder)
        process = subprocess.Popen(
            [*KILLED, folder, "--records", lines],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while _touched(folder) == before and process.poll() is None:
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 4))
        assert process.poll() is None, "the run had ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        done = sorted(path.parent.name for path in folder.rglob("record.json"))
        written = _ids(lines)
        assert set(written) <= set(done)
        assert len(written) >= len(done) - 1


def _ids(lines: Path) -> list[str]:
    """Sorted; a double would show."""
    text = lines.read_text("utf-8") if lines.is_file() else ""
    return sorted(json.loads(line)["id"] for line in text.splitlines())


def _touched(folder: Path) -> float:
    """When a run was last saved or begun."""
    return max((path.stat().st_mtime for path in folder.rglob("*")), default=0.0)


def _by_id(folder: Path) -> list[dict]:
    return sorted(measured(folder), key=lambda record: record["id"])


def _tables(folder: Path) -> str:
    """The page up to the time it was made at."""
    assert "### Table 3, digits" in (folder / "README.md").read_text("utf-8")
    return claims(folder)
