"""`varshift diagnose`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from varshift._cli.command import examples
from varshift._cli.lending import Lent, shared
from varshift._cli.options import MaxSamples, TrainingData
from varshift._cli.output import FileAnswer, finish
from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift.results import Diagnosis

__all__ = ["diagnose"]

_BOUNDS = ("mild", "clear", "severe")


@examples(
    "varshift diagnose net.py:make --checkpoint weights.pt --data data.py:train",
    "varshift diagnose net.py:make --checkpoint weights.pt --data data.py:train \\",
    "    --test-data data.py:test --held-out data.py:val --report look.html",
)
def diagnose(
    *,
    data: TrainingData,
    test_data: Annotated[
        str | None, typer.Option(metavar="SPEC", help="data the model is evaluated on")
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="data to try recalibration on; none of --data"),
    ] = None,
    fail_on: Annotated[
        str, typer.Option(help="exit with 1 from this grade on: mild, clear or severe")
    ] = "clear",
    max_samples: MaxSamples = 4096,
    lent: Lent,
    answer: FileAnswer,
) -> None:
    """Start here: what is wrong, where, whose doing, what to do.

    Nothing is written to the model: repair does that. Exits with 1 from the grade of --fail-on on.
    """
    from varshift._diagnose.diagnosing import diagnose as verb
    from varshift._diagnose.lines import built_origins
    from varshift._rewrite.constructing import constructions
    from varshift.results.grading import at_least

    if fail_on not in _BOUNDS:
        raise UsageError(f"--fail-on {fail_on!r} is none of {', '.join(_BOUNDS)}")
    with constructions() as built:
        model = lent.model

    def batches(spec: str | None, option: str) -> Any:
        if spec is None:
            return None
        judged = held_out is not None  # by labels, if any
        return lent.batches(spec, labelled=judged, option=option)

    diagnosis = verb(
        model,
        batches(data, "--data"),
        batches(test_data, "--test-data"),
        batches(held_out, "--held-out"),
        max_samples=shared(max_samples),
        progress=True,
        forward=lent.function,
    )
    diagnosis = diagnosis.at(built_origins(model, diagnosis.structure, built))
    answer.show(_filled_in(diagnosis, _named(lent), data, test_data))
    finish(at_least(diagnosis.grade, fail_on), answer.exit_zero)  # type: ignore[arg-type]


_NAMING = ("checkpoint", "model_kwargs", "forward", "root", "image_size", "batch_size", "device")


def _named(lent: Lent) -> str:
    """The model as a command line names it, with how it and its data are taken."""
    words = [lent.target]
    usual = Lent(lent.target)
    for name in _NAMING:
        value = getattr(lent, name)
        if value != getattr(usual, name):
            values = value if isinstance(value, list) else [str(value)]
            words += [f"--{name.replace('_', '-')}", *values]
    return shlex.join(words)


def _filled_in(diagnosis: Diagnosis, target: str, data: str, test_data: str | None) -> Diagnosis:
    """With commands that run as they stand."""
    names = {"TARGET": target, "TEST_DATA": shlex.quote(test_data or ""), "DATA": shlex.quote(data)}
    words = (step.command.split(" ") for step in diagnosis.advice)
    commands = [" ".join(names.get(word, word) for word in each) for each in words]
    pairs = zip(diagnosis.advice, commands, strict=True)
    return replace(diagnosis, advice=tuple(replace(step, command=said) for step, said in pairs))
