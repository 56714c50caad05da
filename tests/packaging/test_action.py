"""The composite action: what it says, and its shell step run as a runner would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml", reason="needs PyYAML; pip install pyyaml")
pytest.importorskip("typer", reason="needs the cli extra")

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
NET = """
from torch import nn

def noisy():
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8))

def plain():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
"""


def ran(folder: Path, **inputs: str) -> tuple[int, str]:
    """The exit code of the step, and the code it hands on."""
    (folder / "net.py").write_text(NET, encoding="utf-8")
    (folder / "bin").mkdir()
    command = folder / "bin/varshift"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m varshift "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    handed_on = folder / "output"
    surroundings = os.environ | dict.fromkeys(("TARGET", "DATA", "ARGS"), "") | inputs
    surroundings |= {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_OUTPUT": str(handed_on),
        "PYTHONPATH": str(ROOT / "src"),
    }
    script = STEPS["Check"]["run"]
    # `shell: bash` of a composite step.
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    ended = subprocess.run(shell, cwd=folder, env=surroundings, capture_output=True, text=True)
    return ended.returncode, handed_on.read_text(encoding="utf-8").strip()


@pytest.mark.parametrize(("name", "code", "count"), [("noisy", 1, 1), ("plain", 0, 0)])
def test_findings_are_written_and_their_code_handed_on(tmp_path, name, code, count):
    ended = ran(tmp_path, TARGET=f"net.py:{name}", ARGS="--input-shape 4 --max-severity 1.1")
    assert ended == (0, f"code={code}")
    sarif = json.loads((tmp_path / "varshift.sarif").read_text(encoding="utf-8"))
    assert len(sarif["runs"][0]["results"]) == count


def test_what_cannot_be_checked_ends_the_step(tmp_path):
    code, handed_on = ran(tmp_path, TARGET="net.py:nothing", ARGS="--input-shape 4")
    assert code != 0
    assert handed_on in ("code=2", "code=3")


def test_an_input_is_no_piece_of_script(tmp_path):
    code, _ = ran(tmp_path, TARGET="net.py:plain; touch made", ARGS="--input-shape 4")
    assert code != 0
    assert not (tmp_path / "made").exists()


def test_inputs_reach_scripts_by_the_environment_alone():
    assert set(ACTION["inputs"]) >= {"target", "data", "args"}
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")
        assert "uses" in step or step["shell"] == "bash"
    assert list(STEPS) == ["Install", "Check", "Upload", "Verdict"]
