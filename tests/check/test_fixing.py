"""From findings to a patch that a real tool takes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
import torch
from torch import nn

import varshift as vs
from varshift.check.fixing import fix
from varshift.check.places import class_line, factory_line

NET = """\
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.stem = nn.Dropout(0.4), nn.Linear(8, 8)
        self.norm, self.head = nn.BatchNorm1d(8), nn.Linear(8, 2)

    def forward(self, x):
        x = F.dropout(self.stem(self.drop(x)), 0.5, self.training)
        return self.head(self.norm(x))


def make():
    return Net()


made = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8))
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("fixed_net", tmp_path / "net.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fixed_net", module)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec.loader.exec_module(module)
    return module.Net()


X = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))


def test_functional_noise_is_a_diff_and_layers_are_sentences(net, tmp_path):
    found = vs.check(net, X)
    # Two noises on top of each other follow no closed form: one finding names the nearer.
    assert [(f.code, f.how) for f in found] == [("VS101", "sampled")]
    before = str(net)
    made = fix(net, found, X)
    assert str(net) == before  # nothing is changed here
    assert "drop: Dropout(p=0.4, inplace=False) → Dropout(p=0.0, inplace=False), where it is" in (
        " ".join(made.steps)
    )
    assert any(step.startswith("head: put Dropout(p=0.5) right before it") for step in made.steps)
    subprocess.run(["git", "apply", "-p0"], input=made.diff.encode(), cwd=tmp_path, check=True)
    text = (tmp_path / "net.py").read_text(encoding="utf-8")
    assert "F.dropout" not in text
    assert "x = self.stem(self.drop(x))" in text


def test_less_noise_of_another_law(net):
    net.drop.p = 0.0
    found = vs.check(net, X)
    made = fix(net, found, X, how="uout", data=[X] * 4)
    assert "+        x = varshift.nn.functional.uout(" in made.diff
    with pytest.raises(vs.UsageError, match="'magic' is none of relocate"):
        fix(net, found, X, how="magic")


def test_nothing_to_fix_and_noise_of_a_library():
    clean = nn.Sequential(nn.BatchNorm1d(8, momentum=0.0))
    found = vs.check(clean, 3 * X)
    assert [f.code for f in found] == ["VS201"]
    made = fix(clean, found, X)
    assert (made.diff, made.steps) == ("", ("nothing found that another noise would change",))


def test_places(net, tmp_path):
    line = class_line(net, "norm")
    assert (line.number, line.function) == (5, "Net")
    assert class_line(nn.Sequential(nn.BatchNorm1d(8)), "0") is None
    assert factory_line("net.py:make").number == 16
    assert factory_line("net.py:made").number == 20
    assert factory_line("net.py:nobody") is None
    assert factory_line("no.such.module:f") is None
    found = vs.check(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8)), X)
    assert found.findings[0].line is None
    assert found.at(factory_line("net.py:made")).findings[0].line.number == 20
