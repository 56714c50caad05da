"""`varshift recalibrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from varshift._cli.command import examples
from varshift._cli.lending import Lent, shared
from varshift._cli.options import Data
from varshift._cli.output import Answer, say, takes_weights

__all__ = ["recalibrate"]


@examples(
    "varshift recalibrate net.py:make --checkpoint weights.pt \\",
    "    --data data.py:train --out fixed.safetensors",
)
def recalibrate(
    *,
    data: Data,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="write the weights there (.safetensors, .pt)")
    ],
    include_frozen: Annotated[
        bool, typer.Option("--include-frozen", help="also rewrite norms in eval mode")
    ] = False,
    frozen: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="norms to leave alone, as in 'head.*'; repeatable"),
    ] = None,
    max_samples: Annotated[
        int | None,
        typer.Option(metavar="N", help="stop after so many samples; 1,000 to 10,000 suffice"),
    ] = None,
    lent: Lent,
    answer: Answer,
) -> None:
    """Exact noise-off statistics, written with the weights.

    They go to --out, after one pass over the data.
    Whether they make the model better is not measured: `repair` does that.
    """
    from varshift._loading import save_checkpoint
    from varshift._repair.recalibration import recalibrate as verb

    takes_weights(out)
    done = verb(
        lent.model,
        lent.batches(data),
        max_samples=shared(max_samples),
        include_frozen=include_frozen,
        frozen=frozen or (),
        progress=True,
        forward=lent.function,
    )
    save_checkpoint(lent.model, out)
    answer.show(done)
    held = "recalibrated weights" if done.sites else "weights as they were"
    say(f"the {held} are in {out}")
