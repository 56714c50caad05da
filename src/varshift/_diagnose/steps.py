"""The table of causes and steps: what each supports, and the gain to expect."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from varshift._diagnose.gains import Gains
from varshift._diagnose.places import Observed
from varshift._explain.verdict import LEAST, sure
from varshift.results import Figure, Norm, StaleCause, Step
from varshift.results.explanation import Cause
from varshift.results.grading import GRADES
from varshift.results.steps import StepKind
from varshift.theory.noise import drop_p_of

__all__ = ["STEPS", "Case"]

_DONE = Figure(1.0, 0.0)  # what is stored is then what evaluation has, exactly
_USUAL = 0.1  # torch's own momentum
_ENOUGH = 32  # values per channel and batch from which small batches are not what parts them
_APART = 0.1  # of a variance that only differs between batches: less is what batches make by chance


@dataclass(frozen=True, eq=False)
class Case:
    """What advice is given on.

    Attributes:
        seen: what the passes have shown.
        gains: what other noise would do.
        trained: whether any norm holds other statistics than it was made with.
    """

    seen: Observed
    gains: Gains
    trained: bool

    def score(self, cause: Cause) -> float:
        """The largest displacement by a cause that is sure."""
        return self.seen.explanation.scores.get(cause, 0.0)

    def norm(self, place: str) -> Norm | None:
        """The norm of that path; None of an output."""
        return next((n for n in self.seen.explanation.structure.norms if n.path == place), None)


def _noise(case: Case, place: str) -> Iterator[Step]:
    explanation = case.seen.explanation
    if place not in explanation.factors:
        yield from _at_an_output(case, place)
        return
    if case.trained:
        yield from _recalibrate(case, "noise")
    yield from _without_statistics(case, place, "noise")
    routed = {route.noise for route in explanation.structure.routes}
    sources = tuple(n.name for n in explanation.structure.noises if n.active and n.name in routed)
    before = case.gains.severity(place, {})
    if sources:
        yield _on_sources(
            case,
            "relocate",
            sources,
            line="vs.relocate(model, example)",
            command="varshift check TARGET --data DATA --fix fix.patch",
            place=place,
            before=before,
            after=case.gains.without(place, sources),
        )
    displaced = [
        path
        for path, site in explanation.factors.items()
        if sure(site.displacement["noise"]) >= LEAST
    ]
    if case.gains.sampled(displaced):
        yield _bounded(case, displaced, place)
    lower = case.gains.lower_rate(displaced)
    if lower is not None:
        active = {noise.name for noise in explanation.structure.noises if noise.active}
        everywhere = len(active) > 1 and active == set(lower.sources)
        by_name = _rates(dict.fromkeys(lower.sources, lower.drop_p))
        asked = f"{lower.drop_p:g}" if everywhere else by_name
        yield _on_sources(
            case,
            "lower-rate",
            lower.sources,
            line=f"vs.replace(model, example, {asked})",
            command="varshift check TARGET --data DATA --fix fix.patch --fix-with dropout",
            place=place,
            before=before,
            after=case.gains.severity(place, lower.ratios),
        )


def _rates(rates: Mapping[str, float]) -> str:
    """A dict of drop rates, as one would write it."""
    return f"{{{', '.join(f'{name!r}: {rate:g}' for name, rate in rates.items())}}}"


def _bounded(case: Case, displaced: list[str], place: str) -> Step:
    """Only predictions at rate after rate tell which is low enough: `replace` makes them."""
    rated = case.gains.rated(displaced)
    rates = _rates({noise.name: noise.drop_p or 0.0 for noise in rated})
    bound = f"max_severity={GRADES['clear']:g}, data=data"
    return _on_sources(
        case,
        "lower-rate",
        tuple(noise.name for noise in rated),
        line=f"vs.replace(model, example, {rates}, {bound})",
        place=place,
    )


def _at_an_output(case: Case, place: str) -> Iterator[Step]:
    """No norm takes the noise up: to first order the mean moves with τ."""
    explanation = case.seen.explanation
    means = explanation.outputs[place].mean_shift.value
    behind = explanation.blame.behind(place)
    for noise in explanation.structure.noises:
        if noise.name in behind and noise.drop_p and noise.tau and noise.drop_p < 1:
            drop_p = math.floor(100 * drop_p_of(noise.tau * LEAST / means)) / 100
            yield _on_sources(
                case,
                "lower-rate",
                (noise.name,),
                line=f"vs.replace(model, example, {_rates({noise.name: drop_p})})",
                place=place,
            )
            return


def _on_sources(
    case: Case,
    kind: StepKind,
    sources: tuple[str, ...],
    *,
    line: str,
    command: str = "",
    place: str,
    before: Figure | None = None,
    after: Figure | None = None,
) -> Step:
    """A step that changes code, shown where the strongest of its sources is made."""
    explanation = case.seen.explanation
    behind = explanation.blame.behind(place) if place in explanation.blame.places else {}
    ordered = sorted(sources, key=lambda name: -abs(behind.get(name, 0.0)))
    origin = case.seen.origin(ordered[0])
    known = before is not None and after is not None
    return Step(
        kind,
        "noise",
        line,
        command,
        place,
        tuple(ordered),
        origin.line,
        origin.line_of,
        before if known else None,
        after if known else None,
    )


def _recalibrate(case: Case, cause: Cause) -> Iterator[Step]:
    """Exact statistics of evaluation: nothing is then left between them and what arrives.

    Not where all that is off are norms that it leaves as they are. Frozen ones are among them: what
    stands behind has learnt with what they have stored.
    """
    explanation = case.seen.explanation
    kept = case.seen.kept | {norm.path for norm in explanation.structure.norms if norm.frozen}
    off = {path: size for path, size in case.seen.off.items() if path not in kept}
    if kept and all(case.seen.fits(path, cause) for path in off):
        return
    place = max(off, key=lambda path: off[path], default=None)
    yield Step(
        "recalibrate",
        cause,
        "vs.recalibrate(model, data)",
        "varshift recalibrate TARGET --data DATA --out recalibrated.pt",
        place or "",
        before=None if place is None else off[place],
        after=None if place is None else _DONE,
    )


def _without_statistics(case: Case, place: str, cause: Cause) -> Iterator[Step]:
    """Of a norm that goes by each sample alone in training, and is never rewritten."""
    norm = case.norm(place)
    if norm is not None and "InstanceNorm" in norm.kind:
        line = f"{norm.kind}({norm.channels}, track_running_stats=False)"
        yield Step("drop-running-statistics", cause, line, place=place)


def _staleness(case: Case, place: str) -> Iterator[Step]:
    yield from _recalibrate(case, "staleness")
    yield from _without_statistics(case, place, "staleness")
    why = case.seen.explanation.stale.get(place)
    path, cause = repr(place), None if why is None else why.cause
    own = place in case.seen.explanation.blame.otherwise  # its flag and momentum mean what it likes
    if cause is StaleCause.FROZEN and not own:
        line = f"model.get_submodule({path}).train()"
        yield Step("unfreeze", "staleness", line, place=place)
    elif cause is StaleCause.LAST_BATCHES:
        yield _mixed("staleness", place)
    elif cause in _BY_MOMENTUM and why is not None and why.momentum != _USUAL and not own:
        line = f"model.get_submodule({path}).momentum = {_USUAL}"
        yield Step("set-momentum", "staleness", line, place=place)


_BY_MOMENTUM = (
    StaleCause.NEVER_UPDATED,
    StaleCause.FEW_STEPS,
    StaleCause.FROM_THE_START,
    StaleCause.LARGE_MOMENTUM,
)


def _mixed(cause: Cause, place: str) -> Step:
    line = "loader = torch.utils.data.DataLoader(dataset, batch_size=batch_size, shuffle=True)"
    return Step("mix-batches", cause, line, place=place)


def _small_batch(case: Case, place: str) -> Iterator[Step]:
    norm, site = case.norm(place), case.seen.explanation.factors.get(place)
    if norm is not None and place in case.seen.explanation.unlike_runs:
        line = (
            f"norms = torch.nn.ModuleList({norm.kind}({norm.channels}) for _ in {norm.calls} * [0])"
        )
        yield Step("separate-norms", "small-batch", line, place=place)
        return
    if norm is not None and "InstanceNorm" in norm.kind:
        yield from _without_statistics(case, place, "small-batch")
        return
    yield from _recalibrate(case, "small-batch")
    explanation, measured = case.seen.explanation, case.seen.measurement.sites.get(place)
    values = 0.0 if measured is None else measured.train.count / explanation.batches
    apart = 0.0 if site is None else abs(site.composition.value - 1)
    alone = 0.0 if site is None else abs(site.batches.value - 1)
    if values >= _ENOUGH and apart > max(alone, _APART):
        yield _mixed("small-batch", place)
        return
    size = 4 * math.ceil(explanation.samples / explanation.batches)
    line = f"loader = torch.utils.data.DataLoader(dataset, batch_size={size}, shuffle=True)"
    yield Step("larger-batches", "small-batch", line, place=place)


def _data(case: Case, place: str) -> Iterator[Step]:
    """Statistics are not at fault: what is to be found out is why the data differs."""
    yield Step(
        "compare-data",
        "data",
        f"diagnosis.explanation.factors[{place!r}].channels['data']",
        "varshift explain TARGET --data DATA --test-data TEST_DATA --report explained.html",
        place=place,
    )


def _other_norms(case: Case, place: str) -> Iterator[Step]:
    """What those norms receive in evaluation has no figure: training never runs them."""
    others = case.seen.explanation.other_norms
    if others is not None and others.evaluation and case.seen.kept.issuperset(others.evaluation):
        return
    for step in _recalibrate(case, "other-norms"):
        yield replace(step, place=place, before=None, after=None)


def _unattributed(case: Case, place: str) -> Iterator[Step]:
    shut = tuple(n.name for n in case.seen.explanation.structure.noises if n.drops_all)
    if shut:  # what stands behind has never learnt from what evaluation lets pass
        rates = _rates(dict.fromkeys(shut, 0.5))
        line, at = f"vs.replace(model, example, {rates})", case.seen.origin(shut[0])
        kind: StepKind = "lower-rate"
        yield Step(kind, "unattributed", line, "", place, shut, at.line, at.line_of)
        return
    yield from _recalibrate(case, "unattributed")
    names = case.seen.explanation.blame.unsilenced
    origin = case.seen.origin(names[0] if names else None)
    yield Step(
        "find-draw",
        "unattributed",
        "print(vs.inspect(model, example))",
        "varshift inspect TARGET --data DATA",
        place,
        names,
        origin.line,
        origin.line_of,
    )


STEPS: dict[Cause, Callable[[Case, str], Iterator[Step]]] = {
    "noise": _noise,
    "staleness": _staleness,
    "small-batch": _small_batch,
    "data": _data,
    "other-norms": _other_norms,
    "unattributed": _unattributed,
}
