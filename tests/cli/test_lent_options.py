"""What every command with a model says to wrong options, and that its answer stands alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

NET = """
import torch
from torch import nn

print("imported")


class Printing(nn.Sequential):
    def forward(self, x):
        print("a forward")
        return super().forward(x)


def make():
    print("made")
    return Printing(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 8), nn.BatchNorm1d(8))


def needs(width, depth):
    pass


class Odd(BaseException):
    pass


def odd():
    raise Odd("of its own kind")


def train():
    print("data")
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        print("a batch")
        yield torch.randn(32, 8, generator=generator)
"""


@pytest.fixture
def varshift(varshift):
    Path("net.py").write_text(NET, encoding="utf-8")
    return varshift


MADE = ("net.py:make", "--data", "net.py:train")


@pytest.mark.parametrize("command", ["measure", "inspect", "explain", "predict", "check"])
def test_what_the_users_code_prints_goes_to_standard_error(varshift, command):
    code, out, error = varshift(command, *MADE, "--format", "json")
    assert code in (0, 1)
    assert json.loads(out)["schema"].startswith("varshift.")
    assert {"imported", "made", "a batch", "a forward"} <= set(error.splitlines())
    assert not {"imported", "made", "a batch"} & set(varshift(command, *MADE)[1].splitlines())


@pytest.mark.parametrize("command", ["measure", "explain", "footprint"])
def test_the_same_command_says_the_same_twice(varshift, command):
    one, other = (varshift(command, *MADE)[:2] for _ in range(2))
    assert one == other


@pytest.mark.parametrize("option", ["--checkpoint", "--data", "--forward", "--device", "--root"])
def test_an_empty_value_is_refused(varshift, option):
    given = [] if option == "--data" else ["--data", "net.py:train"]
    code, out, error = varshift("measure", "net.py:make", *given, option, "")
    assert (code, out) == (2, "")
    assert f"error: {option} is empty; " in error


def test_weights_are_no_inputs(varshift):
    torch.manual_seed(0)
    held = {"0.weight": torch.randn(8, 8), "0.bias": torch.randn(8)}
    torch.save(held, "weights.pt")
    code, out, error = varshift("measure", "net.py:make", "--data", "weights.pt")
    assert (code, out) == (2, "")
    assert "holds weights of this model, '0.weight' for one: give it as --checkpoint" in error


def test_which_entry_is_taken_for_the_inputs_is_said(varshift):
    held = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    np.savez("data.npz", images=held, ids=np.arange(64), y=np.arange(64))
    _, _, error = varshift("inspect", "net.py:make", "--data", "data.npz")
    assert "holds 2 entries beside labels: the first, 'images', is taken for the inputs" in error
    np.savez("data.npz", images=held, y=np.arange(64))
    assert "entries" not in varshift("inspect", "net.py:make", "--data", "data.npz")[2]


@pytest.mark.parametrize("bound", ["1", "0.5", "nan", "inf"])
def test_a_bound_that_is_none_is_refused_before_any_work(varshift, bound):
    code, out, error = varshift(
        *("predict", *MADE, "--max-severity", bound, "--format", "json", "--out", "p.json")
    )
    assert (code, out, Path("p.json").exists()) == (2, "", False)
    assert "pass a finite number above 1" in error
    assert "imported" not in error


@pytest.mark.parametrize("shape", ["99999999999999999999", "100000,100000"])
def test_a_shape_beyond_memory_is_refused(varshift, shape):
    code, out, error = varshift("inspect", "net.py:make", "--input-shape", shape)
    assert (code, out) == (2, "")
    assert "numbers in one sample; at most 1.1e+09 are made" in error
    assert "frame #" not in error


@pytest.mark.parametrize("name", ["net.py", "kept.pt"])
def test_an_answer_does_not_replace_code_or_weights(varshift, name):
    torch.save({}, "kept.pt")
    before = Path(name).read_bytes()
    code, _, error = varshift("measure", *MADE, "--out", name)
    assert (code, Path(name).read_bytes()) == (2, before)
    assert f"--out {name!r} is a {Path(name).suffix} file, which an answer is not to" in error


def test_an_answer_and_a_page_have_files_of_their_own(varshift):
    code, _, error = varshift("measure", *MADE, "--out", "same.html", "--report", "same.html")
    assert (code, Path("same.html").exists()) == (2, False)
    assert "--out and --report both name 'same.html'" in error


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("inspect", "net.py:needs", "--input-shape", "8"), "it needs 'width', 'depth'; write a"),
        (("inspect", "net.py:make:more", "--input-shape", "8"), "is no target; write package"),
        (("measure", "net.py:make", "--data", "digits:nope"), "'digits' has the parts train and"),
        (("measure", *MADE, "--checkpoint", "."), "'.' is a folder without weights of TensorFlow"),
        (("predict", *MADE, "--width", "inf"), "error: --width is inf; pass a factor above 0"),
        (("predict", *MADE, "--noise", "1=2"), "--noise '1=2': drop_p is 2.0; pass a probability"),
        (("predict", *MADE, "--noise", "1=beta:2"), "--noise '1=beta:2': beta is 2.0; pass a num"),
        (
            ("measure", *MADE, "--max-samples", "0"),
            "error: --max-samples is 0; it must be",
        ),
        (("measure", *MADE, "--image-size", "0"), "error: --image-size is 0; it must be at least"),
        (("check", "net.py:make", "--input-shape", "8", "--batch-size", "0"), "--batch-size is 0"),
        (("check", *MADE, "--ignore", "VS"), "select and ignore leave no code, so nothing would"),
        (("check", *MADE, "--baseline", ""), "--baseline is empty; give a value, or leave"),
        (("check", *MADE, "--baseline", "."), "--baseline '.' is a folder; name the file in it"),
        (("repair", *MADE, "--method", "best"), "error: --method 'best' is none of auto"),
        (("repair", *MADE, "--seed", str(10**20)), "error: --seed is 100000000000000000000; pass"),
        (("repair", *MADE, "--out", ""), "--out is empty; name a file for the weights"),
        (("demo", "--seed", str(10**20)), "--seed is 100000000000000000000; pass 0 or more"),
        (
            ("measure", "net.py:make", "--data", "net.py"),
            "; name what gives the batches, as in",
        ),
        (("inspect", "./net:make", "--input-shape", "8"), "no module of the path or of this fol"),
        (("explain", *MADE, "--test-data", ""), "error: --test-data is empty; give a file"),
        (("diagnose", *MADE, "--held-out", "nope"), "error: --held-out 'nope' is no file of inp"),
        (("repair", *MADE, "--held-out", "digits:x"), "error: --held-out 'digits:x': 'digits' has"),
        (("demo", "--epochs", "0"), "--epochs is 0; it must be at least 1"),
        (
            ("check", "net.py:make", "--baseline", "a.json", "--write-baseline", "b.json"),
            "give either --baseline, which is read, or --write-baseline",
        ),
    ],
)
def test_a_wrong_option_is_told_with_what_to_write(varshift, arguments, sentence):
    code, out, error = varshift(*arguments)
    assert (code, out) == (2, "")
    assert sentence in error


def test_an_exception_that_is_none_of_pythons_is_no_finding(varshift):
    code, out, error = varshift("inspect", "net.py:odd", "--input-shape", "8")
    assert (code, out) == (3, "")
    assert "error: Odd: of its own kind" in error
    assert "Traceback" not in error


LEAVING = """
import os
import sys

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.drop(x))


class Exits(Net):
    def forward(self, x):
        sys.exit(0)


class Moves(Net):
    def forward(self, x):
        os.chdir("elsewhere")
        return super().forward(x)


def moves():
    os.chdir("elsewhere")
    return Net()


def train():
    return [torch.randn(32, 4) for _ in range(3)]


def exits():
    yield torch.randn(32, 4)
    sys.exit(1)


def goes():
    os.chdir("elsewhere")
    return train()
"""


@pytest.mark.parametrize(
    ("command", "model", "data", "code"),
    [
        *((command, "Exits", "train", 0) for command in ("measure", "check", "inspect")),
        *((command, "Net", "exits", 1) for command in ("measure", "diagnose")),
    ],
)
def test_a_sys_exit_of_the_users_code_is_no_answer(varshift, command, model, data, code):
    Path("leaving.py").write_text(LEAVING, encoding="utf-8")
    given = (f"leaving.py:{model}", "--data", f"leaving.py:{data}")
    ended, out, error = varshift(command, *given)
    assert (ended, out) == (3, "")
    assert f"called sys.exit({code})" in error


@pytest.mark.parametrize(("model", "data"), [("moves", "train"), ("Net", "goes"), ("Net", "train")])
def test_paths_mean_the_folder_the_command_was_started_in(varshift, model, data):
    Path("leaving.py").write_text(LEAVING, encoding="utf-8")
    Path("elsewhere").mkdir()
    here = Path.cwd()
    given = (f"leaving.py:{model}", "--data", f"leaving.py:{data}", "--format", "json")
    code, _, error = varshift("measure", *given, "--out", "found.json")
    assert code == 1, error
    assert Path.cwd() == here
    assert json.loads(Path("found.json").read_text(encoding="utf-8"))["samples"] == 96


def test_a_model_that_changes_the_folder_gives_it_back(varshift):
    Path("leaving.py").write_text(LEAVING.replace('chdir("elsewhere")', 'chdir("/")'), "utf-8")
    here = Path.cwd()
    code, _, error = varshift(
        "measure", "leaving.py:Moves", "--data", "leaving.py:train", "--out", "found.txt"
    )
    assert code == 1, error
    assert (Path.cwd(), Path("found.txt").is_file()) == (here, True)


ENDING = """
import torch


def ends():
    yield torch.randn(32, 8)
    raise EOFError("Ran out of input")


def breaks():
    yield torch.randn(32, 8)
    raise BrokenPipeError(32, "Broken pipe")


def fails():
    yield torch.randn(32, 8)
    raise KeyError("image")
"""


@pytest.mark.parametrize(
    ("data", "said", "line"),
    [
        ("ends", "EOFError: Ran out of input", 7),
        ("breaks", "BrokenPipeError: [Errno 32] Broken pipe", 12),
        ("fails", "KeyError: 'image'", 17),
    ],
)
def test_what_data_raise_is_no_finding(varshift, data, said, line):
    """Typer takes the end of a file and a closed pipe for its own, and ends with 1."""
    Path("ending.py").write_text(ENDING, encoding="utf-8")
    code, out, error = varshift("measure", "net.py:make", "--data", f"ending.py:{data}")
    assert (code, out) == (3, "")
    assert f"error: {said} (raised by the data while batch 1 was fetched, at " in error
    assert f"ending.py:{line}; --debug shows all)" in error


LONG = "x" * 300  # longer than names may be, at which pathlib raises


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--data", LONG), 2, "is no file of inputs"),
        (("--data", f"{LONG}.npy"), 3, "cannot be read (File name too long)"),
        (("--data", f"{LONG}:train"), 2, "there is no module"),
        (("--data", "cifar10", "--root", f"{LONG}.npz"), 3, "(File name too long)"),
        (("--checkpoint", LONG), 2, "(File name too long)"),
        (("--checkpoint", f"{LONG}.pt#ema"), 2, "(File name too long)"),
        (("--forward", f"{LONG}.py:take"), 2, "(File name too long)"),
        (("--out", LONG), 2, "cannot be written (File name too long)"),
        (("--report", f"{LONG}.html"), 2, "cannot be written (File name too long)"),
    ],
)
def test_a_name_longer_than_names_may_be(varshift, arguments, code, said):
    given = () if "--data" in arguments else ("--data", "net.py:train")
    ended, out, error = varshift("measure", "net.py:make", *given, *arguments)
    assert (ended, out) == (code, "")
    assert said in error
    assert "shows where" not in error


@pytest.mark.parametrize("target", [LONG, f"{LONG}.py:make", f"{LONG}:make", f"hf:./{LONG}"])
def test_a_target_longer_than_names_may_be(varshift, target):
    code, out, error = varshift("inspect", target, "--input-shape", "8")
    assert (code, out) == (2, "")
    assert "shows where" not in error


def test_a_folder_without_a_right_is_refused_before_any_work(varshift, monkeypatch):
    right = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.R_OK and right(path, mode))
    for out in ("found.json", "found.html"):
        code, _, error = varshift("measure", "net.py:none", "--data", "x.npy", "--out", out)
        assert code == 2
        assert "cannot be written (no right to write into its folder)" in error
    given = ("net.py:none", "--data", "x.npy", "--out", "fixed.pt")
    code, _, error = varshift("recalibrate", *given)
    assert code == 2
    assert "'fixed.pt' cannot be written (no right to write into its folder)" in error


def test_a_file_without_a_right_is_said(varshift, monkeypatch):
    Path("weights.pt").write_bytes(b"held")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).suffix == ".py")
    code, _, error = varshift("measure", *MADE, "--checkpoint", "weights.pt")
    assert code == 3
    assert "'weights.pt' cannot be read (no right to)" in error
