"""`varshift repair`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from varshift._cli.lending import lent_data, lent_forward, lent_model, pictures_of, shared
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
    ModelKwargs,
    Root,
    Target,
)
from varshift._cli.output import FORMATS, Report, finish, known, say, show
from varshift.errors import UsageError

__all__ = ["repair"]


def repair(
    target: Target,
    data: Annotated[str, typer.Option(help=DATA)],
    held_out: Annotated[
        str | None, typer.Option(help="data to judge by; else part of --data is held out")
    ] = None,
    checkpoint: Checkpoint = None,
    model_kwargs: ModelKwargs = None,
    method: Annotated[
        str, typer.Option(help="auto, or recalibrate, correct, distill … joined by +")
    ] = "auto",
    out: Annotated[
        str | None, typer.Option(help="write the repaired weights there (.safetensors, .pt)")
    ] = None,
    into: Annotated[
        str, typer.Option(help="where distill writes: affine or statistics")
    ] = "affine",
    kind: Annotated[
        str | None,
        typer.Option(help="outputs are logits, probabilities or values; else read off the first"),
    ] = None,
    labels: Annotated[bool, typer.Option(help="judge by labels where there are any")] = True,
    passes: Annotated[int, typer.Option(help="noisy passes that are averaged")] = 8,
    level: Annotated[float, typer.Option(help="chance of keeping a repair that is none")] = 0.05,
    max_samples: Annotated[int, typer.Option(help="to repair with, at most")] = 2048,
    max_held_out: Annotated[int, typer.Option(help="to judge by, at most")] = 4096,
    include_frozen: Annotated[
        bool, typer.Option("--include-frozen", help="also change norms in eval mode")
    ] = False,
    seed: Annotated[int, typer.Option(help="of the split, the noise and the fit")] = 0,
    root: Root = None,
    image_size: ImageSize = None,
    batch_size: BatchSize = 64,
    device: Device = None,
    forward: Forward = None,
    format: Format = "text",
    report: Report = None,
    exit_zero: ExitZero = False,
    debug: Debug = False,
) -> None:
    """Repair trained weights, kept only if measured to help. Exits with 1 if noise stays unmended.

    With 0 where a repair was kept (and written to --out), or no noise reaches a norm.
    """
    from varshift._loading import refuse_unwritable, save_checkpoint
    from varshift._repair.repairing import repair as verb
    from varshift.judging import Judge

    known(format, FORMATS, report)  # --out takes the weights
    if out is not None:
        refuse_unwritable(out)
        if Path(out).is_dir():
            raise UsageError(f"--out {out!r} is a folder; name a file in it, as in {out}/fixed.pt")
    model, notes = lent_model(target, checkpoint, device, model_kwargs)
    pictures = pictures_of(model, target, model_kwargs, image_size)
    batches = lent_data(data, pictures, root=root, batch_size=batch_size, labelled=True)
    others = (
        None
        if held_out is None
        else lent_data(held_out, pictures, root=root, batch_size=batch_size, labelled=True)
    )
    done = verb(
        model,
        batches,
        held_out=others,
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
        forward=lent_forward(forward),
    )
    if out is not None and done.accepted:
        save_checkpoint(model, out)
    show(done, format, None, notes, report)
    if out is not None:
        said = "the repaired weights are in" if done.accepted else "nothing was written to"
        say(f"{said} {out}")
    finish(bool(done.candidates) and not done.accepted, exit_zero)
