"""Which noise reaches which norm: sources to the left, norms to the right, a line per route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from varshift._draw.figures import drop, place, shortened, through
from varshift._draw.page.canvas import Canvas, said
from varshift._draw.page.clean import brief
from varshift._draw.page.pictures.axes import beside
from varshift.results import Noise, Route, Structure

__all__ = ["route_diagram"]

_ROW, _TOP, _MOST, _BETWEEN = 24.0, 44.0, 40, 150.0


def route_diagram(
    structure: Structure, severity: Mapping[str, float], rates: Mapping[str, str] | None = None
) -> Canvas | None:
    """The direct routes; of many norms those that `severity` finds worst. None without routes.

    `rates` has other words for the rates of sources: what a prediction was asked for.
    """
    routes = _chosen(structure, severity)
    if not routes:
        return None
    ends = {end for route in routes for end in (("noise", route.noise), ("norm", route.norm))}
    noises = [noise for noise in structure.noises if ("noise", noise.name) in ends]
    norms = [norm.path for norm in structure.norms if ("norm", norm.path) in ends]
    rows = max(len(noises), len(norms))
    here = max(beside((noise.name for noise in noises), 28) + 40, 150.0)
    there = here + _BETWEEN
    canvas = Canvas(
        there + max(beside(norms, 30) + 30, 190.0),
        _TOP + _ROW * rows + 40,
        "Routes from noise sources to norms",
    )
    canvas.caption = _left_out(structure, routes, bool(severity))
    left = _heights([noise.name for noise in noises], rows)
    right = _heights(norms, rows)
    canvas.text(here - 12, 20, "noise source, rate", "strong", anchor="end")
    canvas.text(there + 12, 20, "norm, severity" if severity else "norm", "strong")
    for route in routes:
        start, end = (here, left[route.noise]), (there, right[route.norm])
        told = said(f"{route.noise} → {route.norm}", f"({route.placement}) {through(route)}")
        canvas.bow(start, end, f"route {route.placement}", hint=told)
    for noise in noises:
        rate = (rates or {}).get(noise.name, drop(noise))
        _noise(canvas, noise, rate, here, left[noise.name])
    for norm in norms:
        _norm(canvas, norm, there, right[norm], severity.get(norm))
    _key(canvas, _TOP + _ROW * rows + 22)
    return canvas


def _chosen(structure: Structure, severity: Mapping[str, float]) -> list[Route]:
    direct = structure.direct()
    reached = list(dict.fromkeys(route.norm for route in direct))
    known = {norm: size for norm, size in severity.items() if size == size}
    kept = set(sorted(reached, key=lambda norm: -known.get(norm, 0.0))[:_MOST])
    return [route for route in direct if route.norm in kept][: 4 * _MOST]


def _left_out(structure: Structure, routes: Sequence[Route], ranked: bool) -> str:
    direct = structure.direct()
    words = []
    if len(routes) < len(direct):
        which = "those to the norms that shift most" if ranked else "the first ones"
        words.append(f"{len(routes)} of {len(direct)} direct routes are drawn, {which}.")
    behind = len(structure.routes) - len(direct)
    if behind:
        words.append(f"{behind} more routes lead through another norm and are not drawn.")
    return " ".join(words)


def _heights(names: Sequence[str], rows: int) -> dict[str, float]:
    """Spread evenly over the height of the longer side."""
    step = _ROW * rows / max(len(names), 1)
    return {name: _TOP + step * (index + 0.5) for index, name in enumerate(names)}


def _noise(canvas: Canvas, noise: Noise, rate: str, x: float, y: float) -> None:
    lines = [f"{noise.operation}, one draw per {noise.sharing}"]
    lines += [place(noise, 120), noise.line.code] if noise.line is not None else []
    words = f"{shortened(noise.name, 28) or noise.operation}  {rate}"
    canvas.text(x - 12, y + 4, words, anchor="end", hint=said(noise.name, *lines))
    canvas.dot(x, y, "train", size=5, hint=said(noise.name, *lines))


def _norm(canvas: Canvas, path: str, x: float, y: float, severity: float | None) -> None:
    size = "" if severity is None or severity != severity else f"  {brief(severity)}"
    hot = "hot" if severity is not None and severity > 1.1 else "stored"
    canvas.text(x + 12, y + 4, shortened(path, 30) + size, hint=said(path))
    canvas.dot(x, y, hot, size=5, hint=said(path, f"severity{size}" if size else ""))


def _key(canvas: Canvas, y: float) -> None:
    for x, role, words in (
        (4.0, "route a", "(a) straight into the norm"),
        (232.0, "route b", "(b) through weights"),
    ):
        canvas.line(x, y - 4, x + 36, y - 4, role)
        canvas.text(x + 44, y, words)
