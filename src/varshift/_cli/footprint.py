"""`varshift footprint`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

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
    MaxSamples,
    ModelKwargs,
    Out,
    Root,
    Target,
)
from varshift._cli.output import FORMATS, Report, finish, known, show
from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift._footprint.memory import Momentum

__all__ = ["footprint"]

_KINDS: dict[str, Literal["training", "similar"]] = {
    "training": "training",
    "similar": "similar",
}


def footprint(
    target: Target,
    data: Annotated[str, typer.Option(help="training data, in the batch size of training")],
    place: Annotated[
        list[str] | None,
        typer.Option(help="path of a module on whose input noise may have stood; repeatable"),
    ] = None,
    data_is: Annotated[
        str,
        typer.Option(
            metavar="training|similar",
            help="similar: like those of training and not the same, so that only patterns count",
        ),
    ] = "training",
    momentum: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|unknown",
            help="of the norms in training, torch's (1 minus Keras'), where the file has lost it",
        ),
    ] = None,
    checkpoint: Checkpoint = None,
    model_kwargs: ModelKwargs = None,
    root: Root = None,
    image_size: ImageSize = None,
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

    known(format, FORMATS, report, out)
    kind, memory = _kind(data_is), _momentum(momentum)
    model, notes = lent_model(target, checkpoint, device, model_kwargs)
    pictures = pictures_of(model, target, model_kwargs, image_size)
    batches = lent_data(data, pictures, root=root, batch_size=batch_size)
    found = verb(
        model,
        batches,
        data=kind,
        places=place,
        momentum=memory,
        max_samples=shared(max_samples),
        progress=True,
        forward=lent_forward(forward),
    )
    show(found, format, out, notes, report)
    finish(bool(found.claimed), exit_zero)


def _kind(data_is: str) -> Literal["training", "similar"]:
    if data_is not in _KINDS:
        raise UsageError(f"--data-is {data_is!r} is none of {', '.join(_KINDS)}")
    return _KINDS[data_is]


def _momentum(text: str | None) -> Momentum:
    """The number that the text is; the verb's own check refuses any other text but "unknown"."""
    from varshift._footprint.memory import check_momentum

    try:
        momentum: Momentum = None if text is None else float(text)
    except ValueError:
        momentum = cast("Momentum", text)
    check_momentum(momentum)
    return momentum
