"""What colours stand for, once: for pages, pictures in notebooks, and matplotlib.

Grades go from a quiet grey to a dark plum on light paper, to a bright red on dark. They are far
apart for every common kind of colour blindness, and a word always stands beside them. Every colour
is read on its paper: 4.5 to 1 at least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["COLOURS", "CYCLE", "Colour", "variables"]


@dataclass(frozen=True)
class Colour:
    """One meaning's colour on light paper and on dark."""

    light: str
    dark: str


COLOURS: Mapping[str, Colour] = MappingProxyType(
    {
        "paper": Colour("#ffffff", "#14171b"),
        "raised": Colour("#f5f6f8", "#1d2127"),
        "ink": Colour("#1b1f24", "#e7e9ec"),
        "quiet": Colour("#5b6470", "#9aa4b1"),
        "rule": Colour("#d9dde3", "#343a43"),
        "train": Colour("#c2410c", "#fb923c"),
        "test": Colour("#1d4ed8", "#7aa7ff"),
        "stored": Colour("#67727f", "#8b97a5"),
        "data": Colour("#0f766e", "#2dd4bf"),
        "grade-none": Colour("#5f6e87", "#a8b4cb"),
        "grade-mild": Colour("#986503", "#f5dc8a"),
        "grade-clear": Colour("#882612", "#fd8440"),
        "grade-severe": Colour("#560b34", "#fb4273"),
        "good": Colour("#0f7a52", "#6fe8b8"),
    }
)
"""By meaning: roles, grades, a repair that helped, and the paper they stand on."""

CYCLE: tuple[Colour, ...] = (
    Colour("#0072b2", "#56b4e9"),
    Colour("#d55e00", "#ff9d57"),
    Colour("#00805e", "#2fd3a6"),
    Colour("#b0578d", "#e59cc7"),
    Colour("#8a6d00", "#f0e442"),
    Colour("#5a4fcf", "#a79cff"),
    Colour("#8b1e1e", "#ff8a80"),
    Colour("#3d4a57", "#c3ccd6"),
)
"""For lines that stand for nothing but themselves, after Okabe and Ito."""


def variables(selector: str = ":root") -> str:
    """A style sheet that names every colour: `var(--train)`, `var(--grade-severe)` and so on.

    Paper is light, whatever the screen is.

    >>> print(variables(".picture")[:39])
    .picture { color-scheme: light dark; --
    """
    named = {**COLOURS, **{f"line-{index}": colour for index, colour in enumerate(CYCLE)}}
    light = " ".join(f"--{name}: {colour.light};" for name, colour in named.items())
    dark = " ".join(f"--{name}: {colour.dark};" for name, colour in named.items())
    return (
        f"{selector} {{ color-scheme: light dark; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ {selector} {{ {dark} }} }}\n"
    )
