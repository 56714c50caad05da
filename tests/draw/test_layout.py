"""Tables at the widths that terminals have."""

from __future__ import annotations

import io
import re

import pytest
import torch
from rich.cells import cell_len
from rich.console import Console
from torch import nn

import varshift as vs

LONG = "the_extremely_long_winded_backbone_feature_extractor_of_the_first_stage"
CHINESE = "批量归一化批量归一化批量归一化批量归一化批量归一化"


def drawn(result, width=80):
    console = Console(width=width, file=io.StringIO(), no_color=True)
    console.print(result.table())
    return console.file.getvalue()


def named(*names):
    """Dropout and norm behind each other, under each of the names."""
    torch.manual_seed(0)
    net = nn.Sequential()
    for name in names:
        net.add_module(name, nn.Sequential(nn.Dropout(0.3), nn.BatchNorm1d(4)))
    return net


def measurement(*names):
    return vs.measure(named(*names), (3 + torch.randn(64, 4)).split(16))


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("name", [LONG, CHINESE])
def test_no_figure_is_folded_and_no_name_cut_and_folded(name, width):
    text = drawn(measurement(name), width)
    assert max(map(cell_len, text.splitlines())) <= width
    rows = [line for line in text.splitlines() if line.count("±") >= 3]
    assert len(rows) == 1  # shift, severity and the paper's figure in one line
    assert re.match(r"(…|\S)\S*1  ", rows[0])


def test_a_wide_terminal_is_used():
    assert f"{LONG}.1  " not in drawn(measurement(LONG), 80)
    assert f"{LONG}.1  " in drawn(measurement(LONG), 200)


def test_what_there_is_no_room_for_is_said():
    text = drawn(measurement(LONG), 54)
    assert "(no room for: noise behind)" in text
    assert [line.count("±") for line in text.splitlines() if line.startswith("…")] == [3]
    assert "no room" not in drawn(measurement(LONG), 80)


def test_rows_can_be_told_apart():
    names = [f"{half}_{'stage' * 12}" for half in ("student", "teacher")]
    text = drawn(measurement(*names))
    assert "student" in text
    assert "teacher" in text


def test_a_repair_keeps_each_interval_on_its_line():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 3))
    data = [(torch.randn(32, 4), torch.randint(3, (32,))) for _ in range(6)]
    text = drawn(vs.repair(net, data, passes=2))
    tried = [line for line in text.splitlines() if line.startswith(("recalibrate", "distill"))]
    assert len(tried) == 2
    assert all(re.search(r"\S+ to \S+  ", line) for line in tried)
