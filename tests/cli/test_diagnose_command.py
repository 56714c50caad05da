"""`varshift diagnose` as a process: exit codes by grade, lines and commands that can be copied."""

from __future__ import annotations

import json

import pytest

from problems.commands import varshift
from varshift._cli.diagnose import _named
from varshift._cli.lending import Lent

NETS = """
import torch
from torch import nn

def trained(drop_p):
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(8, momentum=None)
    net = nn.Sequential(
        nn.Dropout(drop_p),  # here
        norm,
        nn.Linear(8, 3),
    )
    for batch in batches:
        net(batch)
    return net

def noisy():
    return trained(0.6)

def faint():
    return trained(0.25)

def clean():
    return trained(0.0)

def drawn(seed):
    torch.manual_seed(seed)
    return list(torch.randn(2048, 8).split(128))

batches = drawn(1)
others = drawn(2)
labelled = [(batch, torch.randint(3, (len(batch),))) for batch in drawn(3)]
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "net.py").write_text(NETS)
    return tmp_path


def diagnose(here, net, *arguments):
    return varshift("diagnose", f"net.py:{net}", *arguments, cwd=here)


@pytest.mark.parametrize(
    ("net", "fail_on", "code"),
    [
        *(("noisy", "severe", 1), ("faint", "mild", 1), ("faint", "severe", 0)),
        *(("clean", "mild", 0),),
    ],
)
def test_exit_code_by_grade(here, net, fail_on, code):
    done = diagnose(here, net, "--data", "net.py:batches", "--fail-on", fail_on)
    assert done.returncode == code, done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_json_has_the_constructor_and_commands_to_copy(here):
    arguments = ("--data", "net.py:batches", "--test-data", "net.py:others")
    arguments += ("--held-out", "net.py:labelled", "--format", "json")
    done = diagnose(here, "noisy", *arguments)
    assert done.returncode == 1, done.stderr  # clear or worse, by default
    told = json.loads(done.stdout)
    assert (told["schema"], told["verdict"], told["grade"]) == (
        "varshift.diagnosis/1",
        "noise",
        "severe",
    )
    line = told["worst"][0]["line"]
    assert line["code"] == "nn.Dropout(drop_p),  # here"
    assert told["worst"][0]["line_of"] == "constructor"
    first, second, _ = told["advice"]
    assert first["command"] == (
        "varshift recalibrate net.py:noisy --data net.py:batches --out recalibrated.pt"
    )
    assert first["measured"]["trial"]["loss"]["samples"] == 2048
    assert second["at_line"] == line
    assert told["held_out"]["accuracy"] is not None


def test_a_grade_that_is_none_of_them_is_usage(here):
    done = diagnose(here, "noisy", "--data", "net.py:batches", "--fail-on", "none")
    assert done.returncode == 2
    assert "--fail-on 'none' is none of mild, clear, severe" in done.stderr


def test_commands_to_copy_take_model_and_data_as_this_one_did():
    given = {"checkpoint": "my weights.pt", "model_kwargs": ["drop=0.3", "classes=4"]}
    lent = Lent("net.py:make", **given, forward="net.py:take", batch_size=32, device="cuda")
    assert _named(lent) == (
        "net.py:make --checkpoint 'my weights.pt' --model-kwargs drop=0.3 classes=4 "
        "--forward net.py:take --batch-size 32 --device cuda"
    )
    assert _named(Lent("net.py:make")) == "net.py:make"
