"""`varshift repair`."""

from __future__ import annotations

from typing import Annotated

import typer

from varshift._cli.command import examples
from varshift._cli.lending import Lent, shared
from varshift._cli.options import Data, ExitZero
from varshift._cli.output import Answer, finish, say, takes_weights

__all__ = ["repair"]


@examples(
    "varshift repair net.py:make --checkpoint weights.pt --data data.py:train \\",
    "    --held-out data.py:test --out repaired.safetensors",
    "varshift repair net.py:make --checkpoint weights.pt --data data.py:train \\",
    "    --method recalibrate --report repair.html",
)
def repair(
    *,
    data: Data,
    held_out: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="data to judge by; else part of --data is held out"),
    ] = None,
    method: Annotated[
        str, typer.Option(help="auto, or recalibrate, correct, distill … joined by +")
    ] = "auto",
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="write the repaired weights there (.safetensors, .pt)"),
    ] = None,
    into: Annotated[
        str, typer.Option(help="where distill writes: affine or statistics")
    ] = "affine",
    kind: Annotated[
        str | None,
        typer.Option(
            help="what outputs are: logits, probabilities or values; else told from the first"
        ),
    ] = None,
    labels: Annotated[bool, typer.Option(help="judge by labels where there are any")] = True,
    passes: Annotated[int, typer.Option(help="noisy forward passes to average")] = 8,
    level: Annotated[
        float, typer.Option(help="largest chance of keeping a repair that does not help")
    ] = 0.05,
    max_samples: Annotated[int, typer.Option(metavar="N", help="samples to repair with")] = 2048,
    max_held_out: Annotated[int, typer.Option(metavar="N", help="samples to judge by")] = 4096,
    include_frozen: Annotated[
        bool, typer.Option("--include-frozen", help="also change norms in eval mode")
    ] = False,
    seed: Annotated[int, typer.Option(help="seed of the split, the noise and the fit")] = 0,
    exit_zero: ExitZero = False,
    lent: Lent,
    answer: Answer,
) -> None:
    """Repair trained weights; keep only what is measured to help.

    Exits with 0 where a repair was kept (and written to --out), or where no noise reaches a norm;
    with 1 where no repair helped.
    """
    from varshift._loading import save_checkpoint
    from varshift._repair.repairing import repair as verb
    from varshift.judging import Judge

    if out is not None:
        takes_weights(out)
    model, batches = lent.model, lent.batches(data, labelled=True)
    judges = None
    if held_out is not None:
        judges = lent.batches(held_out, labelled=True, option="--held-out")
    done = verb(
        model,
        batches,
        held_out=judges,
        method=[name.strip() for name in method.split(",")] if "," in method else method,
        judge=Judge(
            kind=kind,  # type: ignore[arg-type]
            labels=labels,
            passes=passes,
            level=level,
            max_held_out=shared(max_held_out),
        ),
        into=into,  # type: ignore[arg-type]
        max_samples=shared(max_samples),
        include_frozen=include_frozen,
        seed=seed,
        progress=True,
        forward=lent.function,
    )
    if out is not None and done.accepted:
        save_checkpoint(lent.model, out)
    answer.show(done)
    if out is not None:
        said = "the repaired weights are in" if done.accepted else "nothing was written to"
        say(f"{said} {out}")
    finish(bool(done.candidates) and not done.accepted, exit_zero)
