"""`varshift predict`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from varshift._cli.lending import lent_data, lent_forward, lent_model, pictures_of, shaped, shared
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
    MaxSamples,
    ModelKwargs,
    Out,
    Root,
    Target,
)
from varshift._cli.output import FORMATS, Report, finish, known, show
from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift.results import Prediction

__all__ = ["predict"]


def predict(
    target: Target,
    data: Annotated[str | None, typer.Option(help=DATA)] = None,
    input_shape: Annotated[
        list[str] | None, typer.Option(help="without data: such as 3,64,64; repeatable")
    ] = None,
    noise: Annotated[
        list[str] | None, typer.Option(help="'GLOB=0.3', 'GLOB=beta:0.2', 'GLOB=sigma:0.5'")
    ] = None,
    move: Annotated[list[str] | None, typer.Option(help="'SOURCE=MODULE': noise before it")] = None,
    width: Annotated[float | None, typer.Option(help="so many times as wide; needs data")] = None,
    max_severity: Annotated[float, typer.Option(help="of what largest drop_p is allowed")] = 1.1,
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
    """What the shift would be, weights fixed. Exits with 1 if a severity exceeds --max-severity."""
    from varshift._loading import example_from_shapes
    from varshift._predict.predicting import predict as verb

    known(format, FORMATS, report, out)
    if (data is None) == (not input_shape):
        raise UsageError("give either --data, or --input-shape 3,64,64 to predict without data")
    model, notes = lent_model(target, checkpoint, device, model_kwargs)
    pictures = pictures_of(model, target, model_kwargs, image_size)
    lent: dict[str, Any] = (
        {"example": example_from_shapes(input_shape or [])}
        if data is None
        else {"data": lent_data(data, pictures, root=root, batch_size=batch_size)}
    )
    with shaped(input_shape):
        prediction = verb(
            model,
            **lent,
            noise=dict(_law(item) for item in noise or ()),
            moved=dict(_pair(item, "--move") for item in move or ()),
            width=width,
            max_samples=shared(max_samples) if data is not None else None,
            progress=True,
            forward=lent_forward(forward),
        )
    show(prediction, format, out, notes, report)
    if format == "text" and out is None:
        _say_largest(prediction, max_severity)
    severe = [site for site in prediction.sites.values() if site.severity > max_severity]
    finish(bool(severe), exit_zero)


def _say_largest(prediction: Prediction, max_severity: float) -> None:
    largest = prediction.max_drop_p(max_severity)
    if largest:
        norms = len(largest) - 1
        of = "the one norm" if norms == 1 else f"each of the {norms} norms"
        said = (
            f"Largest drop_p that keeps {of} that noise reaches directly, and that could be "
            f"predicted, at a severity of {max_severity:g}: {largest['']:.3f}."
        )
        print(textwrap.fill(said, 80))


def _pair(item: str, option: str) -> tuple[str, str]:
    name, found, value = item.rpartition("=")
    if not found:
        raise UsageError(f"{option} {item!r} has no '='; write it as {option} 'NAME=VALUE'")
    return name, value


def _law(item: str) -> tuple[str, Any]:
    from varshift.theory import gaussian, uout

    name, value = _pair(item, "--noise")
    kind, _, number = value.rpartition(":")
    try:
        rate = float(number)
    except ValueError:
        raise UsageError(f"--noise {item!r}: {number!r} is not a number") from None
    if kind not in ("", "beta", "sigma"):
        raise UsageError(f"--noise {item!r}: {kind!r} is neither beta nor sigma")
    return name, rate if kind == "" else uout(rate) if kind == "beta" else gaussian(rate)
