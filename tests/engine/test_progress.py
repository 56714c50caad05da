"""Progress: a callback counts one unit, a bar says what is being done, and a pipe gets nothing."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

import varshift as vs
from problems.notebooks import executed
from problems.settling import settled
from varshift._draw.progress import Bar
from varshift._engine.progress import batches_in_all, reporter

pty = pytest.importorskip("pty", reason="no pseudo-terminals here")


class Slow(nn.Module):
    """Noise and norms, each forward of the first layer taking its time."""

    def __init__(self, pause=0.0):
        super().__init__()
        self.pause = pause
        self.layers = nn.Sequential(
            *(nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4), nn.BatchNorm1d(4)) for _ in range(3))
        )

    def forward(self, x):
        time.sleep(self.pause)
        return self.layers(x)


class Loader:
    """Batches that say how many they are."""

    def __init__(self, count=6):
        self.batches = [torch.randn(8, 4) for _ in range(count)]

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


class Drawn:
    """A bar that remembers: labels in order, and the counts under each."""

    def __init__(self, label, after):
        self.after = after
        self.phases = [(label, [])]

    def __call__(self, done, total):
        self.phases[-1][1].append((done, total))

    def begin(self, label):
        self.phases.append((label, []))

    say = begin

    def close(self):
        self.closed = True

    @property
    def labels(self):
        return [label for label, _ in self.phases if label]


@pytest.fixture
def drawn(monkeypatch):
    made = []

    def bar(label="", after=0.0):
        made.append(Drawn(label, after))
        return made[-1]

    monkeypatch.setattr("varshift._draw.bar", bar)
    return made


def labelled():
    g = torch.Generator().manual_seed(0)
    return [(torch.randn(16, 4, generator=g), torch.arange(16) % 4) for _ in range(8)]


VERBS = {
    "inspect": (lambda **o: vs.inspect(Slow(), torch.randn(4, 4), **o), ["tracing modules"]),
    "measure": (lambda **o: vs.measure(Slow(), Loader(), **o), ["tracing modules", "measuring"]),
    "explain": (
        lambda **o: vs.explain(Slow(), Loader(), test_data=Loader(), **o),
        [
            *("reading data", "tracing modules", "comparing training and evaluation"),
            *("silencing each noise", "test data"),
        ],
    ),
    "predict": (
        lambda **o: vs.predict(Slow(), Loader(), noise={"*": 0.2}, **o),
        ["tracing modules", "predicting", "evaluating under the noise asked for"],
    ),
    "predict without data": (
        lambda **o: vs.predict(Slow(), example=torch.randn(4, 4), noise={"*": 0.2}, **o),
        ["tracing modules", "predicting module by module"],
    ),
    "footprint": (
        lambda **o: vs.footprint(settled(Slow(), Loader(), 40), Loader(), **o),
        [
            *("reading data", "finding where noise may stand"),
            "fitting the noise, at most 24 passes",
        ],
    ),
    "recalibrate": (
        lambda **o: vs.recalibrate(Slow(), Loader(), **o),
        ["reading data", "recalibrating"],
    ),
    "repair": (
        lambda **o: vs.repair(Slow(), labelled(), method="recalibrate", **o),
        [
            *("reading data", "dealing out samples", "tracing modules", "making ready"),
            *("judging the model as trained", "finding recalibrate", "judging recalibrate"),
        ],
    ),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_bar_says_what_is_being_done_and_how_much_of_it(drawn, verb):
    run, labels = VERBS[verb]
    run(progress=True)
    (bar,) = drawn
    assert bar.labels[: len(labels)] == labels
    assert bar.closed
    for label, counts in bar.phases:
        done = [count for count, _ in counts]
        assert done == sorted(done), label
        assert all(total is not None and count <= total for count, total in counts), label
    assert bar.after == (2 if verb in ("inspect", "predict without data") else 0)


@pytest.mark.parametrize("verb", VERBS)
def test_a_callback_counts_in_one_unit_up_to_the_end(verb):
    seen = []
    VERBS[verb][0](progress=lambda done, total: seen.append((done, total)))
    done = [count for count, _ in seen]
    assert done == sorted(set(done)) or verb == "footprint"
    assert all(isinstance(count, int) and count <= total for count, total in seen)
    if verb not in ("footprint", "repair"):  # which may be done sooner
        assert seen[-1][0] == seen[-1][1]


def test_modules_are_counted_while_the_pass_runs(drawn):
    vs.inspect(Slow(), torch.randn(4, 4), progress=True)
    (_, counts), *_ = drawn[0].phases
    assert counts == [(count, 9) for count in range(1, 10)]  # containers not among them


def test_a_callback_neither_draws_nor_raises_inside_the_traced_pass():
    def stop(done, total):
        torch.rand(3)
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):  # not a ModelError: the model did nothing wrong
        vs.inspect(Slow(), torch.randn(4, 4), progress=stop)


def test_a_footprint_moves_within_a_pass(drawn):
    VERBS["footprint"][0](progress=True)
    counts = dict(drawn[0].phases)["fitting the noise, at most 24 passes"]
    assert counts[0] == (pytest.approx(1 / 6), 24)


def test_a_verb_inside_a_verb_draws_but_does_not_call_back(drawn):
    seen = []
    with reporter(lambda *count: seen.append(count)) as report:
        vs.inspect(Slow(), torch.randn(4, 4), progress=report.inner)
    assert seen == []
    with reporter(True, "outside") as report:
        vs.inspect(Slow(), torch.randn(4, 4), progress=report.inner)
    assert [bar.labels for bar in drawn] == [["outside", "tracing modules"]]


def test_batches_in_all():
    data = torch.randn(40, 3).split(8)

    class Two:
        samples = 8

    assert batches_in_all(data, None, 1, Two) == 5
    assert batches_in_all(data, 17, 1, Two) == 3
    assert batches_in_all(data, 1000, 1, Two) == 5
    assert batches_in_all(data, 17, 4, Two) == 4  # the others were smaller
    assert batches_in_all(iter(data), 17, 1, Two) is None


# The bar itself ----------------------------------------------------------------------------------


def screen(**kind):
    return Console(file=io.StringIO(), width=80, color_system=None, **kind)


def test_a_phase_is_counted_and_timed_anew():
    console = screen(force_terminal=True)
    running = Bar("reading [data]", console)
    now = [0.0]  # seconds
    running._progress.get_time = lambda: now[0]
    for done in range(1, 41):
        now[0] += 0.005
        running(done, 40)
    running._progress.refresh()
    running.begin("measuring")
    running._progress.refresh()
    task = running._progress.tasks[0]
    assert (task.completed, task.total, task.time_remaining) == (0, None, None)
    running(1, 40)
    now[0] += 0.2
    running(2, 40)
    assert task.time_remaining == 8  # 38 × 0.2, by the pace of this phase, not of the last
    running.close()
    text = console.file.getvalue()
    assert re.search(r"reading \[data\] \S+ 40/40", text)
    assert re.search(r"measuring [^/]+ 0:00:00 so far", text)  # nothing to count yet: no 0/?


def test_a_bar_that_waits_leaves_what_is_quick_alone():
    console = screen(force_terminal=True)
    quick = Bar("tracing", console, after=30)
    quick(1, 2)
    quick.close()
    assert console.file.getvalue() == ""
    assert not quick._timer.is_alive()
    slow = Bar("tracing", console, after=0.05)
    slow._timer.join(60)  # no call comes: the one that is under way is what takes so long
    slow.close()
    assert "tracing" in console.file.getvalue()


def test_a_pipe_gets_no_bar():
    piped = screen(force_jupyter=False)
    quiet = Bar("x", piped, after=0.01)
    quiet(1, 2)
    time.sleep(0.05)
    quiet.close()
    assert piped.file.getvalue() == ""


SLOW = """
import time, torch, varshift as vs
class Slow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3)
    def forward(self, x):
        time.sleep(0.05)
        return self.norm(self.drop(x))
m = vs.measure(Slow(), torch.randn(200, 3).split(10), progress=True)
"""


def test_a_notebook_is_left_without_a_trace_of_progress():
    """Executed as nbconvert does: one output at most, and nothing in it."""
    pytest.importorskip("nbclient", reason="no nbclient; pip install '.[dev]'")
    (cell,), shown = executed(SLOW)
    assert any("measuring ━" in text and " s left" in text for text in shown)
    (left,) = cell["outputs"]
    assert left["data"] == {"text/plain": ""}


# On a terminal -----------------------------------------------------------------------------------

COMMANDS = {
    "inspect": ("inspect", "--input-shape", "4"),
    "predict": ("predict", "--input-shape", "4"),
    "measure": ("measure", "--data", "slow_net:data"),
}
NET = """
import sys, torch
sys.path.insert(0, {tests!r})
from engine.test_progress import Slow
def net(): return Slow(3.0)
def data(): return [torch.randn(8, 4) for _ in range(2)]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "slow_net.py").write_text(NET.format(tests=str(Path(__file__).parents[1])))
    return tmp_path


def command(name):
    verb, *rest = COMMANDS[name]
    return [sys.executable, "-m", "varshift", verb, "slow_net:net", *rest, "--exit-zero"]


@pytest.mark.parametrize("name", COMMANDS)
def test_on_a_terminal_slow_commands_show_a_bar(folder, name):
    handle, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "TERM": "xterm"}
    with subprocess.Popen(
        command(name), cwd=folder, stdout=subprocess.DEVNULL, stderr=theirs, env=environment
    ) as running:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(handle, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
    os.close(handle)
    assert running.returncode == 0
    assert b"tracing modules" in shown
    assert "━" in shown.decode(errors="replace")


def test_piped_it_prints_nothing(folder):
    done = subprocess.run(command("inspect"), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""


def test_check_tells_its_batches_and_draws_every_phase():
    told = []
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    data = 3 + torch.randn(40, 3, generator=torch.Generator().manual_seed(0))  # Δ is 0.1 or so
    found = vs.check(
        net,
        data=data.split(10),
        progress=lambda done, total: told.append((done, total)),
    )
    assert found
    assert told == [(4, 4)]
