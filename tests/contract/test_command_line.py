"""The command line as a process: exit codes 0 fine, 1 findings, 2 usage, 3 model or data failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contract.shapes import SHAPES, differences
from problems.commands import varshift

pytest.importorskip("typer")
pytest.importorskip("rich")

LENT = str(Path(__file__).with_name("lent.py"))
DATA = ("--data", f"{LENT}:batches")


@pytest.mark.parametrize(
    ("command", "target", "code"),
    [("check", "clean", 0), ("measure", "noisy", 1)],
)
def test_findings_and_their_json(command, target, code, tmp_path):
    arguments = (command, f"{LENT}:{target}", *DATA, "--format", "json")
    done = varshift(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert differences(json.loads(done.stdout), SHAPES[command]) == []


def test_findings_can_be_forgiven_and_are_drawn(tmp_path):
    done = varshift(
        *("inspect", f"{LENT}:noisy", "--input-shape", "6", "--exit-zero"), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "(b)" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_wrong_call_is_usage(tmp_path):
    done = varshift("measure", f"{LENT}:nowhere", *DATA, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_model_with_nothing_to_measure_fails(tmp_path):
    done = varshift("measure", f"{LENT}:normless", *DATA, cwd=tmp_path)
    assert done.returncode == 3
    assert "no BatchNorm" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
