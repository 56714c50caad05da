"""The document of `inspect`: which noise reaches which norm."""

from __future__ import annotations

from varshift._counting import counted
from varshift._draw.document import Cell, Column, Document, Row, Table
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import name, named, number, words
from varshift._draw.documents.parts import (
    EXPLAIN,
    MEASURE,
    REPAIR,
    add_calculator,
    add_routes,
    behind_cell,
    direct_routes,
    sources,
)
from varshift._draw.figures import through
from varshift.results import Structure

__all__: list[str] = []


@document.register
def _structure(result: Structure) -> Document:
    hit = list(dict.fromkeys(route.norm for route in result.direct()))
    made = Document(
        _head(result, len(hit)),
        points=[f"{named(path)}, behind {sources(result, path)}" for path in hit[:3]],
        following="Next: predict (how far that shifts the variance), measure (how far it does)."
        if hit
        else "",
        meanings=[
            "(a): no layer with weights stands between the noise and the norm. (b): a linear "
            "or convolution layer does."
        ]
        if hit
        else [],
        notes=result.notes,
        missing=[MEASURE, EXPLAIN, REPAIR],
    )
    tables = [_reached(result, hit)] if hit else []
    made.picture = add_routes(made, result, {}, tables=tables, wide=False)
    made.add("norms", "Norms", "Every normalisation with running statistics.", _norms(result))
    add_calculator(made)
    return made


def _head(result: Structure, hit: int) -> str:
    active = sum(noise.active for noise in result.noises)
    silent = len(result.noises) - active
    drew = f"{counted(active, 'noise source')} drew in one training pass"
    if silent:
        drew += f", {silent} {'was' if silent == 1 else 'were'} silent"
    return f"{drew}. {_reaching(hit, len(result.norms))}"


def _reaching(hit: int, norms: int) -> str:
    if norms == 1:
        return f"Noise {'reaches' if hit else 'does not reach'} the one norm directly."
    return f"Noise reaches {hit or 'none'} of {norms} norms directly."


def _reached(result: Structure, hit: list[str]) -> Table:
    order = {norm.path: index for index, norm in enumerate(result.norms)}
    first = {route.norm: route for route in reversed(result.direct())}
    rows = [
        Row((name(path), behind_cell(result, path), words(through(first[path]))))
        for path in sorted(hit, key=lambda path: order.get(path, len(order)))
    ]
    columns = [
        Column("norm", numeric=False),
        Column("behind it", numeric=False),
        Column("through", numeric=False),
    ]
    return Table("Norms that noise reaches directly", columns, rows)


def _norms(result: Structure) -> list[Table]:
    direct = direct_routes(result)
    rows = [
        Row(
            (
                name(norm.path),
                name(norm.kind),
                number(norm.channels),
                number(norm.momentum),
                Cell("yes" if norm.frozen else "no"),
                number(norm.calls),
                number(len(direct[norm.path])),
            )
        )
        for norm in result.norms
    ]
    columns = [
        Column("norm", numeric=False),
        Column("kind", numeric=False),
        Column("channels"),
        Column("momentum", "of the moving average; — where it averages all batches"),
        Column("frozen", "used its stored statistics in training", False),
        Column("calls", "in one training pass"),
        Column("direct routes", "from noise sources"),
    ]
    return [Table(counted(len(rows), "norm"), columns, rows, wide=True)] if rows else []
