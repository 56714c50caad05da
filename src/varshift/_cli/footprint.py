"""`varshift footprint`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from varshift._cli.command import examples
from varshift._cli.lending import Lent, shared
from varshift._cli.options import MaxSamples, TrainingData
from varshift._cli.output import FileAnswer, finish
from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift._footprint.memory import Momentum

__all__ = ["footprint"]

_KINDS: dict[str, Literal["training", "similar"]] = {
    "training": "training",
    "similar": "similar",
}


@examples(
    "varshift footprint net.py:make --checkpoint weights.pt --data data.py:train",
    "varshift footprint net.py:make --checkpoint weights.pt \\",
    "    --data pictures:train --place body.0 \\",
    "    --data-is similar --batch-size 16 --image-size 64",
)
def footprint(
    *,
    data: TrainingData,
    place: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH", help="module that noise may have stood right before; repeatable"
        ),
    ] = None,
    data_is: Annotated[
        str,
        typer.Option(
            metavar="training|similar",
            help="similar: not the training data but like them, so that only patterns count",
        ),
    ] = "training",
    momentum: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|unknown",
            help="torch's momentum of the norms in training (1 minus Keras'), for files without it",
        ),
    ] = None,
    max_samples: MaxSamples = 4096,
    lent: Lent,
    answer: FileAnswer,
) -> None:
    """The dropout a checkpoint was trained with.

    It is read from the statistics that the norms have stored. Exits with 1 if any is claimed.
    """
    from varshift._footprint.estimating import footprint as verb

    kind, memory = _kind(data_is), _momentum(momentum)
    found = verb(
        lent.model,
        lent.batches(data),
        data=kind,
        places=place,
        momentum=memory,
        max_samples=shared(max_samples),
        progress=True,
        forward=lent.function,
    )
    answer.show(found)
    finish(bool(found.claimed), answer.exit_zero)


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
