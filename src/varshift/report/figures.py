"""Numbers and names as they are written: errors beside figures, long paths cut from the left."""

from __future__ import annotations

import math

from varshift.structure import Noise, Route, Structure

__all__ = ["behind", "drop", "figure", "measured", "place", "shortened", "through"]


def figure(value: float | None, digits: int = 6) -> str:
    """An exact number to some digits, a whole one in full; a dash where there is none."""
    if value is None:
        return "—"
    if not math.isfinite(value):
        return "n/a" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.{digits}g}"


def measured(value: float, error: float, digits: int = 3) -> str:
    """`0.512 ± 0.004`; no figure without its error."""
    if not math.isfinite(value):
        return "n/a" if math.isnan(value) else "∞"
    if not math.isfinite(error):
        return f"{value:.{digits}f} ± n/a"
    if abs(value) >= 100:
        return f"{value:.2g} ± {error:.1g}"
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def shortened(text: str, width: int) -> str:
    """The end of a long path, which is the part that tells."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]


def drop(noise: Noise) -> str:
    """The rate of a source, as far as it is known."""
    if noise.drop_p is not None:
        return f"{noise.drop_p:g}"
    return f"τ {noise.tau:.3g}" if noise.tau is not None else "?"


def place(noise: Noise, width: int) -> str:
    """`file.py:12`, without the folders that do not fit."""
    if noise.line is None:
        return "—"
    return shortened(str(noise.line).rsplit("site-packages/", 1)[-1], width)


def through(route: Route) -> str:
    """The layers on a route, by kind."""
    return " → ".join(layer.kind for layer in route.layers) or "nothing between"


def behind(structure: Structure, path: str, width: int) -> str:
    """Names of the sources directly behind a norm, the nearest first."""
    routes = sorted(structure.behind(path), key=lambda route: route.placement)
    if not routes:
        return "—"
    more = f" +{len(routes) - 1}" if len(routes) > 1 else ""
    first = f"({routes[0].placement}) {shortened(routes[0].noise, width - len(more) - 4)}"
    return first + more
