"""`print(result)`: plain text, with or without rich."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._draw.documents import document
from varshift._draw.figures import cells
from varshift._draw.telling import tables

KINDS = (
    *("structure", "measurement", "explanation", "prediction", "without-data", "diagnosis"),
    *("footprint", "recalibration", "repair", "rewrite", "calculation", "findings"),
)


@pytest.mark.parametrize("kind", KINDS)
def test_printed_says_what_the_terminal_says(every, kind, capsys):
    """Every word of the document's head, every heading and every note."""
    print(every[kind])
    printed = capsys.readouterr().out
    made = document(every[kind])
    assert " ".join(made.head.split()) in " ".join(printed.split())
    for held in tables(made):
        for word in filter(None, (held.title, *(column.name for column in held.columns))):
            assert word in printed
        assert len(held.rows) <= printed.count("\n")
    for note in made.notes:
        assert f"note: {note}" in " ".join(printed.split())
    assert "\x1b" not in printed
    assert not re.search(r"[ \t]$", printed, re.MULTILINE)


def test_a_repr_stays_one_sentence(every):
    for result in every.values():
        assert repr(result).startswith(f"<{type(result).__name__}: ")
        assert "\n" not in repr(result)


def test_columns_stand_in_line_whatever_the_script():
    torch.manual_seed(0)
    layers = {"归一化": nn.BatchNorm1d(4), "drop": nn.Dropout(0.5), "norm": nn.BatchNorm1d(4)}
    net = nn.Sequential()
    for name, layer in layers.items():
        net.add_module(name, layer)
    lines = str(vs.measure(net, torch.randn(64, 4).split(8))).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("norm "))
    heads, *rows = lines[start : start + 3]
    figures = cells(heads[: heads.index("Δ")])
    for row in rows:
        assert cells(row[: re.search(r"\d", row).start()]) == figures


def test_what_stands_out_has_a_star():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    printed = str(vs.measure(net, torch.randn(256, 4).split(32)))
    assert re.search(r"^3 .* \*$", printed, re.MULTILINE)
    assert not re.search(r"^1 .* \*$", printed, re.MULTILINE)
    assert "*: mild or worse." in printed
    assert "mild above 1.1" in " ".join(printed.split())


def test_a_long_table_is_cut_and_says_so():
    net = nn.Sequential(
        *(layer for _ in range(30) for layer in (nn.Dropout(0.5), nn.BatchNorm1d(3)))
    )
    printed = str(vs.measure(net, torch.randn(32, 3).split(8)))
    assert "… and 5 more (to_dict() has all)" in printed


def test_without_rich():
    """In a process in which rich cannot be imported: the tables in print, a sentence in table()."""
    code = """
import sys
sys.modules["rich"] = None
import torch, varshift as vs
net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3))
print(vs.inspect(net, torch.randn(4, 3)))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Norms that noise reaches directly\nnorm  behind it" in ended.stdout
