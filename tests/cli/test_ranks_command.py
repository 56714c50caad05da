"""One command on two gloo ranks: one answer, one error, one exit code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest
import torch

from varshift._cli.ranks import Ending, SeveralProcesses

NETS = """
import os
import numpy as np
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Dropout(0.5), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.BatchNorm1d(4)
    )
    return net.double()

def another_on_each():
    net = make()
    with torch.no_grad():
        net[1].weight.mul_(1 + int(os.environ["RANK"]))
    return net

def missing_on_one():
    if os.environ["RANK"] == "1":
        raise OSError("no such share")
    return make()

x = torch.from_numpy(np.load("x.npy"))
batches = list(x.split(32))

class Breaks:
    def __iter__(self):
        yield from batches[:3]
        if os.environ.get("RANK") == "1":
            raise OSError("disk gone")
        yield from batches[3:]

breaks = Breaks()
"""
ENVIRONMENT = {"NO_COLOR": "1", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


@pytest.fixture
def here(tmp_path):
    (tmp_path / "net.py").write_text(NETS)
    x = np.random.default_rng(0).normal(size=(300, 6)) * 3 + 1
    np.save(tmp_path / "x.npy", x)
    return tmp_path


def command(*arguments):
    return [sys.executable, "-m", "varshift", *arguments]


# Several commands by one process, each as if by a process of its own: torch is imported once.
DRIVER = """
import contextlib, io, json, os, sys
from varshift._cli import main

ended = []
for arguments, port in json.loads(sys.argv[1]):
    os.environ["MASTER_PORT"] = str(port)
    sys.argv = ["varshift", *arguments]
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as leaving:
        ended.append((leaving.code, out.getvalue(), err.getvalue()))
print(json.dumps(ended))
"""


def alone(here, *arguments):
    environment = os.environ | ENVIRONMENT
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=120, cwd=here, env=environment
    )


def on_two(here, *commands):
    """By command, the outcomes of both ranks, as (exit code, standard output, standard error)."""
    with ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in commands]
        for each in free:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in free]
    asked = json.dumps(list(zip(commands, ports, strict=True)))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", DRIVER, asked],
            stdout=subprocess.PIPE,
            text=True,
            cwd=here,
            env=os.environ
            | ENVIRONMENT
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"},
        )
        for rank in range(2)
    ]
    try:
        ended = [json.loads(each.communicate(timeout=170)[0]) for each in started]
    finally:
        for each in started:
            each.kill()
    return list(zip(*ended, strict=True))


def close(found, wanted, place=""):
    """The same JSON, floats within what the order of a sum may change."""
    assert type(found) is type(wanted), place
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), place
        for key in wanted:
            close(found[key], wanted[key], f"{place}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), place
        for at, pair in enumerate(zip(found, wanted, strict=True)):
            close(*pair, f"{place}.{at}")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12), place
    else:
        assert found == wanted, place


def test_torchrun_gives_what_one_process_gives(here):
    asked = ("recalibrate", "net.py:make", "--data", "x.npy", "--batch-size", "32")
    asked = (*asked, "--format", "json", "--out")
    one = alone(here, *asked, "one.pt")
    assert one.returncode == 0, one.stderr
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    two = subprocess.run(
        [*launcher, "--nproc-per-node", "2", "-m", "varshift", *asked, "two.pt"],
        capture_output=True,
        text=True,
        timeout=150,
        cwd=here,
        env=os.environ | ENVIRONMENT,
    )
    assert two.returncode == 0, two.stderr
    close(json.loads(two.stdout), json.loads(one.stdout))
    assert two.stderr.count("the recalibrated weights are in two.pt") == 1
    assert len(list(here.glob("*.pt"))) == 2
    found, wanted = torch.load(here / "two.pt"), torch.load(here / "one.pt")
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-9, atol=1e-12)


def test_measure_of_a_loader(here):
    asked = ("measure", "net.py:make", "--data", "net.py:batches", "--format", "json")
    asked = (*asked, "--max-samples", "256")
    one = json.loads(alone(here, *asked).stdout)
    (((code, out, err), (other, nothing, silence)),) = on_two(here, asked)
    assert (code, other) == (1, 1), err  # findings, on both
    assert (nothing, silence) == ("", "")
    two = json.loads(out)
    assert (two["samples"], two["batches"]) == (one["samples"], one["batches"]) == (256, 8)
    assert two["sites"].keys() == one["sites"].keys()
    for path, site in one["sites"].items():
        close(two["sites"][path]["test"], site["test"])
        close(two["sites"][path]["stored"], site["stored"])
        # Masks are drawn anew on every rank: the shift is the same within its error.
        apart = two["sites"][path]["shift"] - site["shift"]
        assert abs(apart) < 5 * (two["sites"][path]["shift_se"] + site["shift_se"])


def test_diagnose_of_a_loader(here):
    asked = ("diagnose", "net.py:make", "--data", "net.py:batches", "--format", "json")
    one = json.loads(alone(here, *asked).stdout)
    (((code, out, err), (other, nothing, silence)),) = on_two(here, asked)
    assert (code, other) == (1, 1), err
    assert (nothing, silence) == ("", "")
    two = json.loads(out)
    for name in ("verdict", "grade", "samples", "batches", "passes"):
        assert two[name] == one[name], name
    assert [each["line"] for each in two["causes"]] == [each["line"] for each in one["causes"]]
    commands = [[step["command"] for step in told["advice"]] for told in (one, two)]
    assert commands[0] == commands[1]


ERRORS = {
    ("net.py:make", "--data", "y.npy"): (3, "error: there is no file 'y.npy'"),
    ("net.py:mak", "--data", "x.npy"): (2, "error: 'net.py' has no 'mak'; it has make"),
    ("net.py:missing_on_one", "--data", "x.npy"): (3, "rank 1: error: 'net.py:missing_on_one'"),
    ("net.py:another_on_each", "--data", "x.npy"): (3, "rank 1 holds other weights than rank"),
    ("net.py:make", "--data", "net.py:breaks"): (3, "rank 1: error: OSError: disk gone"),
    ("net.py:make",): (2, "Missing option '--data'"),
}


def test_an_error_ends_all_and_is_said_once(here):
    commands = [("recalibrate", *arguments, "--out", "a.pt") for arguments in ERRORS]
    no_ranks = ("theory", "direct", "--drop-p", "0.5", "--mean", "0", "--var", "1")
    *ended, last = on_two(here, *commands, no_ranks)
    for (code, said), ((first, out, err), (second, nothing, silence)) in zip(
        ERRORS.values(), ended, strict=True
    ):
        assert (first, second) == (code, code), err + silence
        assert said in err
        assert err.count("error:") <= 1
        assert (out, nothing, silence) == ("", "", "")
    assert not (here / "a.pt").exists()
    (code, out, _), other = last  # what needs no ranks is run by the first alone
    assert code == 0
    assert "Δ" in out
    assert other == [0, "", ""]


class Store(dict):
    def wait(self, keys, patience):
        assert all(key in self for key in keys), "it would wait for ever"

    def get(self, key):
        return self[key]

    def set(self, key, value):
        self[key] = value


@pytest.mark.parametrize(
    ("endings", "wanted"),
    [
        ((Ending(0), Ending(0)), Ending(0)),
        ((Ending(1), Ending(1)), Ending(1)),
        ((Ending(3, "error: a", True), Ending(2, "error: b")), Ending(2, "rank 1: error: b")),
        ((Ending(3, "error: a"), Ending(3, "error: a")), Ending(3, "error: a")),
        ((Ending(3, "error: a"), Ending(3, "error: b")), Ending(3, "rank 0: error: a")),
    ],
)
def test_one_ending_for_all(endings, wanted):
    store = Store()
    ranks = [SeveralProcesses(store, rank, 2) for rank in range(2)]
    with pytest.raises(AssertionError, match="wait for ever"):
        ranks[0].settled(endings[0])
    assert ranks[1].settled(endings[1]) == wanted
    assert ranks[0].settled(endings[0]) == wanted
