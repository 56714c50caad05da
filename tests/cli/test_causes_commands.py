"""`varshift explain`, `predict` and `footprint` as processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from problems.commands import varshift

HERE = Path(__file__).parent.parent
FACTORIES = str(HERE / "problems" / "factories.py")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The noisy network with settled statistics."""
    sys.path.insert(0, str(HERE))
    from problems.factories import batches, noisy
    from problems.settling import settled

    net = settled(noisy(), batches(), 20)
    path = tmp_path_factory.mktemp("weights") / "net.pt"
    torch.save(net.state_dict(), path)
    return str(path)


def test_explain_in_text_and_json(checkpoint):
    arguments = ("explain", f"{FACTORIES}:noisy", "--checkpoint", checkpoint)
    arguments += ("--data", f"{FACTORIES}:batches", "--test-data", f"{FACTORIES}:batches")
    done = varshift(*arguments)
    assert done.returncode == 1, done.stderr
    assert "Verdict: noise" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    done = varshift(*arguments, "--format", "json", "--exit-zero")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told["schema"] == "varshift.explanation/1"
    assert told["verdict"] == "noise"
    (entry,) = [one for one in told["blame"]["entries"] if one["place"] == "2"]
    assert entry["noise"] == "0"
    assert 0.2 < entry["share"] < 0.8


def test_explain_of_a_clean_model_exits_with_zero():
    done = varshift("explain", f"{FACTORIES}:settled", "--data", f"{FACTORIES}:batches")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verdict: none" in done.stdout


def test_predict_with_and_without_data(checkpoint):
    model = ("predict", f"{FACTORIES}:noisy", "--checkpoint", checkpoint)
    data = ("--data", f"{FACTORIES}:batches", "--format", "json", "--exit-zero")
    now = json.loads(varshift(*model, *data).stdout)
    less = json.loads(varshift(*model, *data, "--noise", "0=0.1").stdout)
    uout = json.loads(varshift(*model, *data, "--noise", "*=beta:0.5").stdout)
    assert now["sites"]["2"]["how"] == "law (b)"
    assert now["sites"]["2"]["shift"] < less["sites"]["2"]["shift"] < uout["sites"]["2"]["shift"]
    assert uout["asked"]["0"] == pytest.approx(0.25 / 3)
    done = varshift(*model, "--input-shape", "3,8,8")
    assert "the checkpoint and an example" in done.stdout  # trained on normal numbers, too
    assert done.returncode == 1
    done = varshift(*model, "--data", f"{FACTORIES}:batches", "--max-severity", "1.2")
    assert done.returncode == 1
    said = " ".join(done.stdout.split())  # it goes over two lines
    assert "reaches directly, and that could be predicted, at a severity of 1.2: " in said


def test_footprint(checkpoint):
    arguments = ("footprint", f"{FACTORIES}:noisy", "--checkpoint", checkpoint)
    done = varshift(*arguments, "--data", f"{FACTORIES}:batches", "--format", "json")
    assert done.returncode == 1, done.stderr
    site = json.loads(done.stdout)["sites"]["2"]
    assert site["low"] < 0.5 < site["high"]
    assert site["place"] == "1"


def test_footprint_of_similar_data_and_a_memory_that_is_told(checkpoint):
    arguments = ("footprint", f"{FACTORIES}:noisy", "--checkpoint", checkpoint)
    arguments += ("--data", f"{FACTORIES}:batches", "--format", "json", "--place", "1")
    done = varshift(*arguments, "--momentum", "0.1", "--data-is", "similar")
    # Noise adds alike to all four channels: with their scale left free there is no pattern.
    assert done.returncode == 0, done.stderr
    site = json.loads(done.stdout)["sites"]["2"]
    assert not site["claimed"]
    assert site["p_value"] > 0.1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--momentum", "never"), "--momentum is 'never'; pass torch's, the weight of the new"),
        (("--momentum", "1.5"), "--momentum is 1.5; pass torch's"),
        (("--data-is", "test"), "--data-is 'test' is none of training, similar"),
        (("--place", "9"), "--place names '9', which the model does not have"),
    ],
)
def test_footprint_refuses_in_sentences(arguments, sentence):
    done = varshift("footprint", f"{FACTORIES}:noisy", "--data", f"{FACTORIES}:batches", *arguments)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--noise", "0"), "has no '='"),
        (("--noise", "0=much"), "'much' is not a number"),
        (("--noise", "0=alpha:0.3"), "neither beta nor sigma"),
        (("--noise", "nothing=0.3"), "no noise source matches 'nothing'"),
        (("--move", "0=nowhere"), "no module of that path"),
        (("--width", "0"), "width is 0"),
        (("--input-shape", "3,8,8"), "give either --data, or --input-shape"),
    ],
)
def test_predict_refuses_in_sentences(arguments, sentence):
    done = varshift("predict", f"{FACTORIES}:noisy", "--data", f"{FACTORIES}:batches", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
