"""What is asked for, what is silenced, and that both are said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._check.fixing import fix
from varshift._draw import sarif
from varshift.results.catalogue import RULES, rule


def model():
    net = nn.Sequential()
    net.encoder = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 8), nn.BatchNorm1d(8))
    net.drop = nn.Dropout(0.5)
    net.norm = nn.BatchNorm1d(8)
    return net


X = torch.randn(1024, 8, generator=torch.Generator().manual_seed(0))


def codes(**options):
    return [(f.code, f.place) for f in vs.check(model(), X, select=["VS101", "VS102"], **options)]


def test_prefixes_and_the_longer_one_decides():
    everything = set(codes())
    assert everything == {("VS102", "encoder.2"), ("VS101", "norm")}
    assert len(codes(ignore=["VS1"])) == 2  # the longer prefix was selected
    assert len(vs.check(model(), X, ignore=["VS1"])) == 0
    assert codes(ignore=["VS101"]) == [("VS102", "encoder.2")]
    found = vs.check(model(), X, select=["VS101"], ignore=["VS1"])
    assert {f.code for f in found} == {"VS101"}
    for select in ("VS101,VS2", ["VS101,VS2"], ("VS101", "VS2")):
        assert {f.code for f in vs.check(model(), X, select=select)} == {"VS101"}


def test_module_patterns_match_norms_and_noises():
    assert codes(per_module_ignores={"encoder.*": ["VS102"]}) == [("VS101", "norm")]
    assert codes(per_module_ignores={"drop": ["VS1"]}) == [("VS102", "encoder.2")]
    assert len(codes(per_module_ignores={"encoder.*": ["VS101"]})) == 2
    assert codes(per_module_ignores={"*": ["VS"]}) == []


class Sum(nn.Module):
    """Two noises reach one norm."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm = nn.Dropout(0.5), nn.Dropout(0.5), nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.norm(self.a(x) + self.b(x.flip(0))))


def test_one_silenced_noise_does_not_silence_the_other():
    def found(*globs):
        return vs.check(Sum(), X, per_module_ignores={glob: ["VS1"] for glob in globs})

    (whole,), (half,) = found(), found("a")
    assert (whole.noises, whole.quiet) == (half.noises, ())
    assert half.quiet == ("a",)
    assert half.severity == pytest.approx(whole.severity)
    for globs in (("a", "b"), ("norm",), ("?",)):
        assert (len(found(*globs)), len(found(*globs).silenced)) == (0, 1)


def test_what_one_pattern_silences_is_not_fixed():
    net = Sum()
    found = vs.check(net, X, per_module_ignores={"a": ["VS1"]})
    steps = fix(net, found, X).steps
    assert any(step.startswith("b: Dropout(p=0.5") for step in steps)
    assert not any(step.startswith("a: ") for step in steps)


def test_a_silenced_part_of_a_group_has_a_fingerprint_of_its_own():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8))
    for _ in range(3):
        net.extend([nn.Linear(8, 8), nn.BatchNorm1d(8)])
    found = vs.check(net, X, per_module_ignores={"7": ["VS106"]})
    assert (len(found.by_code()["VS106"]), len(found.silenced)) == (1, 1)
    results = sarif(found, Path("/"))["runs"][0]["results"]
    prints = [result["partialFingerprints"]["varshift/v1"] for result in results]
    assert len(set(prints)) == len(prints) == 3


def test_what_is_silenced_is_kept():
    found = vs.check(model(), X, select=["VS102"])
    assert {(f.code, f.place) for f in found.silenced} == {("VS101", "norm"), ("VS106", "norm")}
    assert json.loads(json.dumps(found.to_dict()))["silenced"][1]["code"] == "VS101"


def test_mistakes_are_refused():
    with pytest.raises(
        vs.UsageError, match=r"select: 'VS9' is no code, and no code begins with it"
    ):
        vs.check(model(), X, select=["VS9"])
    with pytest.raises(vs.UsageError, match=r"per-module-ignores 'drop': 'E501' is no code"):
        vs.check(model(), X, per_module_ignores={"drop": ["E501"]})
    with pytest.raises(vs.UsageError, match=r"at least 1, as in 1\.1"):
        vs.check(model(), X, max_severity=0.5)
    with pytest.raises(vs.UsageError, match=r"max_severity is '1\.1'; pass a number"):
        vs.check(model(), X, max_severity="1.1")
    with pytest.raises(vs.UsageError, match="select names no code, so nothing would be checked"):
        vs.check(model(), X, select=[])
    with pytest.raises(vs.UsageError, match="give example= "):
        vs.check(model())
    with pytest.raises(vs.UsageError, match="leave it out or pass 'regression'"):
        vs.check(model(), X, task="classification")
    with pytest.raises(vs.DataError, match="gave no batches"):
        vs.check(model(), data=[])
    with pytest.raises(vs.UsageError, match="there is no rule 'VS999'"):
        rule("VS999")


def test_codes_are_stable():
    # A code that was published keeps its meaning; this list only grows.
    assert list(RULES) == [
        *(f"VS10{n}" for n in range(1, 9)),
        *(f"VS20{n}" for n in range(1, 9)),
        "VS301",
        "VS401",
    ]


def test_findings_are_ordered_counted_and_framed():
    found = vs.check(model(), X, select=["VS101", "VS102"])
    sizes = [f.severity for f in found]
    assert sizes == sorted(sizes, reverse=True)
    assert len(found) == len(found.rows()) == len(found.to_frame()) == 2
    told = found.to_dict()
    assert told["schema"] == "varshift.findings/1"
    assert set(told["rules"]) == {"VS101", "VS102"}
    assert told["findings"][0]["page"].startswith("https://")
    json.dumps(told, allow_nan=False)
    assert "<table>" in found._repr_html_()
