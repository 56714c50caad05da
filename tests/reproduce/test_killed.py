"""All of it at smoke scale; and killed ten times at random moments, the same tables come out."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from problems.reproduced import claims, measured

KILLS = 10
RUN = (
    *(sys.executable, "-m", "varshift", "reproduce", "all", "--scale", "smoke"),
    *("--every", "0.1", "--folder"),
)


def test_ten_kills_leave_the_same_tables(tmp_path):
    subprocess.run([*RUN, tmp_path / "calm"], check=True, capture_output=True, timeout=900)
    lines = tmp_path / "records.jsonl"
    _kill_ten_times(tmp_path / "killed", lines)
    command = [*RUN, tmp_path / "killed", "--records", lines]
    subprocess.run(command, check=True, capture_output=True, timeout=900)
    assert _ids(lines) == _ids(tmp_path / "killed" / "smoke" / "all" / "records.jsonl")
    calm, killed = (tmp_path / name / "smoke" / "all" for name in ("calm", "killed"))
    assert _records(calm) == _records(killed)
    assert _tables(calm) == _tables(killed)
    pictures = sorted(path.name for path in calm.glob("*.png"))
    assert len(pictures) == 8
    assert all((calm / name).read_bytes() == (killed / name).read_bytes() for name in pictures)


def _kill_ten_times(folder: Path, lines: Path) -> None:
    """What was finished stands in `lines`, but for what a kill left between two writings.

    Each kill falls up to four seconds after the work has begun, and always on unfinished work.

    Twenty-one networks take more than ten times that, so none of the kills comes too late.
    """
    dice = random.Random(0)
    for _ in range(KILLS):
        before = _touched(folder)
        process = subprocess.Popen(
            [*RUN, folder, "--records", lines],
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


def _records(folder: Path) -> list[dict]:
    """All that was measured, without when and how fast."""
    found = measured(folder)
    assert len(found) == 21
    return found


def _tables(folder: Path) -> str:
    """The page up to the time it was made at."""
    assert "### Table 3, digits" in (folder / "README.md").read_text("utf-8")
    return claims(folder)
