"""`varshift recalibrate` as a process: the weights it writes, and with which code it ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import varshift as vs
from problems.commands import varshift
from varshift._cli.root import _ended

NETS = """
import torch
from torch import nn

def make(drop_p=0.5):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Dropout(drop_p), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.BatchNorm1d(4)
    )
    return net.double()

def half_frozen():
    net = make()
    net[2].eval()
    return net

def plain():
    return nn.Linear(6, 4).double()
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "net.py").write_text(NETS)
    x = np.random.default_rng(0).normal(size=(300, 6)) * 3 + 1
    np.save(tmp_path / "x.npy", x)
    return tmp_path


def recalibrate(cwd, *arguments):
    return varshift("recalibrate", *arguments, cwd=cwd)


def expected(here, name="make", samples=300):
    space = {}
    exec((here / "net.py").read_text(), space)
    net = space[name]()
    vs.recalibrate(net, [torch.from_numpy(np.load(here / "x.npy"))[:samples]])
    return net.state_dict()


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_writes_the_weights_with_exact_statistics(here, suffix):
    out = here / f"fixed{suffix}"
    done = recalibrate(here, "net.py:make", "--data", "x.npy", "--out", out.name)
    assert done.returncode == 0, done.stderr
    assert f"the recalibrated weights are in {out.name}" in done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    same(load_file(out) if suffix == ".safetensors" else torch.load(out), expected(here))


def test_json_and_max_samples_and_arguments_for_the_factory(here):
    arguments = ("--model-kwargs", "drop_p=0.9", "--max-samples", "100", "--format", "json")
    done = recalibrate(here, "net.py:make", "--data", "x.npy", "--out", "fixed.pt", *arguments)
    assert done.returncode == 0, done.stderr
    held = json.loads(done.stdout)
    assert (held["schema"], held["samples"]) == ("varshift.recalibration/1", 100)
    same(torch.load(here / "fixed.pt"), expected(here, samples=100))


def test_frozen_norms(here):
    asked = ("net.py:half_frozen", "--data", "x.npy", "--out", "fixed.pt")
    before = expected(here, "half_frozen")
    assert recalibrate(here, *asked).returncode == 0
    same(torch.load(here / "fixed.pt"), before)
    assert torch.equal(before["2.running_mean"], torch.zeros(4, dtype=torch.float64))
    assert recalibrate(here, *asked, "--include-frozen").returncode == 0
    same(torch.load(here / "fixed.pt"), expected(here))
    done = recalibrate(here, "net.py:make", *asked[1:], "--frozen", "*")
    assert "the weights as they were are in fixed.pt" in done.stderr
    done = recalibrate(here, "net.py:make", *asked[1:], "--frozen", "4", "--format", "json")
    assert set(json.loads(done.stdout)["sites"]) == {"2"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("net.py:make", "--data", "x.npy"), 2, "--out"),
        (("net.py:make", "--data", "x.npy", "--out", "no/fixed.pt"), 2, "there is no folder 'no'"),
        (("net.py:make", "--data", "x.npy", "--out", "fixed.bin"), 2, "ends in none of"),
        (("net.py:mak", "--data", "x.npy", "--out", "fixed.pt"), 2, "has no 'mak'; it has make"),
        (("net.py:plain", "--data", "x.npy", "--out", "fixed.pt"), 3, "nothing to recalibrate"),
        (("net.py:make", "--data", "y.npy", "--out", "fixed.pt"), 3, "there is no file 'y.npy'"),
        (
            ("net.py:make", "--data", "x.npy", "--out", "fixed.pt", "--frozen", "q*"),
            2,
            "no norm is called that",
        ),
        (
            ("net.py:make", "--data", "x.npy", "--out", "fixed.pt", "--image-size", "0"),
            2,
            "--image-size is 0",
        ),
    ],
)
def test_errors_are_sentences_and_nothing_is_written(
    here, arguments, code, said, monkeypatch, capsys
):
    monkeypatch.chdir(here)
    ending = _ended(["recalibrate", *arguments])
    assert ending.code == code, ending
    assert said in ending.sentence + capsys.readouterr().err
    assert not list(here.glob("fixed*"))


def test_numpys_float64_becomes_what_the_model_takes(here, monkeypatch, capsys):
    monkeypatch.chdir(here)
    (here / "single.py").write_text(
        "from net import make\n\ndef made():\n    return make().float()\n"
    )
    asked = ["recalibrate", "single.py:made", "--data", "x.npy", "--out", "fixed.pt"]
    assert _ended(asked).code == 0
    said = capsys.readouterr().err
    assert "the inputs are float64 in the file and become float32, the model's dtype" in said
    found = torch.load(here / "fixed.pt")["2.running_var"]
    torch.testing.assert_close(found.double(), expected(here)["2.running_var"], rtol=1e-4, atol=0)


def test_a_librarys_model_and_a_folder_of_pictures(here):
    pytest.importorskip("timm", reason="no timm; pip install '.[zoo]'")
    image = pytest.importorskip("PIL.Image", reason="no Pillow; pip install '.[zoo]'")
    rng = np.random.default_rng(0)
    for number in range(6):
        place = here / "set" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(place / f"{number}.png")
    done = recalibrate(
        *(here, "timm:test_resnet", "--model-kwargs", "num_classes=2", "drop_rate=0.1"),
        *("--data", "set", "--image-size", "32", "--out", str(Path("fixed.pt"))),
    )
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "6 pictures of 2 classes, in a fixed random order" in said
    assert "timm:test_resnet has random weights" in said
    assert torch.load(here / "fixed.pt")["fc.weight"].shape[0] == 2
