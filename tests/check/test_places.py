"""Lines that are in no file: FX graphs, exec, notebooks. And whose a file is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn

import varshift as vs
from varshift._check.own import Ground, is_library
from varshift._draw import sarif, workflow_commands
from varshift.results.edits import SourceText, TextEdit
from varshift.results.structure import Line, in_a_file

HERE = Path(__file__).parent
X = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
BODY = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(F.dropout(x, 0.5, self.training))
"""


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(F.dropout(x, 0.5, self.training))


def typed():
    held = {"nn": nn, "F": F, "__name__": "__main__typed"}
    exec(compile(BODY, "<string>", "exec"), held)
    return held["Net"]()


def cell():
    held = {"nn": nn, "F": F, "__name__": "__main__cell"}
    exec(compile(BODY, "/tmp/ipykernel_1/123.py", "exec"), held)
    return held["Net"]()


def graph():
    return fx.symbolic_trace(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8)))


MADE = {"fx": graph, "exec": typed, "notebook": cell}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_a_line_in_no_file_is_not_pointed_at(made):
    found = vs.check(made(), X)
    (f,) = found
    assert not in_a_file(f.line)
    (result,) = sarif(found, HERE)["runs"][0]["results"]
    assert "physicalLocation" not in result["locations"][0]
    said = workflow_commands(found, HERE)
    assert said.startswith("::warning title=VS101 ")
    assert f"(drawn at {f.line})" in said
    factory = Line(__file__, 3, "make", "")
    assert found.at(factory).findings[0].line == factory
    assert found.at(None).findings[0].line == f.line
    (result,) = sarif(found.at(factory), HERE)["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == Path(__file__).name


def test_a_line_in_a_file_stays():
    found = vs.check(Net(), X)
    assert found.at(Line("elsewhere.py", 1, "f", "")) == found
    assert found.findings[0].line.file == __file__


def test_a_path_by_detours_is_said_straight():
    found = vs.check(Net(), X)
    line = Line(os.path.join(HERE, "..", HERE.name, "test_places.py"), 7, "f", "")
    moved = replace(found, findings=(replace(found.findings[0], line=line),))
    assert f"(drawn at {__file__}:7)" in workflow_commands(moved, HERE / "nowhere")


def test_whose_a_file_is(tmp_path, monkeypatch):
    assert is_library(torch.__file__)
    assert is_library(os.__file__)
    assert not is_library(str(tmp_path / "net.py"))
    inner = tmp_path / "repository" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    alone, whole = Ground.around(None), Ground.around(tmp_path / "repository")
    beside, away = str(tmp_path / "repository" / "net.py"), str(tmp_path / "net.py")
    assert [whole.holds(file) for file in ("net.py", beside, away)] == [True, True, False]
    assert [alone.holds(file) for file in ("net.py", beside, away)] == [True, False, False]
    assert not whole.holds(str(inner / ".venv" / "lib" / "site-packages" / "net.py"))


def test_a_diff_names_files_from_where_it_is_applied(tmp_path, monkeypatch):
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    ground = Ground.around(tmp_path)

    def source(file):
        return SourceText(file, "a\n", (TextEdit(0, 1, "b"),))

    diff, folder = ground.diff([source("../inner/net.py"), source(str(inner / "net.py"))])
    assert (diff.count("+++ net.py"), folder) == (1, inner.resolve())
    diff, folder = ground.diff([source("net.py"), source("../net.py")])
    assert ("+++ inner/net.py" in diff, "+++ net.py" in diff) == (True, True)
    assert folder == tmp_path.resolve()
