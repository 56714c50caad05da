"""Documents made by hand, with all that a page has to draw, and a reader of pages."""

from __future__ import annotations

import random
from html.parser import HTMLParser

from varshift._draw.document import (
    Calculator,
    Cell,
    Column,
    Document,
    Entries,
    Entry,
    Leaf,
    Row,
    StepText,
    Table,
    Tree,
)
from varshift._draw.pictures.described import Boxes, Depth, Series
from varshift.results.grading import GRADES, grade_of

FRAME = {"summary", "missing", "notes", "words", "provenance"}  # sections that are no document's
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
SCREEN = {"viewport": {"width": 1280, "height": 800}}
RULE = "Text with `code` and [a link](https://example.org/x).\n\n## Why\n\n    Δ = v\n"


def leaves(count, *, worst=0.4, seed=0):
    """So many norms in four stages; about one in ten shifts, the last by `worst`."""
    draw = random.Random(seed)
    made = []
    for index in range(count):
        path = f"net.stages.{4 * index // count}.{index}.norm"
        shift = draw.uniform(0.99, 1.01) if draw.random() < 0.9 else draw.uniform(0.55, 0.85)
        shift = worst if index == count - 1 else shift
        severity = max(shift, 1 / shift)
        grade = grade_of(severity, 0.01 * severity)
        card = [("Δ test/train", f"{shift:.3f} ± {0.01 * shift:.3f}"), ("channels", "64")]
        low, high = 0.98 * shift, 1.02 * shift
        made.append(Leaf(path, grade, f"{severity:.2f} ± 0.01", shift, low, high, card))
    return made


def paged(count=40, *, worst=0.4, seed=0):
    """A document with a verdict, advice, the main picture, a tree, tables and a calculator."""
    norms = leaves(count, worst=worst, seed=seed)
    ranked = sorted(norms, key=lambda leaf: leaf.shift)
    names, shifts = [leaf.path for leaf in norms], [leaf.shift for leaf in norms]
    ends = [leaf.low for leaf in norms], [leaf.high for leaf in norms]
    series = Series("test", "Δ", shifts, *ends, [leaf.tone for leaf in norms])
    picture = Depth("Shift at each norm", "Δ with 95 % intervals", names, [series])
    made = Document(
        "Noise shifts the variance at the last norm.",
        tone=max((leaf.tone for leaf in norms), key=["none", *GRADES].index),
        detail="It comes from one dropout.",
        points=[f"{leaf.path}: severity {leaf.figure}" for leaf in ranked[:3]],
        steps=[
            StepText(
                "Store statistics without noise.", "vs.repair(model, data)", "varshift repair m"
            ),
            StepText("Move the dropout.", "vs.relocate(model, x)", "", "predicted severity 1.00"),
        ],
        picture=picture,
        notes=["One norm was not passed."],
        facts={"samples": "4,096"},
    )
    rows = [
        Row(
            (
                Cell(leaf.path, "name"),
                Cell(f"{leaf.shift:.3f}", sort=leaf.shift),
                Cell(leaf.tone),
                Cell("64"),
            ),
            1 / leaf.shift,
            leaf.tone,
        )
        for leaf in norms
    ]
    columns = [
        Column("norm", numeric=False),
        Column("Δ", "variance at test ÷ variance in training"),
        Column("grade", numeric=False),
        Column("channels", wide=True),
    ]
    table = Table(f"{count} norms", columns, rows, below=["Below the table."], numbered=True)
    quantiles = [[shift * part for part in (0.8, 0.9, 1.0, 1.1, 1.2)] for shift in shifts]
    entry = Entry("VS101 noise-before-norm", ["Move it."], "Δ = v", "varshift check", "", RULE)
    made.add("tree", "Norm by norm", "", [Tree(norms, "severity")])
    made.add("depth", "By depth", "", [picture])
    made.add("sites", "All norms", "", [table])
    made.add("channels", "Channels", "", [Boxes("Channels", "Δ per channel", names, quantiles)])
    made.add("rules", "Rules", "", [Entries([entry])])
    made.add("what-if", "What if?", "", [Calculator()])
    return made


class Reader(HTMLParser):
    """Tags, attributes, the text of scripts, and what stands in titles."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.scripts, self.titles, self.inside = [], [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.titles += [value for name, value in attributes if name == "title"]
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data

    def ids(self, tag):
        """The ids of all such elements, in order."""
        return [at["id"] for name, at in self.tags if name == tag and "id" in at]
