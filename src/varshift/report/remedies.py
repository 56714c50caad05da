"""Repairs in the terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from varshift.repair import Candidate, Patch, Repair, Rewrite, Score
from varshift.report.figures import shortened
from varshift.report.layout import MOST, columns, group, more, table

__all__: list[str] = []

_NONE = "no repair helped"


@table.register
def _repair(result: Repair) -> RenderableType:
    said = "Repaired: " if result.accepted else "Not repaired: "
    parts: list[RenderableType] = [Text(said, style="bold") + Text(_sentence(result), style="")]
    if result.before is None:
        return group(parts, [], result.notes)
    parts.append(_candidates(result, result.before))
    lines = [_judged(result), *_failures(result)]
    if result.accepted:
        kinds = sorted({name.rpartition(".")[2] for name in result.changes})
        lines.append(f"{len(result.changes)} tensors were written ({', '.join(kinds)}).")
    return group(parts, lines, result.notes)


def _sentence(result: Repair) -> str:
    """The reason, or where the table says it all, only its first part."""
    told = not result.accepted and result.reason.startswith(_NONE)
    return f"{_NONE}." if told else result.reason


def _candidates(result: Repair, before: Score) -> RenderableType:
    scored = before.accuracy is not None
    headings = ("repair", "loss", *(("right",) if scored else ()), "change of loss", "95 %")
    made = columns(f"{result.held_out} held-out samples", *headings, "verdict")
    made.add_row("as trained", *_score(before, scored), "", "", "")
    for candidate in result.candidates:
        made.add_row(
            escape(candidate.method),
            *_score(candidate.score, scored),
            *_change(candidate),
            _verdict(result, candidate),
            style="bold" if candidate.method == result.method else "",
        )
    if result.reference is not None:
        made.add_row("(noisy average)", *_score(result.reference, scored), "", "", "the aim")
    return made


def _score(score: Score | None, scored: bool) -> list[str]:
    if score is None:
        return ["—"] * (1 + scored)
    right = [] if score.accuracy is None else [f"{100 * score.accuracy:.1f} %"]
    return [f"{score.loss:.4g}", *right]


def _change(candidate: Candidate) -> tuple[str, str]:
    if candidate.trial is None:
        return "", ""
    loss = candidate.trial.loss
    return f"{loss.mean:+.3g}", f"{loss.low:+.2g} to {loss.high:+.2g}"


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
    what = "labels" if result.judged_by == "labels" else "divergence from the noisy average"
    said = (
        f"Made on {result.calibration} samples, judged on {result.held_out} others ({split}) by "
        f"{what}, paired over samples."
    )
    averaged = result.reference is not None or result.judged_by != "labels"
    return said + (" Noisy average: many passes with the noise on." if averaged else "")


@table.register
def _rewrite(result: Rewrite) -> RenderableType:
    reached = len({route.norm for route in result.after.routes})
    before = len({route.norm for route in result.before.routes})
    head = Text(f"Noise reached {before} norms, and now {reached}. ", style="bold")
    parts: list[RenderableType] = [head]
    rows = [row for row in result.rows() if row["how"] in ("changed", "added")]
    if rows:
        made = columns("Changed in the model", "noise", "before", "after", "τ")
        for row in rows[:MOST]:
            taus = " → ".join(_tau(row[name]) for name in ("tau_before", "tau_after"))
            cells = (shortened(row["noise"], 22), row["before"] or "—", row["after"])
            made.add_row(*map(escape, cells), taus)
        parts += [made, *more(len(rows))]
    if result.patches:
        parts.append(_patches(result.patches))
    if result.severities:
        made = columns("Severity that theory expects", "norm", "severity")
        for path, severity in list(result.severities.items())[:MOST]:
            made.add_row(escape(shortened(path, 40)), f"{severity:.3f}")
        parts += [made, *more(len(result.severities))]
    return group(parts, [], result.notes)


def _patches(patches: tuple[Patch, ...]) -> RenderableType:
    made = columns("Written in code, for you to change (r.diff())", "line", "change")
    for patch in patches:
        where = "—" if patch.line is None else shortened(str(patch.line), 24)
        if patch.new is None:
            made.add_row(escape(where), escape(patch.why))
            continue
        made.add_row(escape(where), Text(f"- {patch.old.strip()}", style="red"))
        if patch.new.strip():
            made.add_row("", Text(f"+ {patch.new.strip()}", style="green"))
    return made


def _tau(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"
