"""`varshift check`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from varshift._cli.check_answer import FindingsAnswer, print_rule
from varshift._cli.check_fixing import fix_of, write_fix
from varshift._cli.command import examples
from varshift._cli.lending import Lent, shaped, shared
from varshift._cli.made_inputs import made_example, note_on_made_inputs
from varshift._cli.options import DATA, TARGET, InputShape, MaxSamples
from varshift._cli.output import finish, in_files_of_their_own, say, write, written
from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift._check.configuration import Configuration
    from varshift.results import Findings

__all__ = ["check", "completed"]


@examples(
    "varshift check net.py:make --input-shape 3,64,64",
    "varshift check net.py:make --checkpoint weights.pt --data data.py:train",
    "varshift check net.py:make --input-shape 3,64,64 --write-baseline known.json",
    "varshift check net.py:make --input-shape 3,64,64 --baseline known.json",
    "varshift check net.py:make --input-shape 3,64,64 --fix shift.patch",
    "varshift check --explain VS102",
)
def check(
    *,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help=f"{TARGET}; else from pyproject.toml", show_default=False
        ),
    ] = "",
    input_shape: InputShape = None,
    data: Annotated[str | None, typer.Option(metavar="SPEC", help=f"measure on it: {DATA}")] = None,
    max_severity: Annotated[
        float | None, typer.Option(help="largest max(Δ, 1/Δ) allowed  [default: 1.1]")
    ] = None,
    select: Annotated[
        list[str] | None, typer.Option(metavar="CODES", help="code prefixes, as in VS1,VS301")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="CODES", help="code prefixes to leave out")
    ] = None,
    ignore_module: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB=CODES", help="as in 'head.*=VS102,VS104'; repeatable"),
    ] = None,
    task: Annotated[str | None, typer.Option(help="regression: ask VS301 of every output")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="findings in this file are known: only others fail"),
    ] = None,
    write_baseline: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="write the findings there, and exit with 0"),
    ] = None,
    fix: Annotated[
        str | None, typer.Option(metavar="FILE", help="write a patch there, - for standard output")
    ] = None,
    fix_with: Annotated[
        str | None,
        typer.Option(help="relocate (default), or less noise: uout, gaussian, dropout, channel"),
    ] = None,
    max_samples: MaxSamples = 1024,
    rule: Annotated[
        str | None, typer.Option("--explain", metavar="CODE", help="what a code means; no check")
    ] = None,
    lent: Lent,
    answer: FindingsAnswer,
) -> None:
    """What shifts the variance by more than is allowed. Exits with 1 if anything does.

    Options left out are read from [tool.varshift] of the nearest pyproject.toml.
    """
    from varshift._check.baseline import against, read_baseline
    from varshift._check.checking import check as verb
    from varshift._check.places import factory_line
    from varshift._check.silencing import Silence
    from varshift._rewrite.constructing import constructions

    if rule is not None:
        print_rule(rule)
        return
    if baseline is not None and write_baseline is not None:
        raise UsageError("give either --baseline, which is read, or --write-baseline")
    how, said = fix_of(fix, fix_with), _configuration()
    patch = None if fix == "-" else fix
    in_files_of_their_own(
        {
            **{"--out": answer.out, "--report": answer.report},
            **{"--fix": patch, "--write-baseline": write_baseline},
        }
    )
    lent, baseline = completed(lent, baseline, said)
    earlier = None
    if write_baseline is not None:
        written("--write-baseline", write_baseline)
    elif baseline is not None:
        earlier = read_baseline(baseline)
    shapes, data = _named(input_shape, data, said)
    codes: dict[str, Any] = {"select": select or said.select, "ignore": ignore or said.ignore}
    with _beside(said.file), shaped(shapes):
        with constructions() as built:
            model = lent.model
        given: dict[str, Any] = (
            {"example": made_example(shapes)} if data is None else {"data": lent.batches(data)}
        )
        if fix is not None and isinstance(given.get("data"), Iterator):
            given["data"] = list(given["data"])  # the patch reads it once more
        found = verb(
            model,
            **given,
            **codes,
            max_severity=_bound(max_severity, said),
            per_module_ignores={**said.per_module_ignores, **_globs(ignore_module)},
            task=task or said.task,  # type: ignore[arg-type]  # the verb refuses the unknown
            forward=lent.function,
            max_samples=shared(max_samples) if "data" in given else None,
            docs=said.docs_url or "",
            progress=True,
        ).at(factory_line(lent.target))
        if data is None:
            found = replace(found, notes=(note_on_made_inputs(given["example"]), *found.notes))
        if earlier is not None:
            found = against(found, earlier, Silence.of(**codes, per_module=None).asks_for)
        answer.show_findings(found, to_stderr=fix == "-")
        if fix is not None:
            write_fix(model, given | {"forward": lent.function}, found, fix, how, built)
    if write_baseline is not None:
        _write_baseline(found, write_baseline)
    else:
        finish(bool(found), answer.exit_zero)


def _configuration() -> Configuration:
    """What the project says; where its table lies out of reach, that is said."""
    from varshift._check.configuration import configuration, passed_over

    said = configuration(Path.cwd())
    if said.file is None and (over := passed_over(Path.cwd())) is not None:
        say(f"note: {over} is not read: it names code, and lies outside this folder's repository")
    return said


def completed(lent: Lent, baseline: str | None, said: Configuration) -> tuple[Lent, str | None]:
    """What the command line leaves open, as the project has it.

    Its checkpoint, its arguments and its baseline are those of its own target.
    """
    lent = replace(
        lent,
        image_size=lent.image_size or said.image_size,
        forward=lent.forward or said.forward,
    )
    if lent.target:
        return lent, baseline
    if said.target is None:
        raise UsageError("nothing to check: give a TARGET, or target = in [tool.varshift]")
    lent = replace(
        lent,
        target=said.target,
        checkpoint=lent.checkpoint or said.checkpoint,
        model_kwargs=[*(said.model_kwargs or ()), *(lent.model_kwargs or ())],
    )
    return lent, baseline or said.baseline


@contextmanager
def _beside(file: Path | None) -> Iterator[None]:
    """The modules that a pyproject.toml names are found from its folder too, as files are."""
    before = list(sys.path)
    if file is not None:
        sys.path.append(str(file.parent))
    try:
        yield
    finally:
        sys.path[:] = before


def _named(
    shapes: list[str] | None, data: str | None, said: Configuration
) -> tuple[list[str], str | None]:
    """The shapes or the data; what the command line names goes before what the project says."""
    if shapes and data is not None:
        raise UsageError("give either --input-shape to predict, or --data to measure")
    if not shapes and data is None:
        shapes, data = (None, said.data) if said.data else (list(said.input_shape or ()), None)
    if not shapes and data is None:
        raise UsageError("give an example: either --input-shape 3,64,64 or --data")
    return shapes or [], data


def _bound(given: float | None, said: Configuration) -> float:
    if given is not None:
        return given
    return 1.1 if said.max_severity is None else said.max_severity


def _globs(given: list[str] | None) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for item in given or ():
        glob, equals, codes = item.rpartition("=")
        if not equals or not glob:
            raise UsageError(
                f"--ignore-module {item!r} has no '='; write it as 'encoder.*=VS102,VS104'"
            )
        found[glob] = (*found.get(glob, ()), *codes.split(","))
    return found


def _write_baseline(found: Findings, place: str) -> None:
    from varshift._check.baseline import baseline_of

    write(json.dumps(baseline_of(found), allow_nan=False, indent=1), place)
    count = "1 finding" if len(found) == 1 else f"{len(found)} findings"
    say(f"the baseline in {place} holds {count}; check them with --baseline {quote(place)}")
