"""`varshift inspect`."""

from __future__ import annotations

from typing import Annotated

import typer

from varshift._cli.lending import first_batch, lent_forward, lent_model, pictures_of, shaped
from varshift._cli.options import (
    DATA,
    Checkpoint,
    Debug,
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
from varshift.errors import UsageError

__all__ = ["inspect"]


def inspect(
    target: Target,
    checkpoint: Checkpoint = None,
    model_kwargs: ModelKwargs = None,
    input_shape: Annotated[
        list[str] | None, typer.Option(help="such as 3,64,64 without the batch; repeatable")
    ] = None,
    data: Annotated[str | None, typer.Option(help=DATA)] = None,
    root: Root = None,
    image_size: ImageSize = None,
    forward: Forward = None,
    format: Format = "text",
    out: Out = None,
    report: Report = None,
    exit_zero: ExitZero = False,
    debug: Debug = False,
) -> None:
    """Which noise reaches which norm, by which route. Exits with 1 if any does directly."""
    from varshift._inspect.inspecting import inspect as verb
    from varshift._loading import example_from_shapes

    known(format, FORMATS, report, out)
    if (data is None) == (not input_shape):
        raise UsageError("give an example: either --input-shape 3,64,64 or --data")
    model, notes = lent_model(target, checkpoint, None, model_kwargs)
    pictures = pictures_of(model, target, model_kwargs, image_size)
    example = first_batch(data, root, pictures) if data else example_from_shapes(input_shape or [])
    with shaped(input_shape):
        structure = verb(model, example, progress=True, forward=lent_forward(forward))
    show(structure, format, out, notes, report)
    finish(bool(structure.direct()), exit_zero)
