"""The account of what a monitor has seen: the last look, and where each norm was at its worst."""

from __future__ import annotations

from varshift._counting import counted
from varshift._draw.accounts.parts import MOST, Account, Name, Row, Sheet, account, named, worst
from varshift._draw.figures import fixed, measured
from varshift.results import Monitoring
from varshift.results.monitor import MonitoredNorm


@account.register
def _monitoring(result: Monitoring, most: int = MOST) -> Account:
    if not result.history:
        said = f"No look was taken in {counted(result.steps, 'step')}."
        return Account(said, notes=list(result.notes))
    last = result.history[-1].norms
    chosen = set(worst(last, lambda path: last[path].low, most))
    rows = [_row(result, path, norm) for path, norm in last.items() if path in chosen]
    looks = max(norm.looks for norm in last.values())
    title = f"Step {result.history[-1].step}, over the last {counted(looks, 'look')}"
    headings = ("norm", "Δ off/train", "severity", "largest", "rule", "noise behind")
    return Account(
        _head(result),
        [Sheet(title, headings, rows, len(last), "worst")],
        [
            "Δ: variance with noise off ÷ variance in training, median over channels. Severity: Δ "
            f"or 1/Δ, whichever is larger; bold where it is surely above {result.threshold:g}. "
            "Largest: the largest severity of any look that is surely above it. ± one standard "
            "error, from how the looks differ."
        ],
        "",
        list(result.notes),
    )


def _head(result: Monitoring) -> str:
    record = result.history[-1]
    beyond = [norm for norm in record.norms.values() if norm.low > result.threshold]
    largest = (
        ""
        if record.worst is None
        else (
            f"; {'worst' if beyond else 'largest'} {named(record.worst.path)}, "
            f"{measured(record.worst.severity, record.worst.severity_se, 2)}"
        )
    )
    return (
        f"{len(beyond) or 'None'} of {counted(len(record.norms), 'watched norm')} surely "
        f"{'shifts' if len(beyond) < 2 else 'shift'} by more than {result.threshold:g} at step "
        f"{record.step}{largest}. {counted(len(result.history), 'look')} in "
        f"{counted(result.steps, 'step')} took {fixed(100 * result.overhead, 1)} % of the time."
    )


def _row(result: Monitoring, path: str, norm: MonitoredNorm) -> Row:
    sure = [
        record.norms[path].severity
        for record in result.history
        if path in record.norms and record.norms[path].low > result.threshold
    ]
    sources = result.behind.get(path, ())
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return Row(
        (
            Name(path),
            measured(norm.shift, norm.shift_se),
            measured(norm.severity, norm.severity_se, 2),
            fixed(max(sure), 2) if sure else "—",
            result.codes.get(path, ""),
            Name(sources[0], "", more) if sources else "—",
        ),
        norm.low > result.threshold,
    )
