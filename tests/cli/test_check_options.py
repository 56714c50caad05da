"""`varshift check`: a baseline, what pyproject.toml adds, and what is said of made-up inputs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from varshift._check.configuration import Configuration
from varshift._cli.check import completed
from varshift._cli.lending import Lent
from varshift._loading import keywords_of

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes, drop):
        super().__init__()
        self.drop, self.norm = nn.Dropout(drop), nn.BatchNorm1d(8)
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        return self.head(self.norm(self.drop(x)))


def make(classes=2, drop=0.5):
    return Net(classes, drop)
"""
SHAPE = ("--input-shape", "8")


@pytest.fixture
def varshift(varshift):
    Path("net.py").write_text(NET, encoding="utf-8")
    return partial(varshift, "check")


def test_only_what_is_new_or_worse_fails(varshift):
    code, out, error = varshift("net.py:make", *SHAPE, "--write-baseline", "known.json")
    assert code == 0
    assert "1 finding above severity 1.1" in out
    assert "the baseline in known.json holds 1 finding; check them with --baseline" in error
    moved = "\n" * 20 + NET
    Path("net.py").write_text(moved, encoding="utf-8")
    code, out, _ = varshift("net.py:make", *SHAPE, "--baseline", "known.json")
    assert code == 0
    assert "Nothing new above severity 1.1" in out
    assert "1 finding is known from the baseline known.json" in " ".join(out.split())
    assert "VS101 noise-before-norm" not in out
    worse = ("--model-kwargs", "drop=0.8", "--baseline", "known.json")
    code, out, _ = varshift("net.py:make", *SHAPE, *worse)
    assert code == 1
    assert "1 finding is worse than in the baseline" in " ".join(out.split())
    assert varshift("net.py:make", *SHAPE, *worse, "--exit-zero")[0] == 0


def test_every_format_leaves_out_what_is_known(varshift):
    assert varshift("net.py:make", *SHAPE, "--format", "json", "--out", "known.json")[0] == 1
    known = ("net.py:make", *SHAPE, "--baseline", "known.json", "--format")
    code, out, _ = varshift(*known, "json")
    told = json.loads(out)
    assert (code, told["findings"], len(told["known"])) == (0, [], 1)
    code, out, _ = varshift(*known, "sarif")
    (run,) = json.loads(out)["runs"]
    assert (code, run["results"]) == (0, [])
    notes = [n["message"]["text"] for n in run["invocations"][0]["toolExecutionNotifications"]]
    assert any("known from the baseline known.json" in note for note in notes)
    code, out, _ = varshift(*known, "github")
    assert code == 0
    assert "::warning" not in out


def test_a_baseline_that_is_not_there(varshift):
    code, _, error = varshift("net.py:make", *SHAPE, "--baseline", "none.json")
    assert code == 2
    assert "write it first: varshift check … --write-baseline none.json" in error
    code, _, error = varshift("net.py:make", *SHAPE, "--write-baseline", "no/known.json")
    assert code == 2
    assert "there is no folder 'no'" in error


def test_the_project_names_its_baseline_its_arguments_and_the_size_of_pictures(varshift, tmp_path):
    table = '[tool.varshift]\ntarget = "net.py:make"\ninput-shape = "8"\nbaseline = "known.json"\n'
    file = tmp_path / "pyproject.toml"
    file.write_text(table + "model-kwargs = { drop = 0.5 }\n", encoding="utf-8")
    assert varshift("--write-baseline", "known.json")[0] == 0
    assert varshift()[0] == 0
    file.write_text(table + "model-kwargs = { drop = 0.8 }\n", encoding="utf-8")
    assert varshift()[0] == 1
    # The command line goes before it, key by key; what the table says is for its own target alone.
    assert varshift("--model-kwargs", "drop=0.5")[0] == 0
    assert varshift("net.py:make", *SHAPE)[0] == 1
    file.write_text(table + 'model-kwargs = ["drop=0.0", "classes=3"]\n', encoding="utf-8")
    code, out, _ = varshift()
    assert (code, "not found any more" in " ".join(out.split())) == (0, True)
    file.write_text(table + "model-kwargs = { depth = 3 }\n", encoding="utf-8")
    code, _, error = varshift()
    assert (code, "cannot be called with --model-kwargs 'depth'" in error) == (2, True)


def test_what_the_table_adds_to_the_options():
    said = Configuration(
        target="net.py:make",
        checkpoint="w.pt",
        model_kwargs=("drop=0.5", "classes=3"),
        image_size=96,
        baseline="known.json",
        forward="net.py:take",
    )
    lent, baseline = completed(Lent("", model_kwargs=["drop=0.1"]), None, said)
    assert (lent.target, lent.checkpoint, lent.image_size) == ("net.py:make", "w.pt", 96)
    assert keywords_of(lent.model_kwargs) == {"drop": 0.1, "classes": 3}
    assert (lent.forward, baseline) == ("net.py:take", "known.json")
    # Weights, arguments and a baseline are those of the table's own target.
    lent, baseline = completed(Lent("other.py:make", image_size=32), None, said)
    assert (lent.checkpoint, lent.model_kwargs, baseline) == (None, None, None)
    assert (lent.image_size, lent.forward) == (32, "net.py:take")


@pytest.mark.parametrize("format", ["text", "json", "sarif", "github", "html"])
def test_made_inputs_are_said_on_every_face(varshift, format):
    said = "the inputs are made up: 256 samples of random normal numbers, shape 8."
    out = ("--out", f"found.{format}")
    assert varshift("net.py:make", *SHAPE, "--format", format, *out)[0] == 1
    assert said in " ".join(Path(out[1]).read_text(encoding="utf-8").split())


def test_data_are_not_made_up(varshift, tmp_path):
    (tmp_path / "data.py").write_text(
        "import torch\ndef train():\n    return [torch.randn(64, 8)] * 4\n", encoding="utf-8"
    )
    code, out, _ = varshift("net.py:make", "--data", "data.py:train")
    assert (code, "made up" in out) == (1, False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("--out", "--report"),
        ("--out", "--fix"),
        ("--report", "--write-baseline"),
        ("--fix", "--write-baseline"),
    ],
)
def test_two_answers_have_two_files(varshift, one, other):
    code, out, error = varshift("net.py:make", *SHAPE, one, "a.html", other, "./a.html")
    assert (code, out) == (2, "")
    assert f"{one} and {other} both name './a.html'" in error
    assert not Path("a.html").exists()


def test_two_answers_may_go_to_one_device(varshift):
    assert varshift("net.py:make", *SHAPE, "--out", "/dev/null", "--fix", "/dev/null")[0] == 1
