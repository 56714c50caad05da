"""The document of `repair`: what was tried, what was kept, and what it changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from varshift._counting import counted, plural
from varshift._draw.document import Cell, Column, Document, Part, Row, Table
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import chance, name, named, number, words
from varshift._draw.documents.parts import EXPLAIN, MEASURE, add_routes
from varshift._draw.figures import figure
from varshift._draw.pictures.described import Boxes, Interval, Intervals, Role
from varshift.results import Candidate, Repair, Score

__all__: list[str] = []

_NOTHING = Cell("")


@document.register
def _repair(result: Repair) -> Document:
    tried = result.before is not None
    made = Document(
        _head(result),
        tone="good" if result.accepted else None,
        detail=_detail(result),
        picture=_changes(result),
        meanings=[_judged(result)] if tried else [],
        following="Next: explain (whose fault the gap is)."
        if tried and not result.accepted
        else "",
        notes=result.notes,
        missing=[MEASURE, EXPLAIN],
        facts=_facts(result) if tried else {},
    )
    made.add(
        "trials",
        "Every repair that was tried",
        "Each was judged on the same held-out samples as the model as trained. Left of 0 the loss "
        "is lower. A repair passes if that is beyond chance; the best that passed is kept.",
        [*([made.picture] if made.picture else []), *([_table(result)] if tried else [])],
    )
    made.add(
        "written",
        "What was written",
        "The tensors of the model that hold other values now. undo() restores the old ones bit for "
        "bit.",
        _written(result),
    )
    add_routes(made, result.structure, {})
    return made


def _head(result: Repair) -> str:
    kept, before = result.kept, result.before
    if kept is not None and before is not None and kept.score is not None and kept.trial:
        return (
            f"Repaired by {kept.method}: {_measure(result)} {before.loss:.4g} → "
            f"{kept.score.loss:.4g}, a change of {_signed(kept.trial.loss.mean, 3)} "
            f"(95 %: {_interval(kept, 3)})."
        )
    if _compared(result):
        return "Not repaired: no repair helped. The model is untouched."
    return "Not repaired:"


def _detail(result: Repair) -> str:
    """What goes with the head: right answers where they are known, the reason where it is all."""
    if not result.accepted:
        return "" if _compared(result) else result.reason
    before, after = result.before, result.after
    said = f"{_sentence_of_tensors(result)}; undo() restores the old values bit for bit."
    if before is None or after is None or before.accuracy is None or after.accuracy is None:
        return said
    return f"Right answers: {100 * before.accuracy:.1f} % → {100 * after.accuracy:.1f} %. {said}"


def _compared(result: Repair) -> bool:
    """Whether a repair was measured, so that the table says why it was not kept."""
    if result.before is None or not math.isfinite(result.before.loss):
        return False
    return any(candidate.trial is not None for candidate in result.candidates)


def _sentence_of_tensors(result: Repair) -> str:
    kinds = sorted({name.rpartition(".")[2] for name in result.changes})
    number = len(result.changes)
    verb = "was" if number == 1 else "were"
    return f"{counted(number, 'tensor')} {verb} written ({', '.join(kinds)})"


def _measure(result: Repair) -> str:
    return f"held-out {'loss' if result.judged_by == 'labels' else 'divergence'}"


def _changes(result: Repair) -> Intervals | None:
    """Not the losses: samples differ far more from each other than repairs do."""
    if result.before is None:
        return None
    rows = [Interval("as trained", 0.0, 0.0, 0.0, "train", f"{_loss(result.before)}")]
    rows += [_change(result, one) for one in result.candidates if one.trial is not None]
    if result.aim is not None and result.reference is not None:
        unknown = float("nan")  # it was not scored sample by sample beside the others
        told = _loss(result.reference)
        rows.append(
            Interval("(noisy average)", result.aim, unknown, unknown, "data", told, hollow=True)
        )
    return Intervals(
        f"Change of the {_measure(result)} under each repair",
        f"change of {_measure(result)}, paired over samples, 95 % interval",
        rows,
        0.0,
    )


def _change(result: Repair, candidate: Candidate) -> Interval:
    assert candidate.trial is not None
    loss = candidate.trial.loss
    told = f"{_signed(loss.mean, 3)}, {_interval(candidate, 2)}, {_verdict(result, candidate)}"
    kept = candidate.method == result.method
    role: Role = "good" if kept else "stored"
    label = f"{candidate.method}, kept" if kept else ""
    return Interval(candidate.method, loss.mean, loss.low, loss.high, role, told, label)


def _table(result: Repair) -> Table:
    assert result.before is not None
    right = result.before.accuracy is not None
    columns = [
        Column("repair", numeric=False),
        Column("loss", "mean over the held-out samples"),
        Column("±", "one standard error of that mean", wide=True),
        *([Column("right", "share of right answers")] if right else []),
        Column("change", "of the loss, paired over samples; negative is better"),
        Column("95 %", "interval of that change"),
        Column(
            "p-value",
            "how often chance alone changes the loss as much; a repair passes below the level that "
            "was asked, shared over all repairs tried",
            wide=True,
        ),
        Column("seconds", "to make it, judging left out", wide=True),
        Column("verdict", numeric=False),
    ]
    untried = [_NOTHING] * 4
    rows = [Row([words("as trained"), *_score(result.before, right), *untried, _NOTHING])]
    rows += [_candidate(result, candidate, right) for candidate in result.candidates]
    if result.reference is not None:
        aim = [*_score(result.reference, right), *untried, words("what distill aims at")]
        rows.append(Row([words("(noisy average)"), *aim]))
    title = f"Judged on {counted(result.held_out, 'held-out sample')}"
    return Table(title, columns, rows, below=list(_failures(result)))


def _candidate(result: Repair, candidate: Candidate, right: bool) -> Row:
    trial = candidate.trial
    changed = [_NOTHING] * 3
    if trial is not None:
        changed = [
            Cell(_signed(trial.loss.mean, 3), sort=trial.loss.mean),
            Cell(_interval(candidate, 2), sort=trial.loss.low),
            chance(trial.loss.p_value),
        ]
    cells = [
        words(candidate.method),
        *_score(candidate.score, right),
        *changed,
        number(candidate.seconds, 3),
        words(_verdict(result, candidate)),
    ]
    return Row(cells, tone="good" if candidate.method == result.method else "none")


def _score(score: Score | None, right: bool) -> list[Cell]:
    if score is None:
        return [Cell("—", sort="")] * (2 + right)
    loss = [Cell(f"{score.loss:.4g}", sort=score.loss), number(score.loss_se, 2)]
    if not right:
        return loss
    if score.accuracy is None:
        return [*loss, Cell("—", sort="")]
    return [*loss, Cell(f"{100 * score.accuracy:.1f} %", sort=score.accuracy)]


def _verdict(result: Repair, candidate: Candidate) -> str:
    return "kept" if candidate.method == result.method else candidate.verdict


def _failures(result: Repair) -> Iterator[str]:
    """Why a repair could not be made, in full."""
    for candidate in result.candidates:
        if candidate.verdict == "failed":
            yield f"{candidate.method} failed: {candidate.reason}."


def _judged(result: Repair) -> str:
    said = (
        f"Made on {counted(result.calibration, 'sample')}, judged on {result.held_out} others "
        f"({_split(result)}) by {_by(result)}, paired over samples."
    )
    averaged = result.reference is not None or result.judged_by != "labels"
    return said + (" Noisy average: many passes with the noise on." if averaged else "")


def _facts(result: Repair) -> dict[str, str]:
    return {
        "calibration samples": f"{result.calibration:,}",
        "held-out samples": f"{result.held_out:,}, {_split(result)}",
        "judged by": _by(result),
        "random seed": "seed= of the call, 0 unless given"
        if result.split_seed is None
        else str(result.split_seed),
    }


def _split(result: Repair) -> str:
    return "given" if result.split_seed is None else f"split off by seed {result.split_seed}"


def _by(result: Repair) -> str:
    """Labels, and which item of a batch they are; or what stands for them."""
    if result.judged_by != "labels":
        return "divergence from the noisy average"
    item = result.labels_from
    if item is None:
        return "labels"
    return (
        f"labels (item {item} of a batch)" if isinstance(item, int) else f"labels ({named(item)})"
    )


def _written(result: Repair) -> Sequence[Part]:
    if not result.changes:
        return []
    variances = result.variances
    boxes = Boxes(
        "How the repair changed the stored variance of each norm",
        "new ÷ old running_var per channel: median, middle half, 5 to 95 %",
        list(variances),
        [change.ratios for change in variances.values()],
    )
    columns = [
        Column("tensor", numeric=False),
        Column("values"),
        Column("moved by", "median of |new − old|"),
        Column("new ÷ old", "of running_var, median over channels"),
    ]
    rows = [
        Row(
            [
                name(path),
                number(change.after.numel()),
                number(change.moved),
                number(change.ratio if path.endswith("running_var") else None),
            ]
        )
        for path, change in result.changes.items()
    ]
    number_of = len(rows)
    title = f"{number_of} {plural(number_of, 'tensor')} written"
    return [*([boxes] if variances else []), Table(title, columns, rows, wide=True)]


def _loss(score: Score) -> str:
    return f"loss {figure(score.loss, 4)} ± {figure(score.loss_se, 2)}"


def _interval(candidate: Candidate, digits: int) -> str:
    assert candidate.trial is not None
    loss = candidate.trial.loss
    return f"{_signed(loss.low, digits)} to {_signed(loss.high, digits)}"


def _signed(value: float, digits: int) -> str:
    """With its sign, which a zero has none of."""
    return f"{value:+.{digits}g}" if value else "0"
