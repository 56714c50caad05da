"""Accounts of repairs, recalibrations and rewritten models."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from varshift._counting import counted
from varshift._draw.accounts.parts import (
    MOST,
    Account,
    Cell,
    Name,
    Row,
    Sheet,
    Words,
    account,
    by_reason,
    named,
)
from varshift._draw.figures import figure, fixed
from varshift.results import Candidate, Patch, Recalibration, Repair, Rewrite, Score

__all__ = ["by_labels"]

_LONG_FLOAT = re.compile(r"\d+\.\d{6,}")


@account.register
def _recalibration(result: Recalibration, most: int = MOST) -> Account:
    rows = [
        Row(
            (
                Name(path),
                str(len(change.after.var)),
                str(change.after.count),
                fixed(change.ratio),
            )
        )
        for path, change in list(result.sites.items())[:most]
    ]
    title = (
        f"Statistics rewritten from {counted(result.samples, 'sample')} in "
        f"{counted(result.batches, 'batch')}"
    )
    headings = ("norm", "channels", "values per channel", "new ÷ old variance")
    meaning = "New ÷ old variance: median over channels. undo() restores the old ones bit for bit."
    return Account(
        _rewritten(result),
        [Sheet(title, headings, rows, len(result.sites))] if rows else [],
        [meaning] if rows else [],
        "Next: measure (what shift is left), or repair, which keeps only what helps."
        if rows
        else "",
        [*by_reason(result.skipped, "left alone, "), *result.notes],
    )


def _rewritten(result: Recalibration) -> str:
    total = len(result.sites) + len(result.skipped)
    if not result.sites:
        return "No statistics were rewritten."
    said = f"{len(result.sites)} of {counted(total, 'norm')} "
    said += "has new statistics" if len(result.sites) == 1 else "have new statistics"
    ratios = {path: change.ratio for path, change in result.sites.items()}
    known = {path: ratio for path, ratio in ratios.items() if ratio == ratio}
    if not known:
        return f"{said}."
    path = max(known, key=lambda path: max(known[path], 1 / known[path]))
    return f"{said}; furthest from the old: {named(path)}, variance × {fixed(known[path])}."


@account.register
def _repair(result: Repair, most: int = MOST) -> Account:
    head = "Repaired:" if result.accepted else "Not repaired:"
    notes = list(result.notes)
    if result.before is None:
        return Account(head, notes=notes, detail=result.reason)
    lines = [_judged(result), *_failures(result)]
    if result.accepted:
        kinds = sorted({name.rpartition(".")[2] for name in result.changes})
        number = len(result.changes)
        verb = "was" if number == 1 else "were"
        lines.append(f"{counted(number, 'tensor')} {verb} written ({', '.join(kinds)}).")
    sheets = [_candidates(result, result.before)]
    return Account(head, sheets, lines, notes=notes, detail=_said(result))


def _said(result: Repair) -> str:
    """The reason, or where the table says it all, only its first part."""
    tried = [candidate.score for candidate in result.candidates]
    told = not result.accepted and bool(tried) and math.isfinite(result.before or 0.0)
    return "no repair helped." if told else result.reason


def _candidates(result: Repair, before: Score) -> Sheet:
    scored = before.accuracy is not None
    right = ("right",) if scored else ()
    trained: tuple[Cell, ...] = (Words("as trained"), *_score(before, scored), "", "", Words(""))
    rows = [Row(trained)]
    rows += [
        Row(
            (
                Words(candidate.method),
                *_score(candidate.score, scored),
                *_change(candidate),
                Words(_verdict(result, candidate)),
            ),
            candidate.method == result.method,
        )
        for candidate in result.candidates
    ]
    if result.reference is not None:
        aim: tuple[Cell, ...] = (*_score(result.reference, scored), "", "", Words("distill's aim"))
        rows.append(Row((Words("(noisy average)"), *aim)))
    title = f"{counted(result.held_out, 'held-out sample')}"
    headings = ("repair", "loss", *right, "change", "95 %", "verdict")
    return Sheet(title, headings, rows, len(rows))


def _score(score: Score | None, scored: bool) -> list[str]:
    if score is None:
        return ["—"] * (1 + scored)
    right = [] if score.accuracy is None else [f"{100 * score.accuracy:.1f} %"]
    return [f"{score.loss:.4g}", *right]


def _change(candidate: Candidate) -> tuple[str, str]:
    if candidate.trial is None:
        return "", ""
    loss = candidate.trial.loss
    return _signed(loss.mean, 3), f"{_signed(loss.low, 2)} to {_signed(loss.high, 2)}"


def _signed(value: float, digits: int) -> str:
    """With its sign, which a zero has none of."""
    return f"{value:+.{digits}g}" if value else "0"


def _verdict(result: Repair, candidate: Candidate) -> str:
    if candidate.method == result.method:
        return "kept"
    if candidate.trial is None:
        return "failed"
    return "passed" if candidate.accepted else candidate.reason.partition(":")[0]


def _failures(result: Repair) -> list[str]:
    """Why a repair could not be made, in full."""
    return [
        f"{candidate.method} failed: {candidate.reason}."
        for candidate in result.candidates
        if candidate.trial is None
    ]


def _judged(result: Repair) -> str:
    split = "given" if result.split_seed is None else f"split off by seed {result.split_seed}"
    by = result.judged_by == "labels"
    what = by_labels(result) if by else "divergence from the noisy average"
    said = (
        f"Made on {counted(result.calibration, 'sample')}, judged on {result.held_out} others "
        f"({split}) by {what}, paired over samples. Change: of the loss."
    )
    averaged = result.reference is not None or result.judged_by != "labels"
    return said + (" Noisy average: many passes with the noise on." if averaged else "")


def by_labels(result: Repair) -> str:
    """Labels, and which item of a batch they are."""
    item = result.labels_from
    if item is None:
        return "labels"
    return (
        f"labels (item {item} of a batch)" if isinstance(item, int) else f"labels ({named(item)})"
    )


@account.register
def _rewrite(result: Rewrite, most: int = MOST) -> Account:
    reached = len({route.norm for route in result.after.routes})
    before = len({route.norm for route in result.before.routes})
    sheets = []
    rows = [row for row in result.rows() if row["how"] in ("changed", "added")]
    if rows:
        drawn = [
            Row((Name(row["noise"]), _layer(row["before"]), _layer(row["after"]), _taus(row)))
            for row in rows[:most]
        ]
        headings = ("noise", "before", "after", "τ")
        sheets.append(Sheet("Changed in the model", headings, drawn, len(rows)))
    if result.patches:
        held = [line for patch in result.patches for line in _patch(patch)]
        title = "Written in code, for you to change (r.diff())"
        sheets.append(Sheet(title, ("line", "change"), held, len(held)))
    if result.severities:
        figures = list(result.severities.items())
        drawn = [Row((Name(path), fixed(severity))) for path, severity in figures[:most]]
        title = "Severity that theory expects"
        sheets.append(Sheet(title, ("norm", "severity"), drawn, len(figures)))
    return Account(
        f"Noise reached {counted(before, 'norm')}, directly or through other norms, and now "
        f"{reached}.",
        sheets,
        next="Next: train again; weights that learnt under the old noise stay as they are.",
        notes=list(result.notes),
    )


def _layer(printed: str) -> Cell:
    """How a layer prints, without the digits that binary fractions end in."""
    return Words(_LONG_FLOAT.sub(lambda found: f"{float(found[0]):.4g}", printed) or "—")


def _taus(row: dict[str, float | None]) -> str:
    sides = (row["tau_before"], row["tau_after"])
    return " → ".join("?" if tau is None else figure(tau, 3) for tau in sides)


def _patch(patch: Patch) -> Iterator[Row]:
    where = Name("—" if patch.line is None else patch.line.near)
    if patch.new is None:
        yield Row((where, Words(patch.why)))
        return
    yield Row((where, Words(f"- {patch.old.strip()}", "red")))
    if patch.new.strip():
        yield Row((Name(""), Words(f"+ {patch.new.strip()}", "green")))
