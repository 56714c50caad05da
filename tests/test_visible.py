"""Names of other people's modules, wherever they are shown, move, hide and command nothing."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

import varshift as vs
from varshift._cli.output import say
from varshift._cli.root import main
from varshift._draw import fragment, sarif, workflow_commands
from varshift._visible import flat, harmless, visible
from varshift.results.structure import Line
from varshift.testing import assert_no_variance_shift

EVIL = "\x1b[2J\x07\r\u202e::error::\n::warning::a\u2028##[error]b\x9b31m\u2066"
# Control characters, directions, line and paragraph separators: none of them may be shown.
HARM = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)


class Evil(nn.BatchNorm1d):
    pass


Evil.__name__ = Evil.__qualname__ = f"Norm{EVIL}"


def net():
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module(f"::drop{EVIL}", nn.Dropout(0.5))
    model.add_module(f"::norm{EVIL}", Evil(3))
    model.add_module("head", nn.Linear(3, 2))
    return model


def data():
    return torch.randn(320, 3, generator=torch.Generator().manual_seed(0)).split(32)


VERBS = {
    "inspect": lambda: vs.inspect(net(), data()[0]),
    "measure": lambda: vs.measure(net(), data()),
    "explain": lambda: vs.explain(net(), data()),
    "predict": lambda: vs.predict(net(), data()),
    "check": lambda: vs.check(net(), data()[0]).at(Line(f"{EVIL}.py", 3, EVIL, EVIL)),
    "repair": lambda: vs.repair(net(), data(), method="recalibrate"),
    "recalibrate": lambda: vs.recalibrate(net(), data()),
}


@pytest.fixture(scope="module")
def results():
    return {}


@pytest.fixture(params=VERBS)
def result(request, results):
    if request.param not in results:
        results[request.param] = VERBS[request.param]()
    return results[request.param]


@pytest.mark.parametrize("width", [40, 80, 300])
def test_a_terminal(result, width):
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as held:
        console.print(result.table())
    assert not HARM.search(held.get())
    assert not HARM.search(repr(result))
    assert "\n" not in repr(result)


def test_a_notebook(result):
    assert not HARM.search(fragment(result))


def test_a_page(result, tmp_path):
    page = result.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert not HARM.search(page.replace("\t", " "))


def test_a_failed_assertion():
    with pytest.raises(AssertionError) as caught:
        assert_no_variance_shift(net(), data()[0])
    assert not HARM.search(str(caught.value))
    assert all(re.match(r"\d+ above|  ", line) for line in str(caught.value).splitlines())


def test_a_plot(results):
    ax = (results.get("measure") or VERBS["measure"]()).plot()
    labels = [*ax.get_xticklabels(), *ax.get_yticklabels()]
    assert not any(HARM.search(label.get_text()) for label in labels)


def test_commands_and_sarif():
    found = VERBS["check"]()
    assert len(found)
    text = workflow_commands(found, Path.cwd())
    assert not HARM.search(text)
    assert "##[" not in text
    assert all(re.match("::(warning|notice) [^:]*::", line) for line in text.splitlines())
    (run,) = sarif(found, Path.cwd())["runs"]
    for one in run["results"]:
        assert not HARM.search(one["message"]["text"])
        names = [each["fullyQualifiedName"] for each in one["locations"][0]["logicalLocations"]]
        assert not HARM.search("".join(names))


MODULE = f"""
import torch
from torch import nn
EVIL = {EVIL!r}
def make():
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("::drop" + EVIL, nn.Dropout(0.5))
    model.add_module("::norm" + EVIL, nn.BatchNorm1d(3))
    return model
class Raising(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
    def forward(self, x):
        raise RuntimeError(EVIL)
def data():
    return [torch.randn(64, 3) for _ in range(4)]
def torn():
    yield torch.randn(64, 3)
    raise RuntimeError(EVIL)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "make", "--input-shape", "3"),
        ("check", "make", "--input-shape", "3", "--format", "github"),
        ("check", "make", "--input-shape", "3", "--format", "json"),
        ("check", "make", "--input-shape", "3", "--fix", "-"),
        ("measure", "make", "--data", "evil.py:data"),
        ("inspect", "make", "--input-shape", "3"),
        ("measure", "Raising", "--data", "evil.py:data"),
        ("measure", "make", "--data", "evil.py:torn"),
    ],
    ids=lambda arguments: "-".join(arguments).replace(":", "."),
)
def test_the_command_line(arguments, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(MODULE, encoding="utf-8")
    command, made, *more = arguments
    monkeypatch.setattr(sys, "argv", ["varshift", command, f"evil.py:{made}", *more])
    with pytest.raises(SystemExit):
        main()
    held = capsys.readouterr()
    for text in held:
        assert not HARM.search(text)
    assert not COMMAND.search(held.err)
    if "github" in arguments:
        lines = held.out.splitlines()
        assert all(re.match("::(warning|notice) [^:]*::", line) for line in lines)
        assert "##[" not in held.out
    else:
        assert not COMMAND.search(held.out)
    if "json" in arguments:
        assert json.loads(held.out)["findings"][0]["place"] == f"::norm{EVIL}"


def test_texts():
    assert visible("plain é 卷积 🙂") == "plain é 卷积 🙂"
    assert visible("a\nb\tc\x1b") == "a\nb\\tc\\x1b"
    assert flat("a\nb\u2029\u200b") == "a\\nb\\u2029\\u200b"
    assert visible(3.5) == 3.5
    assert harmless("x ::y::\n  ::z::\n##[a]") == "x ::y::\n  \\x3a:z::\n#\\u0023[a]"
    assert json.loads(harmless(json.dumps(["##[a]"]))) == ["##[a]"]


def test_what_is_said_stays_one_message(capsys):
    say("error: a\n::error::b\nnote: c\x1b[2J")
    assert capsys.readouterr().err == "error: a\n  \\x3a:error::b\n  note: c\\x1b[2J\n"
