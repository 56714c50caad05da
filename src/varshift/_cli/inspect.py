"""`varshift inspect`."""

from __future__ import annotations

from typing import Annotated

import typer

from varshift._cli.command import examples
from varshift._cli.lending import Lent, shaped
from varshift._cli.options import DATA, BatchSize, InputShape
from varshift._cli.output import FileAnswer, finish
from varshift.errors import UsageError

__all__ = ["inspect"]


@examples(
    "varshift inspect net.py:make --input-shape 3,64,64",
    "varshift inspect timm:resnet18 --model-kwargs drop_rate=0.3 \\",
    "    --input-shape 3,224,224",
)
def inspect(
    *,
    input_shape: InputShape = None,
    data: Annotated[
        str | None, typer.Option(metavar="SPEC", help=f"its first batch: {DATA}")
    ] = None,
    batch_size: BatchSize = 2,
    lent: Lent,
    answer: FileAnswer,
) -> None:
    """Which noise reaches which norm, by which route. Exits with 1 if any does directly."""
    from varshift._inspect.inspecting import inspect as verb
    from varshift._loading import example_from_shapes

    if (data is None) == (not input_shape):
        raise UsageError("give an example: either --input-shape 3,64,64 or --data")
    model = lent.model
    example = lent.first_batch(data) if data else example_from_shapes(input_shape or [])
    with shaped(input_shape):
        structure = verb(model, example, progress=True, forward=lent.function)
    answer.show(structure)
    finish(bool(structure.direct()), answer.exit_zero)
