"""A slice of `python -m tests.faults.written`, and what the command line says of a full disk."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

if not hasattr(os, "fork"):
    pytest.skip("there are no processes to fork", allow_module_level=True)

from faults.disks import room_for
from faults.jobs import LENT
from faults.writers import WRITERS, Writer
from faults.written import full
from varshift._cli.root import main

DATA = ("--data", f"{LENT}:batches")
HERE = Path(__file__).parents[2]


def test_every_writer_under_full_disks_and_signals():
    done = subprocess.run(  # a process of one thread, which can be forked
        [sys.executable, "-m", "tests.faults.written", "--count", "4"],
        cwd=HERE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"8 each of {len(WRITERS)} writers, 0 went wrong\n")


@pytest.mark.parametrize("careless", ["in place", "in silence"])
def test_a_careless_writer_is_found(tmp_path, careless):
    def write(path, value):
        try:
            path.write_text(str(value) * 5000)
        except OSError:
            if careless == "in place":
                raise

    writer = Writer(".txt", write, lambda path: int(path.read_text()[:1]))
    found = list(full(writer, tmp_path, random.Random(0), 5))
    assert found
    assert any("raises" in each or "nothing is said" in each for each in found)


@pytest.mark.parametrize(
    "arguments",
    [
        ("measure", "--out", "now.txt"),
        ("measure", "--format", "json", "--out", "now.json"),
        ("measure", "--report", "now.html"),
        ("check", "--write-baseline", "now.json"),
        ("check", "--format", "sarif", "--out", "now.sarif"),
        ("recalibrate", "--out", "now.pt"),
        ("recalibrate", "--out", "now.safetensors"),
    ],
    ids=" ".join,
)
def test_a_command_on_a_full_disk(arguments, tmp_path, monkeypatch, capsys):
    command, *options = arguments
    monkeypatch.chdir(tmp_path)
    given = ["varshift", command, f"{LENT}:noisy", *DATA, *options]
    monkeypatch.setattr(sys, "argv", given)
    Path(options[-1]).write_text("before")
    with pytest.raises(SystemExit) as ended, room_for(40):
        main()
    assert ended.value.code == 3
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    assert f"{options[-1]}' cannot be written (" in said
    assert said.endswith("what was there before is as it was")
    assert Path(options[-1]).read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == [options[-1]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["held", "at once"])
@pytest.mark.parametrize(("target", "number", "code"), [("noisy", 1, 3), ("nowhere", 2, 2)])
def test_standard_streams_on_a_full_disk(target, number, code, unbuffered):
    with open("/dev/full", "w") as full_disk:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        streams["stdout" if number == 1 else "stderr"] = full_disk
        done = subprocess.run(
            [*(sys.executable, "-m", "varshift", "measure"), f"{LENT}:{target}", *DATA],
            text=True,
            timeout=120,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            **streams,
        )
    assert done.returncode == code
    if number == 1:
        assert done.stderr.startswith("error: '/dev/stdout' cannot be written (No space left")
