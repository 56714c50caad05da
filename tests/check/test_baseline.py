"""A baseline: what is known is left out, what is new or worse is not."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._check.baseline import against, baseline_of, read_baseline
from varshift.errors import UsageError
from varshift.results import Finding, Findings, Line, NoteKind

WORST = Finding(
    code="VS106",
    place="b",
    noises=("drop", "mask"),
    severity=2.0,
    low=1.9,
    high=2.1,
    shift=0.5,
    how="measured",
    basis="data",
    message="b shifts",
    line=Line("net.py", 3, "forward", "x = drop(x)"),
    also=("c",),
)
EXACT = replace(WORST, code="VS102", place="a", severity=1.5, low=None, high=None, also=())


def found(*findings, silenced=()):
    return Findings(findings, silenced, 1.1, norms=3, sources=2)


@pytest.fixture
def known(tmp_path):
    """What `against` makes of findings, with WORST and EXACT in the baseline."""
    place = tmp_path / "known.json"
    place.write_text(json.dumps(baseline_of(found(WORST, EXACT))), encoding="utf-8")
    earlier = read_baseline(place)

    def judged(*findings, silenced=(), asked=lambda code: True):
        return against(found(*findings, silenced=silenced), earlier, asked)

    return judged


def test_what_is_known_is_left_out_and_counted(known):
    moved = replace(WORST, line=Line("net.py", 88, "forward", "y = drop(x)"), severity=2.02)
    made = known(moved, EXACT)
    assert (len(made), made.known) == (0, (moved, EXACT))
    assert not made
    (note,) = made.notes
    assert (
        note
        == "2 findings are known from the baseline known.json and left out: 1 × VS102, 1 × VS106"
    )
    assert note.kind is NoteKind.BASELINE
    assert [each["code"] for each in made.to_dict()["known"]] == ["VS106", "VS102"]
    assert "known" not in found(EXACT).to_dict()


@pytest.mark.parametrize(
    "finding",
    [
        replace(EXACT, place="z"),
        replace(EXACT, code="VS101"),
        replace(EXACT, noises=("drop", "another")),
        replace(WORST, also=("c", "z")),
    ],
    ids=["place", "code", "noise", "one more norm"],
)
def test_what_is_new_stays(known, finding):
    assert known(finding, WORST).findings[:1] == (finding,)


@pytest.mark.parametrize(
    ("finding", "worse"),
    [
        # Its band against theirs: 2.1 is the upper end of the one, and 1.5 exact.
        (replace(WORST, severity=2.3, low=2.11, high=2.5), False),
        (replace(WORST, severity=2.3, low=2.13, high=2.5), True),
        (replace(WORST, severity=1.2, low=1.15, high=1.3), False),
        (replace(EXACT, severity=1.51), False),
        (replace(EXACT, severity=1.52), True),
        (replace(EXACT, severity=1.7, low=1.4, high=2.0), False),
        (replace(EXACT, severity=math.inf), True),
        (replace(EXACT, severity=math.nan), False),
    ],
)
def test_worse_is_a_band_that_lies_above(known, finding, worse):
    made = known(finding)
    assert bool(made) is worse
    said = [note for note in made.notes if "worse than in the baseline" in note]
    assert bool(said) is worse


def test_fewer_noises_and_the_worst_norm_another(known):
    assert not known(replace(EXACT, noises=("drop",)))
    assert not known(replace(WORST, place="c", also=("b",), noises=("mask", "drop")))


def test_what_is_gone_is_said(known):
    said = [note for note in known(WORST).notes if "not found any more" in note]
    assert said == [
        "1 finding is in the baseline known.json and not found any more (first VS102 at a): "
        "write the baseline again, else it would pass if it came back"
    ]
    assert len(known(WORST, silenced=(EXACT,)).notes) == 1
    assert len(known(WORST, asked=lambda code: code != "VS102").notes) == 1


def test_an_infinite_severity_has_nothing_above_it(tmp_path):
    endless = replace(EXACT, severity=math.inf)
    place = tmp_path / "known.json"
    place.write_text(json.dumps(baseline_of(found(endless))), encoding="utf-8")
    assert json.loads(place.read_text(encoding="utf-8"))["findings"][0]["severity"] is None
    assert not against(found(endless), read_baseline(place), bool)


def test_the_json_of_an_earlier_check_is_one(tmp_path):
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4))
    now = vs.check(model, torch.randn(512, 4))
    place = tmp_path / "found.json"
    place.write_text(json.dumps(now.to_dict()), encoding="utf-8")
    assert len(now) == 1
    made = against(now, read_baseline(place), bool)
    assert (len(made), len(made.known)) == (0, 1)
    # And so is the JSON of a check that left known findings out.
    place.write_text(json.dumps(made.to_dict()), encoding="utf-8")
    assert not against(now, read_baseline(place), bool)


def test_a_baseline_names_no_file_and_no_line(tmp_path):
    assert "net.py" not in json.dumps(baseline_of(found(WORST)))
    assert baseline_of(found(WORST, EXACT)) == baseline_of(found(EXACT, WORST))


TOLD = {"code": "VS101", "place": "norm", "noises": ["drop"], "severity": 2.0}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (None, "cannot be read .*write it first: varshift check … --write-baseline"),
        ("{", "is no JSON"),
        ("[]", "is no baseline: its schema is None"),
        ('{"schema": "varshift.measurement/1"}', "its schema is 'varshift.measurement/1'"),
        ('{"schema": "varshift.baseline/1", "findings": [{"code": 1}]}', "without its code"),
        ('{"schema": "varshift.baseline/1"}', "without its code, place"),
        *(
            (json.dumps({"schema": "varshift.baseline/1", "findings": [held]}), "without its code")
            for held in (
                TOLD | {"severity": "large"},
                TOLD | {"severity": math.nan},
                TOLD | {"noises": "drop"},
            )
        ),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, match):
    if text is not None:
        (tmp_path / "known.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=match):
        read_baseline(tmp_path / "known.json")
