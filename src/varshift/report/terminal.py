"""Tables that read well at 80 columns."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from varshift.calculator import Calculation
from varshift.measure import Measurement, Site
from varshift.repair import Recalibration
from varshift.report.figures import behind, drop, figure, measured, place, shortened, through
from varshift.report.layout import MOST, columns, group, more, table
from varshift.structure import Structure

__all__ = ["table"]

# What a calculation calls its numbers: the sign of each, and in words.
_SIGNS = {
    "shift": "Δ",
    "direct_shift": "Δ direct",
    "train_var": "var_train",
    "var_test": "var_test",
    "var": "v",
    "mean": "c",
    "tau": "τ",
    "sigma": "σ",
    "beta": "β",
    "max_tau": "max τ",
    "max_drop_p": "max drop_p",
    "min_width": "min d",
    "second": "c² + v",
    "d_cos2": "d·cos²θ",
    "d_cos2_mean": "E[d·cos²θ]",
    "d_cos2_sd": "s.d.",
    "mean_low": "mean, low",
    "mean_high": "mean, high",
    "rho": "ρ",
    "energy": "N",
    "stored_var": "V",
}
_WORDS = {
    "shift": "variance at test ÷ variance in training",
    "severity": "Δ or 1/Δ, whichever is larger",
    "direct_shift": "with no weights between, as for random filters",
    "train_var": "variance in training",
    "var": "variance, noise off",
    "mean": "mean, noise off",
    "second": "noise energy of dropout right after it",
    "gain": "mean slope, Cov(x, f)/Var x",
    "tau": "relative variance of the noise",
    "drop_p": "dropout of as much noise",
    "keep_p": "dropout of as much noise, the paper's p",
    "sigma": "Gaussian noise of as much, N(1, σ²)",
    "beta": "Uout of as much, U(−β, β); there is none above τ = 1/3",
    "max_drop_p": "the most that keeps Δ at the bound",
    "max_tau": "the same for any noise",
    "min_width": "the smallest width that keeps Δ at the bound",
    "d_cos2_mean": "of a filter of random direction",
    "d_cos2_sd": "standard deviation",
    "low": "of the band that holds it with probability level",
    "high": "and its other end",
    "mean_low": "of the band for the mean over the filters",
    "mean_high": "and its other end",
}


@table.register
def _structure(result: Structure) -> RenderableType:
    active = [noise for noise in result.noises if noise.active]
    silent = len(result.noises) - len(active)
    noises = columns(
        "Noise sources that draw in training", "source", "operation", "drop", "shared by", "line"
    )
    for noise in active[:MOST]:
        noises.add_row(
            *map(escape, (shortened(noise.name, 24), noise.operation, drop(noise))),
            noise.sharing,
            escape(place(noise, 22)),
        )
    routes = columns("Norms that noise reaches directly", "norm", "behind it", "through")
    first = {route.norm: route for route in reversed(result.direct())}
    for path, route in sorted(first.items(), key=lambda item: _position(result, item[0]))[:MOST]:
        names = (shortened(path, 26), behind(result, path, 34))
        routes.add_row(*map(escape, names), escape(through(route)))
    hit = {route.norm for route in result.direct()}
    lines = [
        f"{len(active)} active and {silent} silent noise sources, {len(result.norms)} norms, "
        f"{len(hit)} of them reached directly by noise."
    ]
    parts: list[RenderableType] = []
    if active:
        parts += [noises, *more(len(active))]
    if hit:
        parts += [routes, *more(len(hit))]
        lines.append(
            "(a): nothing with weights between the noise and the norm. (b): a linear or "
            "convolution layer between."
        )
    return group(parts, lines, result.notes)


@table.register
def _measurement(result: Measurement) -> RenderableType:
    worst = sorted(result.sites.values(), key=lambda site: -_rank(site))[:MOST]
    chosen = {site.path for site in worst}
    sites = columns(
        f"Shift of the variance over {result.samples} samples in {result.batches} batches",
        "norm",
        "Δ test/train",
        "severity",
        "paper's",
        "noise behind",
    )
    for path, site in result.sites.items():
        if path in chosen:
            sites.add_row(
                escape(shortened(path, 18)),
                measured(site.shift, site.shift_se),
                measured(site.severity, site.severity_se, 2),
                measured(site.paper, site.paper_se, 2),
                escape(behind(result.structure, path, 20)),
                style="bold" if _rank(site) > 1.1 else "",
            )
    lines = [
        "Δ: variance at test ÷ variance in training, median over channels (below 1: the norm "
        "divides by too much). Severity: Δ or 1/Δ, whichever is larger; bold above 1.1 by more "
        "than two standard errors. Paper's: ratio of channel means against the stored variance. "
        "± one standard error."
    ]
    dead = {path: site.dead for path, site in result.sites.items() if site.dead}
    notes = [f"{path}: {len(channels)} dead channels left out" for path, channels in dead.items()]
    notes += [f"{path}: not measured, {reason}" for path, reason in result.skipped.items()]
    return group([sites, *more(len(result.sites))], lines, [*notes, *result.notes])


@table.register
def _recalibration(result: Recalibration) -> RenderableType:
    sites = columns(
        f"Statistics rewritten from {result.samples} samples in {result.batches} batches",
        "norm",
        "channels",
        "values per channel",
        "new ÷ old variance",
    )
    for path, change in list(result.sites.items())[:MOST]:
        sites.add_row(
            escape(shortened(path, 36)),
            str(len(change.after.var)),
            str(change.after.count),
            f"{change.ratio:.3f}",
        )
    notes = [f"{path}: left alone, {reason}" for path, reason in result.skipped.items()]
    lines = ["New ÷ old variance: median over channels. undo() restores the old ones bit for bit."]
    return group([sites, *more(len(result.sites))], lines, [*notes, *result.notes])


@table.register
def _calculation(result: Calculation) -> RenderableType:
    answer = ", ".join(f"{_sign(key)} = {figure(result.outputs[key])}" for key in result.headline)
    given = ", ".join(
        f"{_sign(key)} {value if isinstance(value, str) else figure(value)}"
        for key, value in result.inputs.items()
    )
    head = Group(Text(answer, style="bold"), Text(result.formula), Text(f"at {given}", "dim"))
    numbers = Table.grid(padding=(0, 2))
    for key, value in result.outputs.items():
        numbers.add_row(escape(_sign(key)), figure(value), Text(_WORDS.get(key, ""), "dim"))
    over = "widths" if "d" in result.lines[0] else "drop rates"
    lines = columns(f"Over {over}", *(escape(_sign(key)) for key in result.lines[0]))
    for line in result.lines:
        lines.add_row(*(figure(value, 4) for value in line.values()))
    return group([head, numbers, lines], [], result.notes)


def _sign(key: str) -> str:
    return _SIGNS.get(key, key)


def _position(result: Structure, path: str) -> int:
    return [norm.path for norm in result.norms].index(path)


def _rank(site: Site) -> float:
    """Severity less two standard errors, NaN last."""
    error = site.severity_se if site.severity_se == site.severity_se else 0.0
    rank = site.severity - 2 * error
    return rank if rank == rank else 0.0
