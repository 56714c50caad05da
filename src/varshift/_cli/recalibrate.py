"""`varshift recalibrate`."""

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
    Format,
    Forward,
    ImageSize,
    ModelKwargs,
    Root,
    Target,
)
from varshift._cli.output import FORMATS, Report, known, say, show
from varshift.errors import UsageError

__all__ = ["recalibrate"]


def recalibrate(
    target: Target,
    data: Annotated[str, typer.Option(help=DATA)],
    out: Annotated[str, typer.Option(help="write the weights there (.safetensors, .pt)")],
    checkpoint: Checkpoint = None,
    model_kwargs: ModelKwargs = None,
    include_frozen: Annotated[
        bool, typer.Option("--include-frozen", help="also rewrite norms in eval mode")
    ] = False,
    frozen: Annotated[
        list[str] | None, typer.Option(help="'GLOB' of norms to leave alone; repeatable")
    ] = None,
    root: Root = None,
    image_size: ImageSize = None,
    batch_size: BatchSize = 64,
    max_samples: Annotated[
        int | None, typer.Option(help="stop after so many; 1,000 to 10,000 suffice")
    ] = None,
    device: Device = None,
    forward: Forward = None,
    format: Format = "text",
    report: Report = None,
    debug: Debug = False,
) -> None:
    """Exact noise-off statistics in one pass, written with the weights to --out.

    Whether they make the model better is not measured: `repair` does that.
    """
    from varshift._loading import refuse_unwritable, save_checkpoint
    from varshift._repair.recalibration import recalibrate as verb

    known(format, FORMATS, report)  # --out takes the weights
    refuse_unwritable(out)
    if Path(out).is_dir():
        raise UsageError(f"--out {out!r} is a folder; name a file in it, as in {out}/fixed.pt")
    model, notes = lent_model(target, checkpoint, device, model_kwargs)
    pictures = pictures_of(model, target, model_kwargs, image_size)
    batches = lent_data(data, pictures, root=root, batch_size=batch_size)
    done = verb(
        model,
        batches,
        max_samples=shared(max_samples),
        include_frozen=include_frozen,
        frozen=frozen or (),
        progress=True,
        forward=lent_forward(forward),
    )
    save_checkpoint(model, out)
    show(done, format, None, notes, report)
    say(f"the recalibrated weights are in {out}")
