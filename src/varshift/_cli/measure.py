"""`varshift measure`."""

from __future__ import annotations

from typing import Annotated

import typer

from varshift._cli.lending import lent_forward, lent_model
from varshift._cli.options import (
    BatchSize,
    Checkpoint,
    Debug,
    Device,
    ExitZero,
    Format,
    Forward,
    Out,
    Root,
    Target,
)
from varshift._cli.output import FORMATS, Report, finish, known, show

__all__ = ["measure"]

_SEVERE = 1.1  # severity, two standard errors taken off, from which `measure` exits with 1


def measure(
    target: Target,
    data: Annotated[str, typer.Option(help="module:factory, a file of inputs, or a named set")],
    checkpoint: Checkpoint = None,
    root: Root = None,
    batch_size: BatchSize = 64,
    max_samples: Annotated[int | None, typer.Option(help="stop after so many")] = None,
    device: Device = None,
    forward: Forward = None,
    format: Format = "text",
    out: Out = None,
    report: Report = None,
    exit_zero: ExitZero = False,
    debug: Debug = False,
) -> None:
    """How far the variance shifts at each norm. Exits with 1 if severity − 2 s.e. exceeds 1.1."""
    from varshift._loading import load_data
    from varshift._measure.measuring import measure as verb

    known(format, FORMATS, report, out)
    model, notes = lent_model(target, checkpoint, device)
    batches = load_data(data, root=root, batch_size=batch_size)
    measurement = verb(
        model, batches, max_samples=max_samples, progress=True, forward=lent_forward(forward)
    )
    show(measurement, format, out, notes, report)
    severe = [
        site
        for site in measurement.sites.values()
        if site.severity - 2 * (site.severity_se if site.severity_se >= 0 else 0) > _SEVERE
    ]
    finish(bool(severe), exit_zero)
