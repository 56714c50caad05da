"""`varshift measure`."""

from __future__ import annotations

from typing import Annotated

import typer

from varshift._cli.command import examples
from varshift._cli.lending import Lent, shared
from varshift._cli.options import Data
from varshift._cli.output import FileAnswer, finish

__all__ = ["measure"]

_SEVERE = 1.1  # severity, two standard errors taken off, from which `measure` exits with 1


@examples(
    "varshift measure net.py:make --checkpoint weights.pt --data data.py:train",
    "varshift measure timm:resnet18 --data pictures:train --max-samples 2000",
)
def measure(
    *,
    data: Data,
    max_samples: Annotated[
        int | None, typer.Option(metavar="N", help="stop after so many samples")
    ] = None,
    lent: Lent,
    answer: FileAnswer,
) -> None:
    """How far the variance shifts at each norm.

    Exits with 1 if a severity, less two standard errors, exceeds 1.1.
    """
    from varshift._measure.measuring import measure as verb

    measurement = verb(
        lent.model,
        lent.batches(data),
        max_samples=shared(max_samples),
        progress=True,
        forward=lent.function,
    )
    answer.show(measurement)
    severe = [
        site
        for site in measurement.sites.values()
        if site.severity - 2 * (site.severity_se if site.severity_se >= 0 else 0) > _SEVERE
    ]
    finish(bool(severe), answer.exit_zero)
