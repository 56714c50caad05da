"""Findings in the terminal, as SARIF and as workflow commands."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

import varshift as vs
from problems.noisy_nets import Conv
from varshift._draw import sarif, workflow_commands
from varshift.results.structure import Line

HERE = Path(__file__).parents[2]


def drawn(result, width=80):
    console = Console(width=width, file=io.StringIO(), no_color=True)
    console.print(result.table())
    return console.file.getvalue()


@pytest.fixture(scope="module")
def found():
    torch.manual_seed(0)
    return vs.check(Conv(), torch.randn(32, 3, 12, 12), ignore=["VS103"])


def test_the_table_fits_and_hides_nothing(found):
    text = drawn(found)
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith(
        "Severe. 2 findings above severity 1.1: 4 norms, 2 active noise sources."
    )
    for word in (
        "VS102 noise-through-weights",
        "second",
        "noisy_nets.py:",
        "varshift check --explain VS102",
    ):
        assert word in text
    assert "1 more was found and silenced" in " ".join(text.split())
    assert "note: no norm has been trained" in text
    clean = vs.check(nn.Sequential(nn.BatchNorm1d(3)), torch.randn(64, 3))
    assert drawn(clean).startswith("Nothing above severity 1.1: 1 norm, 0 active noise sources.")


def test_a_row_of_long_names_stays_one_line(found):
    (wide,) = found.by_code()["VS102"]
    wide = replace(
        wide,
        place="features.7.0.block.3.1",
        noises=("features.2.1.stochastic_depth",) * 9,
        severity=14.53,
        low=14.48,
        high=14.59,
        line=Line("/long/way/site-packages/torchvision/ops/stochastic_depth.py", 41, "f", ""),
        also=("another",) * 29,
    )
    row = _row(drawn(replace(found, findings=(wide,))))
    assert len(row) <= 80
    assert [word for word in row.split() if not word.startswith("…")] == [
        *("+29", "14.53", "(14.48–14.59)", "+8"),
    ]
    assert row.count("…") == 3  # the end of each name, which is what tells
    row = _row(drawn(replace(found, findings=(wide,)), 200))
    assert row.split() == [
        *("features.7.0.block.3.1", "+29", "14.53", "(14.48–14.59)"),
        *("features.2.1.stochastic_depth", "+8", "torchvision/ops/stochastic_depth.py:41"),
    ]


def _row(text):
    return next(line for line in text.splitlines() if "14.53" in line)


def test_sarif_has_what_2_1_0_asks_for(found):
    log = json.loads(json.dumps(sarif(found, HERE), allow_nan=False))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("varshift", vs.__version__)
    assert [rule["id"] for rule in driver["rules"]] == ["VS102", "VS103", "VS106"]
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["helpUri"].startswith("https://")
        assert "Fix" in rule["help"]["markdown"]
    assert len(run["results"]) == 3
    suppressed = [result for result in run["results"] if "suppressions" in result]
    assert [result["ruleId"] for result in suppressed] == ["VS103"]
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"] == {
            "uri": "tests/problems/noisy_nets.py",
            "uriBaseId": "%SRCROOT%",
        }
        assert place["region"]["startLine"] > 0
        assert location["logicalLocations"][0]["fullyQualifiedName"]
        assert len(result["partialFingerprints"]["varshift/v1"]) == 32
    assert run["originalUriBaseIds"]["%SRCROOT%"]["uri"].endswith("/")
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is True
    assert invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_fingerprints_tell_findings_apart_and_stay(found):
    prints = [
        r["partialFingerprints"]["varshift/v1"] for r in sarif(found, HERE)["runs"][0]["results"]
    ]
    assert len(set(prints)) == len(prints)
    moved = found.at(None)
    again = sarif(moved, Path("/"))["runs"][0]["results"]
    assert [r["partialFingerprints"]["varshift/v1"] for r in again] == prints


def hostile():
    net = nn.Sequential()
    net.add_module("drop", nn.Dropout(0.5))
    net.add_module("[red]100%,x:y\n::error::" + "z" * 300, nn.BatchNorm1d(3))
    found = vs.check(net, torch.randn(512, 3))
    return found.at(Line("folder with space/a,b:c%.py", 3, "f", ""))


def test_workflow_commands_are_escaped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = workflow_commands(hostile(), tmp_path)
    first, *rest = text.splitlines()
    assert first.startswith(
        "::warning file=folder with space/a%2Cb%3Ac%25.py,line=3,title=VS101 noise-before-norm::"
    )
    assert "[red]100%25,x:y%0A::error::" in first.replace("\\n", "%0A")
    assert all(line.startswith("::notice title=varshift::") for line in rest)


def test_a_line_outside_the_folder_is_said_in_words(tmp_path):
    text = workflow_commands(hostile(), tmp_path)
    assert text.startswith("::warning title=VS101 noise-before-norm::")
    assert "drawn at folder with space/a,b:c%25.py:3" in text


def test_hostile_names_do_no_harm(tmp_path):
    text = drawn(hostile())
    assert max(map(len, text.splitlines())) <= 80
    log = sarif(hostile(), Path.cwd())
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "folder%20with%20space/a%2Cb%3Ac%25.py"
    page = hostile().to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "VS101" in page


def test_links_go_where_the_project_says():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    found = vs.check(net, torch.randn(512, 3), docs="https://example.org/rules/")
    (rule,) = sarif(found, Path.cwd())["runs"][0]["tool"]["driver"]["rules"]
    assert rule["helpUri"] == "https://example.org/rules/VS101.md"


def prints(found):
    return [
        r["partialFingerprints"]["varshift/v1"] for r in sarif(found, HERE)["runs"][0]["results"]
    ]


def test_fingerprints_stay_while_figures_move(found):
    def with_first(code, **changes):
        one = replace(found.findings[0], code=code, noises=("a", "b"))
        return [prints(replace(found, findings=(f,)))[0] for f in (one, replace(one, **changes))]

    before, after = with_first("VS102", noises=("b", "a"))  # the other is the stronger now
    assert before == after
    before, after = with_first("VS102", place="elsewhere")
    assert before != after
    for code in ("VS106", "VS107"):  # their place is the worst of several
        before, after = with_first(code, place="elsewhere")
        assert before == after


def test_half_a_surrogate_pair_is_no_harm():
    net = nn.Sequential()
    net.add_module("drop\udc80", nn.Dropout(0.5))
    net.add_module("norm\udc80", nn.BatchNorm1d(3))
    found = vs.check(net, torch.randn(512, 3)).at(Line("a\udc80.py", 3, "f", ""))
    log = json.dumps(sarif(found, Path.cwd()), allow_nan=False)
    assert "VS101" in log
