from __future__ import annotations

import builtins
import copy
import html
import io
import json
import subprocess
import sys

import pytest
import torch
from rich.console import Console
from torch import nn

import varshift as vs
from problems.noisy_nets import Conv
from problems.settling import settled
from varshift._draw import bar


def drawn(result):
    console = Console(width=80, file=io.StringIO(), no_color=True)
    console.print(result.table())
    return console.file.getvalue()


def far(out, batch):
    """A loss that says which sample it is of, whatever the model does: nothing can help."""
    return batch[1].float()


@pytest.fixture(scope="module")
def results():
    torch.manual_seed(0)
    net = Conv()
    x = torch.randn(40, 3, 12, 12)
    return {
        "structure": vs.inspect(net, x[:2]),
        "measurement": vs.measure(net, x.split(8)),
        "explanation": vs.explain(net, x.split(8)),
        "prediction": vs.predict(net, x.split(8), noise={"drop": 0.2}),
        "footprint": vs.footprint(settled(copy.deepcopy(net), x.split(8), 20), x.split(8)),
        "recalibration": vs.recalibrate(net, x.split(8)),
        "repair": vs.repair(
            net, list(zip(x.split(8), torch.arange(40).split(8), strict=True)), loss=far
        ),
        "rewrite": vs.relocate(copy.deepcopy(net), x[:2]),
    }


def test_a_measurement_fits_and_hides_nothing(results):
    text = drawn(results["measurement"])
    assert max(map(len, text.splitlines())) <= 80
    for path in ("first", "second", "third", "fourth"):
        assert path in text
    assert "direct" in text
    assert "±" in text
    assert "note: 4 of 4 norms still hold the statistics they were made with" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "explanation",
            ("Verdict: ", "What became of the variance", "Whose noise it is", "Outputs"),
        ),
        ("prediction", ("Shift that theory expects", "law (b)", "weights are held fixed", "τ = ")),
        ("footprint", ("Noise in training is claimed at 2 of 4 norms", "before conv", "Misfit")),
        ("repair", ("Not repaired: no repair helped.", "as trained", "no better", "split off by")),
        (
            "rewrite",
            ("before, it reached 3 norms", "Changed in the model", "noise_before"),
        ),
    ],
)
def test_causes_fit_and_hide_nothing(results, name, words):
    text = drawn(results[name])
    assert max(map(len, text.splitlines())) <= 80
    for word in words:
        assert word in text
    assert " nan" not in text.lower()
    frame = results[name].to_frame()
    assert len(frame) == len(results[name].rows()) > 0
    json.dumps(results[name].to_dict(), allow_nan=False)
    page = results[name]._repr_html_()
    assert "<table>" in page
    reason = getattr(results[name], "reason", "").partition(",")[0]  # the table says the rest
    assert html.escape(reason) in page


def test_what_is_hostile_does_no_harm(tmp_path):
    name = "</script><b>'\"[red]" + "x" * 5000
    net = nn.Sequential()
    net.add_module("drop", nn.Dropout(0.5))
    net.add_module(name, nn.BatchNorm1d(3))
    m = vs.measure(net, torch.randn(20, 3).split(5))
    assert max(map(len, drawn(m).splitlines())) <= 80
    page = m.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "</script><b>" not in page
    assert "&lt;/script&gt;" in page
    assert "<table>" in m._repr_html_()


def test_a_page_is_written_whole_or_not_at_all(tmp_path, results, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises((OSError, vs.VarshiftError), match="no space"):
        results["structure"].to_html(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_without_pandas_it_says_which_extra(results, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(vs.MissingExtraError, match=r"varshift\[report\]"):
        results["measurement"].to_frame()


def test_the_bar_is_silent_where_nobody_looks(capfd):
    running = bar("work")
    running(1, 2)
    running.close()
    assert capfd.readouterr() == ("", "")


def test_without_rich_only_the_terminal_says_which_extra():
    code = """
import sys, tempfile
from pathlib import Path
sys.modules["rich"] = None
import torch, varshift as vs
found = vs.check(
    torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3)), torch.randn(512, 3)
)
from varshift._draw.annotations import workflow_commands
from varshift._draw.sarif import sarif
assert "VS101" in found._repr_html_() and "VS101" in workflow_commands(found, Path.cwd())
assert len(found.to_frame()) == len(sarif(found, Path.cwd())["runs"][0]["results"]) == 1
with tempfile.TemporaryDirectory() as folder:
    found.to_html(folder + "/page.html")
try:
    found.table()
except vs.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "table() needs rich, which is not installed: pip install 'varshift[cli]'" in done.stdout
