"""The pages of `repair`, `recalibrate`, `replace` and `relocate`: before and after."""

from __future__ import annotations

from varshift._draw.accounts.remedies import by_labels
from varshift._draw.figures import figure
from varshift._draw.page.bodies.plain import body, rows_table
from varshift._draw.page.bodies.shared import EXPLAIN, MEASURE, add_routes, median
from varshift._draw.page.parts import (
    Body,
    Cell,
    Column,
    Part,
    Table,
    chance_cell,
    counted,
    name_cell,
    number_cell,
)
from varshift._draw.page.pictures import Interval, Series, boxes, by_depth, intervals
from varshift.results import Candidate, Recalibration, Repair, Rewrite, Rewrote, Score

__all__: list[str] = []


@body.register
def _repair(result: Repair) -> Body:
    labelled = result.judged_by == "labels"
    split = "given" if result.split_seed is None else f"split off by seed {result.split_seed}"
    made = Body(
        [f"{'Repaired' if result.accepted else 'Not repaired'}: {result.reason}"],
        missing=[MEASURE, EXPLAIN],
        facts={
            "calibration samples": f"{result.calibration:,}",
            "held-out samples": f"{result.held_out:,}, {split}",
            "judged by": by_labels(result) if labelled else result.judged_by,
            "random seed": "seed= of the call, 0 unless given"
            if result.split_seed is None
            else str(result.split_seed),
        },
    )
    made.add(
        "before-after",
        "Before and after",
        "Every repair that was tried, judged on held-out samples, paired with the model as "
        "trained. One whose interval lies left of 0 beyond chance passes; the best is kept, or "
        "none.",
        _trials(result),
    )
    made.add(
        "changes",
        "What was written",
        "undo() puts all of it back bit for bit.",
        _changes(result),
    )
    add_routes(made, result.structure, {})
    return made


def _trials(result: Repair) -> list[Part]:
    if result.before is None:
        return []
    kept = "train" if result.accepted else "stored"
    scores = [_scored("as trained", result.before, kept)]
    scores += [_scored(c.method, c.score, _role(result, c)) for c in result.candidates if c.score]
    if result.reference is not None:
        scores.append(_scored("(noisy average)", result.reference, "data"))
    label = "loss on held-out samples, ± 1 standard error; level: as trained"
    if result.judged_by != "labels":
        label = "divergence from the noisy average, ± 1 standard error; level: as trained"
    about = "Loss on held-out samples, as trained and under each repair"
    parts: list[Part] = [intervals(scores, result.before.loss, label, about)]
    trials = [_trial(result, c) for c in result.candidates if c.trial is not None]
    if trials:
        told = "change of loss, 95 % interval, paired over samples"
        parts.append(intervals(trials, 0.0, told, "Change of loss under each repair"))
    return [*parts, _candidates(result, result.before)]


def _role(result: Repair, candidate: Candidate) -> str:
    return "test" if candidate.method == result.method else "stored"


def _scored(name: str, score: Score, role: str) -> Interval:
    told = f"loss {figure(score.loss, 4)} ± {figure(score.loss_se, 2)}"
    low, high = score.loss - score.loss_se, score.loss + score.loss_se
    return Interval(name, score.loss, low, high, role, told)


def _trial(result: Repair, candidate: Candidate) -> Interval:
    assert candidate.trial is not None
    loss = candidate.trial.loss
    told = f"{loss.mean:+.3g}, {loss.low:+.2g} to {loss.high:+.2g}, p {figure(loss.p_value, 2)}"
    return Interval(
        candidate.method, loss.mean, loss.low, loss.high, _role(result, candidate), told
    )


def _candidates(result: Repair, before: Score) -> Table:
    columns = [
        Column("repair", numeric=False),
        Column("loss", "mean over held-out samples, ± one standard error"),
        Column("right", "share of right predictions"),
        Column("change of loss", "paired; negative is better"),
        Column("95 %", "interval of that change"),
        Column("p-value", "how often chance alone would change the loss as much"),
        Column("seconds", "to make it"),
        Column("verdict", numeric=False, wraps=True),
    ]
    none = [Cell("")] * 4
    rows = [[Cell("as trained"), *_score(before), *none, Cell("")]]
    rows += [_candidate(result, candidate) for candidate in result.candidates]
    if result.reference is not None:
        rows.append(
            [
                Cell("(noisy average)"),
                *_score(result.reference),
                *none,
                Cell("what distill aims at"),
            ]
        )
    return Table(counted(result.held_out, "held-out sample"), columns, rows)


def _candidate(result: Repair, candidate: Candidate) -> list[Cell]:
    trial = candidate.trial
    changed = [Cell("")] * 3
    if trial is not None:
        loss = trial.loss
        changed = [
            Cell(f"{loss.mean:+.3g}", loss.mean),
            Cell(f"{loss.low:+.2g} to {loss.high:+.2g}", loss.low),
            chance_cell(loss.p_value),
        ]
    verdict = "kept" if candidate.method == result.method else candidate.reason or "passed"
    seconds = Cell(f"{candidate.seconds:.2f}", candidate.seconds)
    name = name_cell(candidate.method)
    return [name, *_score(candidate.score), *changed, seconds, Cell(verdict, verdict, verdict)]


def _score(score: Score | None) -> list[Cell]:
    if score is None:
        return [Cell("—"), Cell("—")]
    loss = Cell(f"{figure(score.loss, 4)} ± {figure(score.loss_se, 2)}", score.loss)
    if score.accuracy is None:
        return [loss, Cell("—")]
    return [loss, Cell(f"{100 * score.accuracy:.1f} %", score.accuracy)]


def _changes(result: Repair) -> list[Part]:
    if not result.changes:
        return []
    variances = {
        name.rpartition(".")[0] or name: change.after / change.before
        for name, change in result.changes.items()
        if name.rpartition(".")[2] == "running_var"
    }
    parts: list[Part] = []
    if variances:
        label = "new ÷ old running_var per channel: median, middle half, 5 to 95 %"
        about = "What the repair did to the stored variance of each norm"
        parts.append(boxes(list(variances), list(variances.values()), label, about))
    rows = [
        [
            name_cell(name),
            number_cell(change.after.numel()),
            number_cell(median((change.after - change.before).flatten().abs())),
            number_cell(_ratio(change) if name.endswith("running_var") else None),
        ]
        for name, change in result.changes.items()
    ]
    columns = [
        Column("tensor", numeric=False),
        Column("values"),
        Column("moved by", "median of |new − old|"),
        Column("new ÷ old", "of running_var, median over channels"),
    ]
    return [*parts, Table(f"{counted(len(rows), 'tensor')} written", columns, rows)]


def _ratio(change: Rewrote) -> float:
    return median((change.after / change.before)[change.before > 0])


@body.register
def _recalibration(result: Recalibration) -> Body:
    facts = {"samples": f"{result.samples:,}", "batches": f"{result.batches:,}"}
    said = (
        f"The statistics of {counted(len(result.sites), 'norm')} were rewritten from "
        f"{counted(result.samples, 'sample')}, noise off; undo() restores the old ones bit for bit."
    )
    made = Body([said], missing=[MEASURE], facts=facts, skipped=result.skipped)
    if result.sites:
        made.add(
            "before-after",
            "Stored variance before and after",
            "What each norm will divide by at test.",
            [
                *_rewritten(result),
                *rows_table(result, counted(len(result.sites), "norm"), numbered=True),
            ],
        )
    return made


def _rewritten(result: Recalibration) -> list[Part]:
    changes = list(result.sites.values())
    sides = (("train", "before"), ("test", "after"))
    series = [
        Series(role, side, [median(getattr(change, side).var) for change in changes])
        for role, side in sides
    ]
    label, about = "running_var, median over channels", "Stored variance before and after"
    ratios = [change.after.var / change.before.var for change in changes]
    return [
        by_depth(list(result.sites), series, label, about, gap=True),
        boxes(list(result.sites), ratios, "new ÷ old running_var per channel", about),
    ]


@body.register
def _rewrite(result: Rewrite) -> Body:
    before, after = (len({r.norm for r in s.routes}) for s in (result.before, result.after))
    made = Body([f"Noise reached {counted(before, 'norm')}, and now {after}."], missing=[MEASURE])
    made.add("changes", "What was changed", "", rows_table(result, "Changes and patches"))
    add_routes(made, result.after, result.severities)
    return made
