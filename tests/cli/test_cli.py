"""The command line as a user meets it: its output and its exit code, of processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from problems.commands import varshift

HERE = Path(__file__).parent.parent
FACTORIES = str(HERE / "problems" / "factories.py")


def started(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "varshift", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"NO_COLOR": "1", "OMP_NUM_THREADS": "1"},
    )


def test_help_and_version_do_not_load_torch():
    code = (
        "import sys; sys.argv = ['varshift', '--help']\n"
        "from varshift._cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "inspect" in done.stdout
    done = started("--version")
    assert done.stdout.startswith("varshift 0.")
    assert done.returncode == 0


def test_inspect_in_text():
    done = started("inspect", f"{FACTORIES}:noisy", "--input-shape", "3,8,8")
    assert done.returncode == 1  # a finding
    assert "(b)" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    done = varshift("inspect", f"{FACTORIES}:clean", "--input-shape", "3,8,8")
    assert done.returncode == 0


def test_inspect_in_json_is_nothing_but_json(tmp_path):
    checkpoint = tmp_path / "weights.pt"
    sys.path.insert(0, str(HERE))
    from problems.factories import noisy

    torch.save({"module." + key: value for key, value in noisy().state_dict().items()}, checkpoint)
    done = varshift(
        *("inspect", f"{FACTORIES}:noisy", "--data", f"{FACTORIES}:batches", "--format", "json"),
        *("--checkpoint", str(checkpoint), "--exit-zero"),
    )
    assert done.returncode == 0
    held = json.loads(done.stdout)
    assert {"schema", "noises", "norms", "routes"} <= set(held)
    assert "prefix 'module.' taken off" in done.stderr


def test_measure(tmp_path):
    page = tmp_path / "page.html"
    data = ("--data", f"{FACTORIES}:batches")
    done = varshift("measure", f"{FACTORIES}:noisy", *data, "--format", "json")
    assert done.returncode == 1
    assert 0.3 < json.loads(done.stdout)["sites"]["2"]["shift"] < 0.8
    done = varshift("measure", f"{FACTORIES}:clean", *data)
    assert done.returncode == 0
    assert "no shift by noise is expected" in done.stdout.replace("\n", " ")
    arguments = ("--format", "html", "--out", str(page), "--exit-zero")
    done = varshift("measure", f"{FACTORIES}:noisy", *data, *arguments)
    assert done.returncode == 0
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("inspect", "nothing"), 2, "error: give an example"),
        (("inspect", "nothing", "--input-shape", "3"), 2, "write package.module:factory"),
        (("inspect", f"{FACTORIES}:noisy", "--input-shape", "3,8"), 3, "the model raised"),
        (("inspect", f"{FACTORIES}:noisy", "--input-shape", "x"), 2, "as in 3,64,64"),
        (("inspect", f"{FACTORIES}:breaks", "--input-shape", "3"), 3, "no such weights"),
        (("measure", f"{FACTORIES}:noisy"), 2, "--data"),
        (("measure", f"{FACTORIES}:noisy", "--data", "digits", "--format", "xml"), 2, "none of"),
        (
            ("measure", f"{FACTORIES}:noisy", "--data", f"{FACTORIES}:raising_loader"),
            3,
            "disk gone",
        ),
        (("measure", f"{FACTORIES}:noisy", "--data", "digits", "--device", "cuda"), 2, "cuda"),
        (("demo", "--drop", "1.5"), 2, "between 0 and 1"),
        (("demo", "--data", "cifar10"), 3, "needs --root"),
    ],
)
def test_errors_are_sentences(arguments, code, said):
    done = varshift(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
