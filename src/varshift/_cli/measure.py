"""`varshift measure`."""

from __future__ import annotations

from typing import Annotated

import typer

from varshift._cli.lending import lent_data, lent_forward, lent_model, pictures_of, shared
from varshift._cli.options import (
    DATA,
    BatchSize,
    Checkpoint,
    Debug,
    Device,
    ExitZero,
    Format,
    Forward,
    ImageSize,
    ModelKwargs,
    Out,
    Root,
    Target,
)
from varshift._cli.output import FORMATS, Report, finish, known, show

__all__ = ["measure"]

_SEVERE = 1.1  # severity, two standard errors taken off, from which `measure` exits with 1


def measure(
    target: Target,
    data: Annotated[str, typer.Option(help=DATA)],
    checkpoint: Checkpoint = None,
    model_kwargs: ModelKwargs = None,
    root: Root = None,
    image_size: ImageSize = None,
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
    from varshift._measure.measuring import measure as verb

    known(format, FORMATS, report, out)
    model, notes = lent_model(target, checkpoint, device, model_kwargs)
    pictures = pictures_of(model, target, model_kwargs, image_size)
    batches = lent_data(data, pictures, root=root, batch_size=batch_size)
    measurement = verb(
        model,
        batches,
        max_samples=shared(max_samples),
        progress=True,
        forward=lent_forward(forward),
    )
    show(measurement, format, out, notes, report)
    severe = [
        site
        for site in measurement.sites.values()
        if site.severity - 2 * (site.severity_se if site.severity_se >= 0 else 0) > _SEVERE
    ]
    finish(bool(severe), exit_zero)
