"""`varshift diagnose`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

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
    ModelKwargs,
    Out,
    Root,
    Target,
)
from varshift._cli.output import FORMATS, Report, finish, known, show
from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift.results import Diagnosis

__all__ = ["diagnose"]

_BOUNDS = ("mild", "clear", "severe")


def diagnose(
    target: Target,
    data: Annotated[str, typer.Option(help="training data, in the batch size of training")],
    test_data: Annotated[str | None, typer.Option(help="data the model is evaluated on")] = None,
    held_out: Annotated[
        str | None, typer.Option(help="data to try recalibration on; none of --data")
    ] = None,
    fail_on: Annotated[
        str, typer.Option(help="exit with 1 from this grade on: mild, clear or severe")
    ] = "clear",
    checkpoint: Checkpoint = None,
    model_kwargs: ModelKwargs = None,
    root: Root = None,
    image_size: ImageSize = None,
    batch_size: BatchSize = 64,
    max_samples: Annotated[int, typer.Option(help="stop after so many of each")] = 4096,
    device: Device = None,
    forward: Forward = None,
    format: Format = "text",
    out: Out = None,
    report: Report = None,
    exit_zero: ExitZero = False,
    debug: Debug = False,
) -> None:
    """Start here: what is wrong, where, why, and what to do. Exits with 1 from --fail-on on.

    The model is not changed: repair does that.
    """
    from varshift._diagnose.diagnosing import diagnose as verb
    from varshift._diagnose.lines import built_origins
    from varshift._rewrite.constructing import constructions
    from varshift.results.grading import at_least

    known(format, FORMATS, report, out)
    if fail_on not in _BOUNDS:
        raise UsageError(f"--fail-on {fail_on!r} is none of {', '.join(_BOUNDS)}")
    with constructions() as built:
        model, notes = lent_model(target, checkpoint, device, model_kwargs)
    pictures = pictures_of(model, target, model_kwargs, image_size)

    def batches(spec: str) -> Any:
        judged = held_out is not None  # by labels, where there are any
        return lent_data(spec, pictures, root=root, batch_size=batch_size, labelled=judged)

    diagnosis = verb(
        model,
        batches(data),
        None if test_data is None else batches(test_data),
        None if held_out is None else batches(held_out),
        max_samples=shared(max_samples),
        progress=True,
        forward=lent_forward(forward),
    )
    diagnosis = diagnosis.at(built_origins(model, diagnosis.structure, built))
    named = _named(target, checkpoint, model_kwargs)
    show(_filled_in(diagnosis, named, data, test_data), format, out, notes, report)
    finish(at_least(diagnosis.grade, fail_on), exit_zero)  # type: ignore[arg-type]


def _named(target: str, checkpoint: str | None, model_kwargs: list[str] | None) -> str:
    """The model as a command line names it."""
    weights = [] if checkpoint is None else ["--checkpoint", checkpoint]
    return shlex.join(
        [target, *weights, *(["--model-kwargs", *model_kwargs] if model_kwargs else [])]
    )


def _filled_in(diagnosis: Diagnosis, target: str, data: str, test_data: str | None) -> Diagnosis:
    """With commands that run as they stand."""
    names = {"TARGET": target, "TEST_DATA": shlex.quote(test_data or ""), "DATA": shlex.quote(data)}
    words = (step.command.split(" ") for step in diagnosis.advice)
    commands = [" ".join(names.get(word, word) for word in each) for each in words]
    pairs = zip(diagnosis.advice, commands, strict=True)
    return replace(diagnosis, advice=tuple(replace(step, command=said) for step, said in pairs))
