"""`varshift explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from varshift._cli.lending import lent_data, lent_forward, lent_model, pictures_of, shared
from varshift._cli.options import (
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

__all__ = ["explain"]


def explain(
    target: Target,
    data: Annotated[str, typer.Option(help="training data, in the batch size of training")],
    test_data: Annotated[str | None, typer.Option(help="data the model is evaluated on")] = None,
    checkpoint: Checkpoint = None,
    model_kwargs: ModelKwargs = None,
    root: Root = None,
    image_size: ImageSize = None,
    batch_size: BatchSize = 64,
    max_samples: Annotated[int, typer.Option(help="stop after so many of each")] = 4096,
    device: Device = None,
    forward: Forward = None,
    format: Format = "text",
    out: Out = None,
    report: Report = None,
    exit_zero: ExitZero = False,
    debug: Debug = False,
) -> None:
    """Whose fault the gap is: noise, stale statistics, small batches, data. Exits with 1 if any."""
    from varshift._explain.explaining import explain as verb

    known(format, FORMATS, report, out)
    model, notes = lent_model(target, checkpoint, device, model_kwargs)
    pictures = pictures_of(model, target, model_kwargs, image_size)
    batches = lent_data(data, pictures, root=root, batch_size=batch_size)
    others = (
        None
        if test_data is None
        else lent_data(test_data, pictures, root=root, batch_size=batch_size)
    )
    explanation = verb(
        model,
        batches,
        test_data=others,
        max_samples=shared(max_samples),
        progress=True,
        forward=lent_forward(forward),
    )
    show(explanation, format, out, notes, report)
    finish(explanation.verdict != "none", exit_zero)
