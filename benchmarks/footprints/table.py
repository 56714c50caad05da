"""The tables: by kind of network, by way to end a training, by data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import markdown_tables
from benchmarks.footprints.plan import KINDS
from benchmarks.footprints.scoring import Verdict, verdicts

PAGE = "footprints.md"
WAYS = {
    "given": "with the places given where such a network may have dropout",
    "found": "by the default call",
}
HEADINGS = (
    *("networks", "norms read", "truth in the interval", "median error", "noise claimed"),
    *("wrong place", "undecided", "claims where clean", "claims of twins"),
)
TRAININGS = {"annealed": "SGD, annealed", "adam": "Adam", "constant": "SGD at a constant rate"}
DATA = {"digits": "digits", "fashion": "Fashion-MNIST"}
Line = dict[str, Any]


def rows(lines: list[Line], way: str) -> Iterator[tuple[str, ...]]:
    """A row for each kind, each training, each data set, and all."""
    groups: list[tuple[str, Callable[[Line], bool]]] = []
    groups += [(kind, _where("kind", kind)) for kind in sorted(KINDS)]
    groups += [(title, _where("optimiser", name)) for name, title in TRAININGS.items()]
    groups += [(title, _where("data", name)) for name, title in DATA.items()]
    for title, belongs in (*groups, ("all", lambda line: True)):
        own = [line for line in lines if belongs(line)]
        if own:
            yield title, *_cells(own, way)


def _where(name: str, value: str) -> Callable[[Line], bool]:
    return lambda line: bool(line[name] == value)


def _cells(lines: list[Line], way: str) -> tuple[str, ...]:
    noisy = [line for line in lines if not line["twin"]]
    found = _of(noisy, way)
    read = [one for one in found if one.drop_p is not None]
    met = [one for one in read if one.true]
    clean = [one for one in read if not one.true]
    twins = [one for one in _of([x for x in lines if x["twin"]], way) if one.drop_p is not None]
    errors = [abs(one.drop_p - one.true) for one in met if one.drop_p is not None]
    return (
        f"{len(noisy)} + {len(lines) - len(noisy)}",
        f"{len(read)} of {len(found)}",
        _share(one.held for one in read),
        f"{median(errors):.3f}" if errors else "—",
        _share(one.claimed for one in met),
        str(sum(one.place == "wrong" and one.claimed for one in met)),
        str(sum(one.place == "undecided" for one in met)),
        _count(one.claimed for one in clean),
        _count(one.claimed for one in twins),
    )


def _of(lines: list[Line], way: str) -> list[Verdict]:
    return [one for line in lines for one in verdicts(line, way)]


def _share(held: Iterable[bool]) -> str:
    all_of = list(held)
    return f"{100 * sum(all_of) / len(all_of):.0f} %" if all_of else "—"


def _count(held: Iterable[bool]) -> str:
    all_of = list(held)
    return f"{sum(all_of)} of {len(all_of)}"


def show(lines: list[Line], console: Console) -> None:
    """On the terminal."""
    for way, title in WAYS.items():
        table = Table("", *HEADINGS, title=f"read {title}")
        for row in rows(lines, way):
            table.add_row(*row)
        console.print(table)


def write(lines: list[Line], folder: Path) -> None:
    """The page that the documentation takes in."""
    text = ["<!-- written by `python -m benchmarks footprints` -->"]
    for way, title in WAYS.items():
        text += [f"Read {title}:", "", markdown_tables.table(["", *HEADINGS], rows(lines, way)), ""]
    (folder / PAGE).write_text("\n".join(text), encoding="utf-8")
