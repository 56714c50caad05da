"""`varshift explain`."""

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

__all__ = ["explain"]


def explain(
    target: Target,
    data: Annotated[str, typer.Option(help="training data, in the batch size of training")],
    test_data: Annotated[str | None, typer.Option(help="data the model is evaluated on")] = None,
    checkpoint: Checkpoint = None,
    root: Root = None,
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
    from varshift._loading import load_data

    known(format, FORMATS, report, out)
    model, notes = lent_model(target, checkpoint, device)
    batches = load_data(data, root=root, batch_size=batch_size)
    others = None if test_data is None else load_data(test_data, root=root, batch_size=batch_size)
    explanation = verb(
        model,
        batches,
        test_data=others,
        max_samples=max_samples,
        progress=True,
        forward=lent_forward(forward),
    )
    show(explanation, format, out, notes, report)
    finish(explanation.verdict != "none", exit_zero)
