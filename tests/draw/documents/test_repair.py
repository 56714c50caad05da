from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import varshift as vs
from problems.documents import section, table, tables, texts
from varshift._draw.documents import document
from varshift._draw.pictures.described import Boxes, Intervals
from varshift.results import Candidate, Repair, Rewrote, Score, Trial
from varshift.theory.paired import Paired


@pytest.fixture(scope="module")
def structure():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    return vs.inspect(net, torch.randn(8, 3))


def tried(method, mean, verdict, loss=0.4, accuracy=0.9):
    change = Paired(mean, 0.01, mean - 0.02, mean + 0.02, 1e-20, 500)
    return Candidate(
        method,
        verdict == "passed",
        Score(loss, 0.01, accuracy, 0.01, 500),
        Trial(change, None),
        1.25,
        ("1.running_mean", "1.running_var"),
        verdict=verdict,
    )


@pytest.fixture
def repaired(structure):
    """One that was kept, one that passed, one that is worse, one that could not be made."""
    before, after = torch.tensor([4.0, 2.0, 1.0]), torch.tensor([2.0, 1.0, 0.25])
    candidates = (
        tried("recalibrate", -0.2, "passed", 0.4),
        tried("distill", -0.1, "passed", 0.5),
        tried("adjust-once", 0.3, "worse", 0.9),
        Candidate("correct", False, None, None, math.nan, (), "nothing is within reach"),
    )
    return Repair(
        accepted=True,
        method="recalibrate",
        reason="recalibrate took the held-out loss from 0.6 to 0.4",
        before=Score(0.6, 0.02, 0.8, 0.01, 500),
        after=candidates[0].score,
        reference=Score(0.35, 0.02, 0.91, 0.01, 500),
        candidates=candidates,
        changes={
            "1.running_mean": Rewrote(torch.zeros(3), torch.tensor([0.1, 0.2, 0.3])),
            "1.running_var": Rewrote(before, after),
        },
        judged_by="labels",
        calibration=1000,
        held_out=500,
        split_seed=0,
        structure=structure,
        labels_from=1,
    )


def test_the_head_says_the_gain_with_its_interval(repaired):
    made = document(repaired)
    assert made.head == (
        "Repaired by recalibrate: held-out loss 0.6 → 0.4, a change of -0.2 (95 %: -0.22 to -0.18)."
    )
    assert made.tone == "good"
    assert made.detail == (
        "Right answers: 80.0 % → 90.0 %. 2 tensors were written (running_mean, running_var); "
        "undo() restores the old values bit for bit."
    )
    assert made.steps == ()
    assert made.following == ""


def test_what_was_kept_is_green_and_each_repair_says_what_became_of_it(repaired):
    held = table(document(repaired), "Judged on 500 held-out samples")
    rows = {row["repair"]: row for row in texts(held)}
    assert [row["verdict"] for row in rows.values()] == [
        *("", "kept", "passed", "worse", "failed", "what distill aims at")
    ]
    assert [row.tone for row in held.rows] == ["none", "good", *["none"] * 4]
    assert rows["recalibrate"]["95 %"] == "-0.22 to -0.18"
    assert rows["adjust-once"]["change"] == "+0.3"
    assert rows["correct"]["loss"] == rows["correct"]["seconds"] == "—"
    assert rows["(noisy average)"]["right"] == "91.0 %"
    assert held.below == ["correct failed: nothing is within reach."]
    narrow = [column.name for column in held.narrow().columns]
    assert narrow == ["repair", "loss", "right", "change", "95 %", "verdict"]


def test_without_a_right_answer_there_is_no_column_for_it(repaired):
    bare = [
        replace(c, score=c.score and Score(c.score.loss, 0.01, None, None, 500))
        for c in repaired.candidates
    ]
    made = document(
        replace(
            repaired,
            before=Score(0.6, 0.02, None, None, 500),
            after=bare[0].score,
            reference=None,
            candidates=tuple(bare),
            judged_by="noise-averaged prediction",
            labels_from=None,
        )
    )
    held = table(made, "Judged on")
    assert "right" not in [column.name for column in held.columns]
    assert all(len(row.cells) == len(held.columns) for row in held.rows)
    assert made.head.startswith("Repaired by recalibrate: held-out divergence 0.6 → 0.4")
    assert "Right answers" not in made.detail
    assert made.facts["judged by"] == "divergence from the noisy average"
    assert "Noisy average: many passes" in made.meanings[0]


def test_the_picture_has_the_paired_changes(repaired):
    made = document(repaired)
    picture = made.picture
    assert isinstance(picture, Intervals)
    assert picture is section(made, "trials").parts[0]
    assert picture.level == 0.0
    values = {row.name: row.value for row in picture.rows}
    assert list(values) == [
        *("as trained", "recalibrate", "distill", "adjust-once", "(noisy average)")
    ]
    assert values["as trained"] == 0.0
    assert values["(noisy average)"] == pytest.approx(0.35 - 0.6)
    assert [row.role for row in picture.rows] == ["train", "good", "stored", "stored", "data"]
    aim = picture.rows[-1]  # it was not scored sample by sample, so it claims no interval
    assert aim.hollow
    assert math.isnan(aim.low)
    assert math.isnan(aim.high)


def test_what_was_written_has_its_ratios_by_norm(repaired):
    boxes, held = section(document(repaired), "written").parts
    assert isinstance(boxes, Boxes)
    assert list(boxes.names) == ["1"]
    assert boxes.quantiles[0][2] == 0.5  # of 0.5, 0.5 and 0.25
    assert held.wide  # a terminal has the sentence of the head
    rows = {row["tensor"]: row for row in texts(held)}
    assert rows["1.running_var"]["new ÷ old"] == "0.5"
    assert rows["1.running_mean"]["new ÷ old"] == "—"
    assert rows["1.running_mean"]["moved by"] == "0.2"


def test_none_that_helped_leaves_the_model_and_says_so(repaired):
    left = replace(
        repaired,
        accepted=False,
        method=None,
        changes={},
        candidates=(tried("recalibrate", 0.2, "worse", 0.8),),
    )
    made = document(left)
    assert made.head == "Not repaired: no repair helped. The model is untouched."
    assert made.detail == ""
    assert made.tone is None
    assert made.following == "Next: explain (whose fault the gap is)."
    assert "written" not in [one.key for one in made.sections]


@pytest.mark.parametrize("before", [None, math.nan])
def test_where_nothing_could_be_compared_the_reason_is_all(repaired, before):
    score = None if before is None else Score(before, before, None, None, 500)
    candidates = () if before is None else (tried("recalibrate", math.nan, "not finite"),)
    left = replace(
        repaired,
        accepted=False,
        method=None,
        reason="no noise reaches a norm",
        before=score,
        reference=None,
        changes={},
        candidates=candidates,
    )
    made = document(left)
    assert (made.head, made.detail) == ("Not repaired:", "no noise reaches a norm")
    assert (made.picture is None) == (before is None)
    assert bool(tables(made).keys() - {"1 route, the direct ones first", "Noise sources"}) == (
        before is not None
    )
