"""Figures that README.md takes from pages of results are those of these pages."""

from __future__ import annotations

import re

import pytest

from docs.pages import DOCS, ROOT

README = " ".join((ROOT / "README.md").read_text().split())


def row(page: str, name: str) -> list[float]:
    """The numbers of the first row of a table whose first cell is `name`."""
    text = (DOCS / page).read_text()
    (line, *_) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    cells = [cell.split()[0] for cell in line.split("|")[2:-1] if cell.strip()]
    return [float(cell) for cell in cells if re.fullmatch(r"[\d.]+", cell)]


def said(pattern: str) -> tuple[float, ...]:
    found = re.search(pattern, README)
    assert found, f"README.md no longer says {pattern!r}"
    return tuple(map(float, found.groups()))


def test_predict_against_measure():
    sites, median, worst, own, *_ = row("results/prediction.md", "all")
    told = said(
        r"On (\d+) directly hit sites of 13 networks, `predict` was a median of ([\d.]+) % from "
        r"the measured Δ \(whose own error was ([\d.]+) %\), worst ([\d.]+) %"
    )
    assert told == (sites, round(median, 1), round(own, 1), round(worst, 1))


@pytest.mark.parametrize(
    ("pattern", "name", "digits"),
    [
        (r"`measure` ([\d.]+) × the two passes it needs on ResNet-18", "measure, ResNet-18", 2),
        (r"and ([\d.]+) × on a small MLP", "measure, MLP", 1),
    ],
)
def test_what_measure_costs(pattern, name, digits):
    text = (DOCS / "benchmarks.md").read_text()
    ratio = re.search(rf"^\| {name} \|.*\| ([\d.]+) \(", text, re.MULTILINE)
    assert ratio
    assert said(pattern) == (round(float(ratio[1]), digits),)


def test_what_inspect_costs():
    text = (DOCS / "benchmarks.md").read_text()
    ratios = [
        re.search(rf"^\| {name} \|.*\| ([\d.]+) \(", text, re.MULTILINE)
        for name in ("varshift.inspect", "torchlens.trace")
    ]
    ours, theirs = (float(ratio[1]) for ratio in ratios)
    pattern = (
        r"`inspect` takes ([\d.]+) × a training forward of EfficientNet-B0 \(torchlens (\d+) ×\)"
    )
    assert said(pattern) == (round(ours, 1), round(theirs))
