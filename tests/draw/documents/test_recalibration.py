from __future__ import annotations

import copy

import torch
from torch import nn

import varshift as vs
from problems.documents import section, texts
from varshift._draw.documents import document
from varshift._draw.pictures.described import Boxes


def shrunk():
    """Two norms, the second of which stores a hundredth of what arrives; the last one is frozen."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.BatchNorm1d(4))
    ).double()
    net[2].running_var.fill_(0.01)
    net[3].eval()
    return net, torch.randn(400, 4, dtype=torch.float64).split(50)


def test_the_head_names_the_largest_change():
    net, data = shrunk()
    made = document(vs.recalibrate(copy.deepcopy(net), data))
    assert made.head.startswith("2 of 3 norms have new statistics; the largest change is at 2, ")
    ratio = float(made.head.split("the new variance is ")[1].split(" times")[0])
    assert 90 < ratio < 110
    assert made.detail == "undo() restores the old statistics bit for bit."
    assert made.tone is None  # that it helps is for `repair` to measure
    assert made.picture is None
    assert any(note.startswith("3: left alone, frozen") for note in made.notes)


def test_old_and_new_stand_beside_each_other():
    net, data = shrunk()
    result = vs.recalibrate(net, data)
    boxes, held = section(document(result), "rewritten").parts
    assert isinstance(boxes, Boxes)
    assert boxes.quantiles[1][2] == result.sites["2"].ratio
    assert held.title == "Statistics rewritten from 400 samples in 8 batches"
    rows = texts(held)
    assert [row["norm"] for row in rows] == ["0", "2"]
    assert rows[1]["old variance"] == "0.01"
    narrow = [column.name for column in held.narrow().columns]
    assert narrow == ["norm", "channels", "values per channel", "new ÷ old variance"]


def test_nothing_rewritten_is_said_and_has_no_next_step():
    net = nn.Sequential(nn.BatchNorm1d(4).eval())
    made = document(vs.recalibrate(net, torch.randn(40, 4).split(10)))
    assert made.head == "No statistics were rewritten."
    assert made.detail == made.following == ""
    assert made.sections == []
