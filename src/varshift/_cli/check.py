"""`varshift check`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from varshift._cli.lending import lent_data, lent_forward, lent_model, pictures_of, shaped, shared
from varshift._cli.options import (
    DATA,
    TARGET,
    BatchSize,
    Checkpoint,
    Debug,
    Device,
    ExitZero,
    Forward,
    ImageSize,
    MaxSamples,
    ModelKwargs,
    Out,
    Root,
)
from varshift._cli.output import Report, draw, finish, known, say, write, written
from varshift._files import replacing
from varshift._visible import harmless, visible
from varshift.errors import UsageError

if TYPE_CHECKING:
    from varshift._check.configuration import Configuration
    from varshift._rewrite.constructing import Constructions
    from varshift.results import Findings

__all__ = ["check"]

_FORMATS = ("text", "json", "html", "sarif", "github")
# Samples of a random example: enough for a variance per channel, few enough to be quick.
_LEAST, _MOST, _NUMBERS = 16, 256, 2**18


def check(
    target: Annotated[
        str | None,
        typer.Argument(help=f"{TARGET}; else from pyproject.toml"),
    ] = None,
    input_shape: Annotated[
        list[str] | None, typer.Option(help="such as 3,64,64 without the batch; repeatable")
    ] = None,
    data: Annotated[str | None, typer.Option(help=f"measure on it: {DATA}")] = None,
    max_severity: Annotated[
        float | None, typer.Option(help="largest max(Δ, 1/Δ) allowed  [default: 1.1]")
    ] = None,
    select: Annotated[list[str] | None, typer.Option(help="code prefixes, VS1,VS301")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="code prefixes to leave out")] = None,
    ignore_module: Annotated[
        list[str] | None, typer.Option(help="'GLOB=VS102,VS104': silence these there; repeatable")
    ] = None,
    task: Annotated[str | None, typer.Option(help="regression: ask VS301 of every output")] = None,
    fix: Annotated[
        str | None, typer.Option(help="write a patch there, - for standard output")
    ] = None,
    fix_with: Annotated[
        str | None,
        typer.Option(help="relocate (default), or less noise: uout, gaussian, dropout, channel"),
    ] = None,
    checkpoint: Checkpoint = None,
    model_kwargs: ModelKwargs = None,
    root: Root = None,
    image_size: ImageSize = None,
    batch_size: BatchSize = 64,
    max_samples: MaxSamples = 1024,
    device: Device = None,
    forward: Forward = None,
    format: Annotated[str, typer.Option(help="text, json, html, sarif or github")] = "text",
    out: Out = None,
    report: Report = None,
    rule: Annotated[
        str | None, typer.Option("--explain", metavar="CODE", help="what a code means; no check")
    ] = None,
    exit_zero: ExitZero = False,
    debug: Debug = False,
) -> None:
    """What shifts the variance by more than is allowed. Exits with 1 if anything does.

    Options left out are read from [tool.varshift] of the nearest pyproject.toml.
    """
    from varshift._check.checking import check as verb
    from varshift._check.configuration import configuration, passed_over
    from varshift._check.places import factory_line
    from varshift._engine import seed_all
    from varshift._rewrite.constructing import constructions

    if rule is not None:
        _say(rule)
        return
    known(format, _FORMATS, report, out)
    how = _how(fix, fix_with)
    said = configuration(Path.cwd())
    if said.file is None and (over := passed_over(Path.cwd())) is not None:
        say(f"note: {over} is not read: it names code, and lies outside this folder's repository")
    if fix not in (None, "-"):
        written("--fix", fix)
    if not target:  # the table's checkpoint belongs to the table's target
        target, checkpoint = said.target, checkpoint or said.checkpoint
    if target is None:
        raise UsageError("nothing to check: give a TARGET, or target = in [tool.varshift]")
    shapes, data = _named(input_shape, data, said)
    with _beside(said.file), shaped(input_shape):
        seed_all(0)  # a linter says the same twice, whatever weights a factory draws
        with constructions() as built:
            model, notes = lent_model(target, checkpoint, device, model_kwargs)
        lent: dict[str, Any] = {}
        if data is None:
            lent["example"] = _example(shapes)
        else:
            pictures = pictures_of(model, target, model_kwargs, image_size)
            lent["data"] = lent_data(data, pictures, root=root, batch_size=batch_size)
        if fix is not None and isinstance(lent.get("data"), Iterator):
            lent["data"] = list(lent["data"])  # the patch reads it once more
        found = verb(
            model,
            **lent,
            max_severity=_bound(max_severity, said),
            select=select or said.select,
            ignore=ignore or said.ignore,
            per_module_ignores={**said.per_module_ignores, **_globs(ignore_module)},
            task=task or said.task,  # type: ignore[arg-type]  # the verb refuses the unknown
            forward=(taken := lent_forward(forward or said.forward)),
            max_samples=shared(max_samples) if "data" in lent else None,
            docs=said.docs_url or "",
            progress=True,
        ).at(factory_line(target))
        for note in notes:
            say(f"note: {note}")
        _show(found, format, out, to_stderr=fix == "-")
        if report is not None:
            found.to_html(report)
            say(f"the report is in {report}")
        if fix is not None:
            _fix(model, lent | {"forward": taken}, found, fix, how, built)
    finish(bool(found), exit_zero)


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


def _say(code: str) -> None:
    """A rule in a few lines, then its page."""
    from varshift._check.rule_pages import rule_page
    from varshift.results import RULES

    rule = RULES.get(code.upper())
    if rule is None:
        raise UsageError(f"--explain {code!r} is no code; there are {', '.join(RULES)}")
    for line in (
        f"{rule.code} {rule.name}",
        "",
        rule.summary,
        f"Why: {rule.why}.",
        f"Fix: {rule.fix}.",
        f"Read on: {rule.page}" + (f", {rule.source}" if rule.source else ""),
        f"\n{rule_page(rule.code)}",
    ):
        print(line)


def _how(fix: str | None, fix_with: str | None) -> str:
    from varshift._check.fixing import HOW

    if fix_with is not None and fix_with not in HOW:
        raise UsageError(f"--fix-with {fix_with!r} is none of {', '.join(HOW)}")
    if fix_with is not None and fix is None:
        raise UsageError(f"--fix-with {fix_with} says how to fix: give --fix FILE, or --fix - too")
    return fix_with or HOW[0]


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


def _example(shapes: list[str]) -> Any:
    """Random normal inputs, more of them than an inspection needs; of small ones more still."""
    import torch

    from varshift._loading import example_from_shapes

    made = example_from_shapes(shapes)
    generator = torch.Generator().manual_seed(0)
    one = isinstance(made, torch.Tensor)
    first = made if one else made[0]
    samples = min(_MOST, max(_LEAST, _NUMBERS // first[0].numel()))
    wide = tuple(
        torch.randn(samples, *held.shape[1:], generator=generator)
        for held in ([made] if one else made)
    )
    return wide[0] if one else wide


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


def _show(found: Findings, format: str, out: str | None, *, to_stderr: bool) -> None:
    from varshift._draw import sarif, workflow_commands

    if format == "json":
        text = json.dumps(found.to_dict(), allow_nan=False, indent=1)
    elif format == "sarif":
        text = json.dumps(sarif(found, _repository()), allow_nan=False, indent=1)
    elif format == "html":
        if out is not None:
            found.to_html(out)
        return
    elif format == "github":
        text = workflow_commands(found, _repository())
    else:
        draw(found.table(), out, to_stderr=to_stderr)
        return
    commands = format == "github"
    if text or out is not None:
        if to_stderr and out is None:
            print(text if commands else harmless(text), file=sys.stderr)
        else:
            write(text, out, commands=commands)


def _repository() -> Path:
    """Where the paths of annotations start: the checkout, wherever in it the command is run."""
    said = os.environ.get("GITHUB_WORKSPACE")
    if said:
        return Path(said)
    here = Path.cwd()
    # A worktree's .git is a file.
    return next((place for place in (here, *here.parents) if (place / ".git").exists()), here)


def _fix(
    model: Any,
    lent: dict[str, Any],
    found: Findings,
    place: str,
    how: str,
    built: Constructions,
) -> None:
    """The patch to a file or standard output; what is no code to patch on standard error."""
    from varshift._check.fixing import fix

    data = lent.get("data")
    example = lent["example"] if data is None else next(iter(data() if callable(data) else data))
    made = fix(
        model,
        found,
        example,
        how=how,
        data=data,
        forward=lent["forward"],
        built=built,
        root=_repository(),
    )
    for step in made.steps:
        say(f"fix: {step}")
    if place == "-":
        # A patch is to be applied, so it is as it is, but for a reader.
        sys.stdout.write(visible(made.diff) if sys.stdout.isatty() else made.diff)
        if made.diff and made.folder != Path.cwd().resolve():
            say(f"fix: its paths start at {made.folder}: apply it there")
    elif made.diff:
        with replacing(Path(place)) as fresh:
            fresh.write_text(made.diff, encoding="utf-8")
        say(f"fix: patch written, apply it with: {_apply(made.folder, place)}")
    if not made.diff:
        say("fix: no code to patch, nothing was written")


def _apply(folder: Path, patch: str) -> str:
    if folder == Path.cwd().resolve():
        return f"git apply -p0 {patch}"
    return f"git -C {folder} apply -p0 {Path(patch).resolve()}"
