"""The document of `replace` and `relocate`: what draws otherwise now, and what is left to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from varshift._counting import counted
from varshift._draw.document import Cell, Column, Document, Row, Table, Tone
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import known, name, words
from varshift._draw.documents.parts import MEASURE, add_routes
from varshift._draw.figures import figure, fixed
from varshift.results import Patch, Rewrite
from varshift.results.grading import grade_of, worst_grade

__all__: list[str] = []

_LONG_FLOAT = re.compile(r"\d+\.\d{6,}")


@document.register
def _rewrite(result: Rewrite) -> Document:
    made = Document(
        _head(result),
        tone=_tone(result),
        detail=_detail(result),
        following="Next: train again; weights that learnt under the old noise stay as they are.",
        notes=result.notes,
        missing=[MEASURE],
    )
    made.add(
        "changes",
        "What was changed",
        "Nothing is trained yet. undo() puts the old layers back.",
        [*_changed(result), *_patches(result)],
    )
    made.add(
        "severities",
        "What theory expects now",
        "With all changes and patches made, of a network of these weights.",
        _severities(result.severities),
    )
    add_routes(made, result.after, result.severities)
    return made


def _head(result: Rewrite) -> str:
    before, now = counted(result.reached_before, "norm"), result.reached
    if not result.reached_before:
        return f"Noise reached no norm, and reaches {counted(now, 'norm') if now else 'none'} now."
    if not now:
        return f"Noise reaches no norm any more; before, it reached {before}."
    return (
        f"Noise reaches {counted(now, 'norm')} now, directly or through other norms; before, it "
        f"reached {before}."
    )


def _tone(result: Rewrite) -> Tone | None:
    if result.clean and result.reached_before:
        return "good"
    return worst_grade(*map(grade_of, result.severities.values())) if result.severities else None


def _detail(result: Rewrite) -> str:
    if not result.patches:
        return ""
    left = counted(len(result.patches), "noise")
    verb = "is" if len(result.patches) == 1 else "are"
    return f"{left} {verb} written in code, which is for you to change."


def _changed(result: Rewrite) -> list[Table]:
    columns = [
        Column("noise", numeric=False),
        Column("before", "how the layer printed", numeric=False),
        Column("after", "how it prints now", numeric=False),
        Column("τ", "relative variance of the noise, before and after"),
    ]
    rows = [
        Row([name(row["noise"]), _layer(row["before"]), _layer(row["after"]), _taus(row)])
        for row in result.rows()
        if row["how"] in ("changed", "added")
    ]
    return [Table("Changed in the model", columns, rows)] if rows else []


def _patches(result: Rewrite) -> list[Table]:
    columns = [Column("line", numeric=False), Column("change", numeric=False)]
    rows = [line for patch in result.patches for line in _patch(patch)]
    below = ["r.diff() is all of it as one patch."] if result.diff() else []
    return [Table("Written in code, for you to change", columns, rows, below=below)] if rows else []


def _patch(patch: Patch) -> Iterator[Row]:
    where = name("—" if patch.line is None else patch.line.near)
    if patch.new is None:
        yield Row([where, words(patch.why)])
        return
    yield Row([where, words(f"- {patch.old.strip()}", "removed")])
    if patch.new.strip():
        yield Row([name(""), words(f"+ {patch.new.strip()}", "added")])


def _severities(severities: Mapping[str, float]) -> list[Table]:
    columns = [
        Column("norm", numeric=False),
        Column("severity", "Δ or 1/Δ, whichever is larger; median over channels"),
    ]
    rows = [
        Row(
            [name(path), Cell(fixed(severity, 2), sort=severity)],
            known(severity),
            grade_of(severity),
        )
        for path, severity in severities.items()
    ]
    return [Table("Severity that theory expects", columns, rows, numbered=True)] if rows else []


def _layer(printed: str) -> Cell:
    """How a layer prints, without the digits that binary fractions end in."""
    return words(_LONG_FLOAT.sub(lambda found: f"{float(found[0]):.4g}", printed) or "—")


def _taus(row: Mapping[str, Any]) -> Cell:
    sides = (row["tau_before"], row["tau_after"])
    return Cell(" → ".join("?" if tau is None else figure(tau, 3) for tau in sides))
