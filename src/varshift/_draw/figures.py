"""Numbers and names as they are written: errors beside figures, long paths cut from the left."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from unicodedata import combining, east_asian_width

from varshift.results import FootprintSite, Noise, Route, Structure

__all__ = [
    *("behind", "cells", "drop", "figure", "fixed", "measured"),
    *("noise_names", "place", "shortened", "stood", "through"),
]

_DUST = 1e-9  # an error that is so small a part of its figure is rounding, not sampling
_FINEST = 4  # decimals at most


def figure(value: float | None, digits: int = 6) -> str:
    """An exact number to some digits, a whole one in full; a dash where there is none."""
    if value is None:
        return "—"
    if not math.isfinite(value):
        return "n/a" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.{digits}g}"


def fixed(value: float, digits: int = 3) -> str:
    """So many decimals, and a zero without a sign; what is too large for that with an exponent.

    >>> fixed(-0.0001), fixed(0.5, 2), fixed(3e9)
    ('0.000', '0.50', '3e+09')
    """
    if not math.isfinite(value):
        return figure(value)
    if abs(value) >= 1e6:
        return f"{value:.3g}"
    text = _rounded(value, digits)
    return text if float(text) else text.lstrip("-")


def measured(value: float, error: float, digits: int = 3) -> str:
    """A figure with its standard error, to the digits that the error supports.

    So many decimals as asked for where that is enough: then figures stand in line. An error of
    nothing is not printed.

    >>> measured(0.5123, 0.0042), measured(262.9, 4.223, 2), measured(0.5, 1e-4), measured(1.0, 0.0)
    ('0.512 ± 0.004', '263 ± 4', '0.5000 ± 0.0001', '1.000')
    >>> measured(4e-5, 3e-6), measured(0.5, float("nan"))
    ('4.0e-05 ± 3e-06', '0.500 ± n/a')
    """
    if not math.isfinite(value):
        return figure(value)
    if not math.isfinite(error):
        return f"{_alone(value, digits)} ± n/a"
    if error <= _DUST * abs(value):
        return _alone(value, digits)
    if abs(value) >= 1e6 or error >= 1e6 or max(abs(value), error) < 1e-3:
        return _powers(value, error)
    # More decimals than asked for only where the error would print as nothing: columns stay narrow.
    finer = min(-_order(error), max(digits, _FINEST)) if not float(_rounded(error, digits)) else 0
    places = min(max(0, -_order(error)), digits) if abs(value) >= 100 else max(digits, finer)
    written = _rounded(error, places)
    return f"{fixed(value, places)} ± {written if float(written) else f'{error:.0e}'}"


def _alone(value: float, digits: int) -> str:
    small = 0 < abs(value) < 1e-3
    return f"{value:.2g}" if small or abs(value) >= 1e6 else fixed(value, digits)


def _powers(value: float, error: float) -> str:
    """Both with exponents, the figure to the place of the error's first digit."""
    digits = min(max(0, _order(value) - _order(error)), 3) if value else 0
    return f"{value:.{digits}e} ± {error:.0e}"


def _order(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _rounded(value: float, places: int) -> str:
    """Halves away from zero, as people round; Python's own takes 1234.5 for 1234."""
    return str(Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def cells(text: str) -> int:
    """The columns of a terminal that a text takes: two for a Chinese character.

    >>> cells("norm"), cells("归一化")
    (4, 6)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text
    )


def shortened(text: str, width: int) -> str:
    """The end of a long path, which is the part that tells; `width` in columns of a terminal.

    >>> shortened("stages.0.norm", 8), shortened("归一化", 5)
    ('….0.norm', '…一化')
    """
    if cells(text) <= width:
        return text
    kept = text[-width:]  # no character takes less than a column, but for accents
    while kept and cells(kept) >= width:
        kept = kept[1:]
    return "…" + kept


def drop(noise: Noise) -> str:
    """The rate of a source, as far as it is known."""
    if noise.drop_p is not None:
        return f"{noise.drop_p:g}"
    return f"τ {noise.tau:.3g}" if noise.tau is not None else "?"


def place(noise: Noise, width: int | None = None) -> str:
    """`file.py:12`, from the current folder or that of the packages; in `width` columns."""
    if noise.line is None:
        return "—"
    return noise.line.near if width is None else shortened(noise.line.near, width)


def through(route: Route) -> str:
    """The layers on a route, by kind."""
    return " → ".join(layer.kind for layer in route.layers) or "nothing between"


def behind(structure: Structure, path: str) -> tuple[str, str, str]:
    """The nearest source directly behind a norm: its placement, its name, and how many more."""
    routes = sorted(structure.behind(path), key=lambda route: route.placement)
    if not routes:
        return "", "—", ""
    more = f" +{len(routes) - 1}" if len(routes) > 1 else ""
    return f"({routes[0].placement}) ", routes[0].noise, more


def stood(place: str, noise: str, norm: str) -> tuple[str, str, str]:
    """Where a noise met by `norm` is taken to have stood: a name, with words before and after it.

    >>> "".join(stood("conv2", "element", "norm2")), "".join(stood("conv2", "channel", "norm2"))
    ('before conv2', 'before conv2 (maps)')
    >>> "".join(stood("norm2", "element", "norm2"))
    'before the norm'
    """
    after = " (maps)" if noise == "channel" else ""
    if place == norm:
        return "before the norm", "", after
    return "before ", place or "the model itself", after


def noise_names(records: Sequence[FootprintSite]) -> list[str]:
    """A name for each noise: its norm's, with its place where several meet at one norm."""
    times = Counter(record.path for record in records)
    return [
        record.path
        if times[record.path] == 1 or record.place == record.path
        else f"{shortened(record.place, 10)} → {shortened(record.path, 11)}"
        for record in records
    ]
