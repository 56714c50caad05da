"""Explanations and predictions in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from varshift.explain import Blame, Explanation, Factors, Figure
from varshift.footprint import Footprint
from varshift.predict import Expected, Prediction
from varshift.report.figures import measured, place, shortened
from varshift.report.layout import MOST, columns, group, more, table

__all__: list[str] = []

_CULPRITS = 3  # sources of a site that get a line; the rest is summed up
_LEAST = 0.01  # share of the variance worth a line


@table.register
def _explanation(result: Explanation) -> RenderableType:
    head = Text(f"Verdict: {result.verdict}. ", style="bold")
    parts: list[RenderableType] = [head + Text(result.reason, style="")]
    chosen = _worst(result)
    if chosen:
        parts += [_factors(result, chosen), *more(len(result.factors))]
    if result.blame.share:
        parts += [_blame(result, chosen)]
    if result.outputs and result.blame.noises:
        parts += [_outputs(result)]
    lines = [
        "Total: variance at test ÷ stored variance = noise × batches × stale × data. Noise: off ÷ "
        "on, norms at training statistics. Batches: what normalising by a batch, and averaging "
        "within batches, does. Stale: age of the stored statistics and what it carries on. "
        "± one standard error of the total.",
    ]
    if result.blame.share:
        lines.append(
            f"Share: of the variance in training, each source alone; from 1 % and two standard "
            f"errors. {result.blame.passes} passes, subsets carried by each {result.blame.unit}."
        )
    notes = [f"{path}: not explained, {reason}" for path, reason in result.skipped.items()]
    return group(parts, lines, [*notes, *result.notes])


def _worst(result: Explanation) -> list[str]:
    """The sites that are displaced most, in the model's order."""

    def size(path: str) -> float:
        return max(figure.value for figure in result.factors[path].displacement.values())

    kept = set(sorted(result.factors, key=size, reverse=True)[:MOST])
    return [path for path in result.factors if path in kept]


def _factors(result: Explanation, chosen: list[str]) -> RenderableType:
    title = f"What became of the variance, {result.samples} samples, {result.batches} batches"
    made = columns(title, "norm", "total", "noise", "batches", "stale", "data")
    for path in chosen:
        site = result.factors[path]
        total = measured(site.total.value, site.total.se)
        figures = (site.alone.value, _batches(site), _stale(site), site.data.value)
        made.add_row(escape(shortened(path, 22)), total, *(f"{value:.3f}" for value in figures))
    return made


def _batches(site: Factors) -> float:
    return site.batches.value * site.composition.value


def _stale(site: Factors) -> float:
    return site.carried.value * site.age.value


def _blame(result: Explanation, chosen: list[str]) -> RenderableType:
    made = columns("Whose noise it is", "place", "source", "share", "line")
    places = [*chosen, *result.outputs]
    for name in places[:MOST]:
        for index, (source, share, line) in enumerate(_culprits(result, name)):
            first = escape(shortened(name, 20)) if index == 0 else ""
            made.add_row(first, escape(source), share, escape(line))
    return made


def _culprits(result: Explanation, name: str) -> list[tuple[str, str, str]]:
    blame: Blame = result.blame
    behind = blame.behind(name)
    if not behind:
        return []
    sure = [(source, share) for source, share in behind.items() if _tells(share)]
    rows = [
        (shortened(source, 20), _percent(share), place(result.structure.noise(source), 22))
        for source, share in sure[:_CULPRITS]
    ]
    others = sum(share.value for _, share in sure[_CULPRITS:])
    if abs(others) >= _LEAST:
        rows.append((f"{len(sure) - _CULPRITS} more", f"{100 * others:.1f} %", ""))
    for label, figure in (("interaction", blame.interaction), ("rest", blame.rest)):
        if _tells(figure[name]):
            rows.append((f"({label})", _percent(figure[name]), ""))
    return rows


def _tells(figure: Figure) -> bool:
    """Whether a share is worth a line: large enough, and sure to be there."""
    error = figure.se if figure.se == figure.se else 0.0
    return abs(figure.value) >= max(_LEAST, 2 * error)


def _percent(figure: Figure) -> str:
    error = f" ± {100 * figure.se:.1f}" if figure.se == figure.se else " ± n/a"
    return f"{100 * figure.value:.1f}{error} %"


def _outputs(result: Explanation) -> RenderableType:
    made = columns("Outputs, noise off against on", "output", "mean moves by (σ)", "variance")
    for name, output in list(result.outputs.items())[:MOST]:
        moved, ratio = output.mean_shift, output.var_ratio
        made.add_row(
            escape(shortened(name, 30)),
            measured(moved.value, moved.se),
            f"× {measured(ratio.value, ratio.se)}",
        )
    return made


@table.register
def _prediction(result: Prediction) -> RenderableType:
    chosen = _severest(result)
    made = columns("Shift that theory expects", "norm", "Δ test/train", "band", "severity", "how")
    for path in chosen:
        site = result.sites[path]
        made.add_row(
            escape(shortened(path, 28)),
            f"{site.shift:.3f}",
            _band(site),
            f"{site.severity:.2f}",
            site.how,
            style="bold" if site.severity > 1.1 else "",
        )
    source = f"{result.samples} samples" if result.samples else "the checkpoint alone"
    lines = [
        f"From {source}, the weights as they are. Band: two standard errors with data; without, "
        "what Gaussian moments and earlier norms leave open. Bold: severity above 1.1.",
    ]
    laws = ", ".join(f"{name} τ = {tau:.4g}" for name, tau in list(result.asked.items())[:6])
    if laws:
        lines.append(f"Noise: {laws}{' …' if len(result.asked) > 6 else ''}.")
    notes = list(_by_reason(result.skipped))
    return group([made, *more(len(result.sites))], lines, [*notes, *result.notes])


@table.register
def _footprint(result: Footprint) -> RenderableType:
    made = columns("Noise the checkpoint remembers", "norm", "drop_p", "95 %", "placed", "misfit")
    for path, site in list(result.sites.items())[:MOST]:
        where = "before the norm" if site.placement == "a" else f"before {site.place}"
        made.add_row(
            escape(shortened(path, 24)),
            f"{site.drop_p:.3f}" + (" *" if site.claimed else ""),
            f"{site.low:.3f} to {site.high:.3f}",
            escape(shortened(where, 24)),
            f"{site.misfit:.1f}",
            style="bold" if site.claimed else "",
        )
    lines = [
        f"{result.samples} samples in {result.batches} batches, {result.passes} passes. "
        "*: claims noise. Misfit: 1 is as good as sampling allows; much more says that the noise "
        "stood elsewhere or the weights still moved."
    ]
    notes = [*_by_reason(result.skipped), *result.notes]
    return group([made, *more(len(result.sites))], lines, notes)


def _by_reason(skipped: Mapping[str, str]) -> Iterator[str]:
    """One note for all sites that are left out for the same reason."""
    for reason in dict.fromkeys(skipped.values()):
        paths = [path for path, why in skipped.items() if why == reason]
        more_ = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
        yield f"{', '.join(paths[:4])}{more_}: {reason}"


def _severest(result: Prediction) -> list[str]:
    ranked = sorted(result.sites, key=lambda path: -result.sites[path].severity)
    kept = set(ranked[:MOST])
    return [path for path in result.sites if path in kept]


def _band(site: Expected) -> str:
    if site.low != site.low or site.high != site.high:
        return "n/a"
    return f"{site.low:.3f}–{site.high:.3f}"
