"""`varshift footprint`."""

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
    MaxSamples,
    Out,
    Root,
    Target,
)
from varshift._cli.output import FORMATS, Report, finish, known, show

__all__ = ["footprint"]


def footprint(
    target: Target,
    data: Annotated[str, typer.Option(help="training data, in the batch size of training")],
    place: Annotated[
        list[str] | None,
        typer.Option(help="path of a layer where noise may have stood; repeatable"),
    ] = None,
    checkpoint: Checkpoint = None,
    root: Root = None,
    batch_size: BatchSize = 64,
    max_samples: MaxSamples = 4096,
    device: Device = None,
    forward: Forward = None,
    format: Format = "text",
    out: Out = None,
    report: Report = None,
    exit_zero: ExitZero = False,
    debug: Debug = False,
) -> None:
    """The dropout a checkpoint was trained with, read from its statistics. Exits with 1 if any."""
    from varshift._footprint.estimating import footprint as verb
    from varshift._loading import load_data

    known(format, FORMATS, report, out)
    model, notes = lent_model(target, checkpoint, device)
    batches = load_data(data, root=root, batch_size=batch_size)
    found = verb(
        model,
        batches,
        places=place,
        max_samples=max_samples,
        progress=True,
        forward=lent_forward(forward),
    )
    show(found, format, out, notes, report)
    finish(bool(found.claimed), exit_zero)
