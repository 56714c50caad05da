"""From findings to a patch that a real tool takes."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._check.fixing import fix
from varshift._check.places import class_line, factory_line
from varshift._loading import load_model
from varshift._rewrite.constructing import constructions

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
    assert (made.diff, made.steps) == ("", ("no finding comes from noise that could be changed",))


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


BLOCKS = """\
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(p), nn.BatchNorm1d(8))

    def forward(self, x):
        return self.body(x)


class Net(nn.Module):
    def __init__(self, second=0.5):
        super().__init__()
        self.drop, self.norm = nn.Dropout(), nn.BatchNorm1d(8)
        self.blocks = nn.Sequential(Block(0.5), Block(second))
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.blocks(self.norm(self.drop(x))))


def uneven():
    return Net(0.001)


def silent():
    return Net(0.0)
"""


@pytest.fixture
def blocks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(BLOCKS, encoding="utf-8")

    def factory(name="Net"):
        torch.manual_seed(0)
        with constructions() as built:
            return load_model(f"net.py:{name}"), built

    return factory


def applied(made, folder):
    subprocess.run(["git", "apply", "-p0"], input=made.diff.encode(), cwd=folder, check=True)
    return (folder / "net.py").read_text(encoding="utf-8")


def test_layers_are_patched_where_they_are_constructed(blocks, tmp_path):
    net, built = blocks()
    found = vs.check(net, X)
    assert found
    made = fix(net, found, X, built=built)
    text = applied(made, tmp_path)
    assert "nn.ReLU(), nn.Dropout(0.0), nn.BatchNorm1d(8)" in text
    assert "self.drop, self.norm = nn.Dropout(p=0.0), nn.BatchNorm1d(8)" in text
    assert [step for step in made.steps if "where it is constructed" in step] == []
    assert any(step.endswith("the new number holds for every such layer") for step in made.steps)
    fixed, _ = blocks()
    assert not vs.check(fixed, X)
    fixed.load_state_dict(net.state_dict(), strict=True)


@pytest.mark.parametrize("how", ["uout", "gaussian", "dropout", "channel"])
def test_less_noise_where_layers_are_constructed(blocks, tmp_path, how):
    net, built = blocks()
    made = fix(net, vs.check(net, X), X, how=how, built=built)
    applied(made, tmp_path)
    fixed, _ = blocks()
    worst = max(f.severity for f in vs.check(fixed, X, max_severity=1.0))
    assert worst < 1.4  # each norm 1.1 of its own; three in a row carry some on
    assert max(f.severity for f in vs.check(net, X)) > 2


def test_one_constructor_of_several_layers(blocks, tmp_path):
    net, built = blocks("uneven")
    found = vs.check(net, X, select=["VS101"], per_module_ignores={"blocks.1.*": ["VS"]})
    made = fix(net, found, X, built=built)
    assert (
        "blocks.0.body.2: Dropout(p=0.5, inplace=False) → Dropout(p=0.0, inplace=False), but "
        "net.py:8 constructs 'blocks.1.body.2' too, which stays as it is: by hand" in made.steps
    )
    assert "nn.Dropout(p)" in applied(made, tmp_path)
    net, built = blocks("silent")
    assert "nn.Dropout(p)" not in applied(fix(net, vs.check(net, X), X, built=built), tmp_path)


def test_what_was_silenced_is_not_fixed(blocks, tmp_path):
    net, built = blocks()
    found = vs.check(net, X, per_module_ignores={"norm": ["VS"], "drop": ["VS"]})
    text = applied(fix(net, found, X, built=built), tmp_path)
    assert "self.drop, self.norm = nn.Dropout(), nn.BatchNorm1d(8)" in text
    assert "nn.Dropout(0.0)" in text


def test_constructors_that_no_patch_reaches(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "from functools import partial\n"
        "from torch import nn\n\n\n"
        "half = partial(nn.Dropout, 0.5)\n\n\n"
        "def make():\n"
        "    return nn.Sequential(half(), nn.BatchNorm1d(8))\n",
        encoding="utf-8",
    )
    with constructions() as built:
        net = load_model("net.py:make")
    made = fix(net, vs.check(net, X), X, built=built)
    assert made.diff == ""
    assert any("net.py:9: half() is no plain constructor" in step for step in made.steps)
    outside = fix(net, vs.check(net, X), X)
    assert "0: Dropout(p=0.5, inplace=False) → Dropout(p=0.0, inplace=False), where it is " in (
        " ".join(outside.steps)
    )


def test_noise_that_reaches_no_norm_gets_a_sentence():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(8, 64), nn.Dropout(0.8), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    net[-1].weight.data.abs_()  # what the nonlinearity moves adds up
    found = vs.check(net, X)
    assert [f.code for f in found] == ["VS301"]
    for how in ("relocate", "gaussian"):
        made = fix(net, found, X, how=how)
        assert made.diff == ""
        assert made.steps == (
            "1: it moves an output and reaches no norm; put it behind the last nonlinearity",
        )
    both = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8), *net)
    made = fix(both, vs.check(both, X), X)
    assert any(step.startswith("0: Dropout(p=0.5") for step in made.steps)
    assert any(step.startswith("3: it moves an output") for step in made.steps)


def test_a_subclass_keeps_its_other_arguments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\nclass Drop(nn.Dropout):\n"
        "    def __init__(self, size, p=0.5):\n        super().__init__(p)\n\n\n"
        "def make():\n    return nn.Sequential(Drop(64), nn.BatchNorm1d(8), Drop(64, 0.2),"
        " nn.BatchNorm1d(8))\n",
        encoding="utf-8",
    )
    with constructions() as built:
        net = load_model("net.py:make")
    text = applied(fix(net, vs.check(net, X), X, built=built), tmp_path)
    ast.parse(text)
    assert "Drop(64, p=0.0), nn.BatchNorm1d(8), Drop(64, 0.0)" in text
