"""The page of `inspect`."""

from __future__ import annotations

from varshift._draw.figures import shortened
from varshift._draw.page.bodies.plain import body
from varshift._draw.page.bodies.shared import (
    EXPLAIN,
    MEASURE,
    REPAIR,
    add_routes,
    add_what_if,
    direct_routes,
    sources,
)
from varshift._draw.page.parts import Body, Cell, Column, Table, counted, name_cell, number_cell
from varshift.results import Structure

__all__: list[str] = []


@body.register
def _structure(result: Structure) -> Body:
    made = Body(_summary(result), missing=[MEASURE, EXPLAIN, REPAIR])
    add_routes(made, result, {})
    made.add("norms", "Norms", "Every normalisation with running statistics.", _norms(result))
    add_what_if(made)
    return made


def _summary(result: Structure) -> list[str]:
    active = sum(noise.active for noise in result.noises)
    hit = dict.fromkeys(route.norm for route in result.direct())
    said = [
        f"{counted(active, 'noise source')} drew in one training pass; the model has "
        f"{counted(len(result.norms), 'norm')} with running statistics."
    ]
    if not hit:
        return [*said, "No noise reaches a norm directly: no shift is expected from it there."]
    first = next(iter(hit))
    return [
        *said,
        f"Noise reaches {counted(len(hit), 'norm')} directly, so what they store is the variance "
        "under noise, which is not what arrives at test.",
        f"The first is {shortened(first, 80)}, behind {sources(result, first)}.",
    ]


def _norms(result: Structure) -> list[Table]:
    direct = direct_routes(result)
    rows = [
        [
            name_cell(norm.path),
            name_cell(norm.kind),
            number_cell(norm.channels),
            number_cell(norm.momentum),
            Cell("yes" if norm.frozen else "no", str(norm.frozen)),
            number_cell(norm.calls),
            number_cell(len(direct[norm.path])),
        ]
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
    return [Table(counted(len(rows), "norm"), columns, rows)] if rows else []
