"""`varshift predict`."""

from __future__ import annotations

import math
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from varshift._cli.command import examples
from varshift._cli.lending import Lent, shaped, shared
from varshift._cli.made_inputs import note_on_made_inputs
from varshift._cli.options import DATA, InputShape, MaxSamples
from varshift._cli.output import FileAnswer, finish, write
from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift.results import Prediction

__all__ = ["predict"]


@examples(
    "varshift predict net.py:make --checkpoint weights.pt --data data.py:train \\",
    "    --noise 'head.*=0.1'",
    "varshift predict net.py:make --checkpoint weights.pt --input-shape 3,64,64",
)
def predict(
    *,
    data: Annotated[str | None, typer.Option(metavar="SPEC", help=DATA)] = None,
    input_shape: InputShape = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB=RATE",
            help="other noise: 'GLOB=0.3', 'GLOB=beta:0.2', 'GLOB=sigma:0.5'; repeatable",
        ),
    ] = None,
    move: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE=MODULE", help="put the noise before the module; repeatable"),
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="as if layers were so many times as wide; needs --data")
    ] = None,
    max_severity: Annotated[
        float, typer.Option(help="severity above which the exit code is 1")
    ] = 1.1,
    max_samples: MaxSamples = 4096,
    lent: Lent,
    answer: FileAnswer,
) -> None:
    """What the shift would be, with the weights as they are.

    Exits with 1 if a severity exceeds --max-severity at the better end of its band.
    """
    from varshift._loading import example_from_shapes
    from varshift._predict.predicting import predict as verb

    if not 1 < max_severity < math.inf:
        raise UsageError(
            f"--max-severity is {max_severity}; pass a finite number above 1, such as 1.1"
        )
    if (data is None) == (not input_shape):
        raise UsageError("give either --data, or --input-shape 3,64,64 to predict without data")
    lent_data: dict[str, Any] = (
        {"example": example_from_shapes(input_shape or [])}
        if data is None
        else {"data": lent.batches(data)}
    )
    with shaped(input_shape):
        prediction = verb(
            lent.model,
            **lent_data,
            noise=dict(_law(item) for item in noise or ()),
            moved=dict(_pair(item, "--move") for item in move or ()),
            width=width,
            max_samples=shared(max_samples) if data is not None else None,
            progress=True,
            forward=lent.function,
        )
    if data is None:
        note = note_on_made_inputs(lent_data["example"])
        prediction = replace(prediction, notes=(note, *prediction.notes))
    answer.show(prediction)
    if answer.format == "text" and answer.out is None:
        _say_largest(prediction, max_severity)
    severe = [site for site in prediction.sites.values() if site.sure > max_severity]
    finish(bool(severe), answer.exit_zero)


def _say_largest(prediction: Prediction, max_severity: float) -> None:
    largest = prediction.max_drop_p(max_severity)
    if largest:
        norms = len(largest) - 1
        of = "the one norm" if norms == 1 else f"each of the {norms} norms"
        said = (
            f"Largest drop_p that keeps {of} that noise reaches directly, and that could be "
            f"predicted, at a severity of {max_severity:g}: {largest['']:.3f}."
        )
        write(textwrap.fill(said, 80), None)


def _pair(item: str, option: str) -> tuple[str, str]:
    name, found, value = item.rpartition("=")
    if not found:
        raise UsageError(f"{option} {item!r} has no '='; write it as {option} 'NAME=VALUE'")
    return name, value


def _law(item: str) -> tuple[str, Any]:
    from varshift.theory import gaussian, tau_of, uout

    name, value = _pair(item, "--noise")
    kind, _, number = value.rpartition(":")
    try:
        rate = float(number)
    except ValueError:
        raise UsageError(f"--noise {item!r}: {number!r} is not a number") from None
    if kind not in ("", "beta", "sigma"):
        raise UsageError(f"--noise {item!r}: {kind!r} is neither beta nor sigma")
    try:
        tau_of(rate if kind == "" else 0.0)  # which refuses what is no drop_p
        return name, rate if kind == "" else uout(rate) if kind == "beta" else gaussian(rate)
    except UsageError as error:
        raise UsageError(f"--noise {item!r}: {error}") from error
