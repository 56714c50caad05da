"""The command line. Torch and the rooms below are imported by the command that needs them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from varshift import __version__
from varshift.errors import DataError, LentError, MissingExtraError, UsageError, VarshiftError

try:
    import typer
except ImportError:
    _missing = MissingExtraError("typer", "cli", "the varshift command")
    print(f"error: {_missing}", file=sys.stderr)
    raise SystemExit(_missing.exit_code) from None

if TYPE_CHECKING:
    from varshift.results import Result

__all__ = ["app", "main"]

_SEVERE = 1.1  # severity, two standard errors taken off, from which `measure` exits with 1
_FORMATS = ("text", "json", "html")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Find, measure and repair the variance shift that dropout causes at BatchNorm.",
    epilog="Exit codes: 0 fine, 1 findings, 2 usage, 3 the model or the data failed.",
)

Target = Annotated[str, typer.Argument(help="package.module:factory or file.py:factory")]
Checkpoint = Annotated[
    str | None, typer.Option(help="weights: .safetensors, or a weights-only .pt")
]
Format = Annotated[str, typer.Option(help="text, json or html")]
Out = Annotated[str | None, typer.Option(help="write there instead of to the terminal")]
Root = Annotated[str | None, typer.Option(help="folder or file of a local copy of a named set")]
ExitZero = Annotated[bool, typer.Option("--exit-zero", help="exit with 0 whatever is found")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]


@app.command()
def demo(
    data: Annotated[str, typer.Option(help="digits, fashion-mnist or cifar10")] = "digits",
    root: Root = None,
    drop: Annotated[float, typer.Option(help="drop probability")] = 0.7,
    epochs: Annotated[int, typer.Option(help="training epochs of each network")] = 6,
    seed: Annotated[int, typer.Option(help="seed of everything")] = 0,
    format: Annotated[str, typer.Option(help="text or json")] = "text",
    debug: Debug = False,
) -> None:
    """Train a small network with dropout and its twin without; find, measure and repair."""
    from varshift.demo import Settings, run_demo
    from varshift.demo.story import as_dict, story
    from varshift.report import bar

    _known(format, ("text", "json"))
    settings = Settings(data=data, root=root, drop_p=drop, epochs=epochs, seed=seed)
    progress = bar("training steps")
    try:
        outcome = run_demo(settings, progress)
    finally:
        progress.close()
    if format == "json":
        _write(json.dumps(as_dict(outcome), allow_nan=False), None)
    else:
        _print(story(outcome), None)


@app.command()
def inspect(
    target: Target,
    checkpoint: Checkpoint = None,
    input_shape: Annotated[
        list[str] | None, typer.Option(help="such as 3,64,64 without the batch; repeatable")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="module:factory, a file of inputs, or a named set")
    ] = None,
    root: Root = None,
    format: Format = "text",
    out: Out = None,
    exit_zero: ExitZero = False,
    debug: Debug = False,
) -> None:
    """Which noise reaches which norm, by which route. Exits with 1 if any does directly."""
    from varshift.sources import example_from_shapes
    from varshift.structure import inspect as verb

    _known(format, _FORMATS)
    if (data is None) == (not input_shape):
        raise UsageError("give an example: either --input-shape 3,64,64 or --data")
    model, notes = _model(target, checkpoint)
    example = _first(data, root) if data else example_from_shapes(input_shape or [])
    structure = verb(model, example)
    _show(structure, format, out, notes)
    _finish(bool(structure.direct()), exit_zero)


@app.command()
def measure(
    target: Target,
    data: Annotated[str, typer.Option(help="module:factory, a file of inputs, or a named set")],
    checkpoint: Checkpoint = None,
    root: Root = None,
    batch_size: Annotated[int, typer.Option(help="of files and named sets")] = 64,
    max_samples: Annotated[int | None, typer.Option(help="stop after so many")] = None,
    device: Annotated[
        str | None, typer.Option(help="where the model is moved, such as cuda")
    ] = None,
    format: Format = "text",
    out: Out = None,
    exit_zero: ExitZero = False,
    debug: Debug = False,
) -> None:
    """How far the variance shifts at each norm. Exits with 1 if severity − 2 s.e. exceeds 1.1."""
    from varshift.measure import measure as verb
    from varshift.sources import load_data

    _known(format, _FORMATS)
    model, notes = _model(target, checkpoint)
    if device is not None:
        model = _moved(model, device)
    batches = load_data(data, root=root, batch_size=batch_size)
    measurement = verb(model, batches, max_samples=max_samples, progress=True)
    _show(measurement, format, out, notes)
    severe = [
        site
        for site in measurement.sites.values()
        if site.severity - 2 * (site.severity_se if site.severity_se >= 0 else 0) > _SEVERE
    ]
    _finish(bool(severe), exit_zero)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        print(f"varshift {__version__}")
        raise typer.Exit


def main() -> None:
    """The entry point: an error becomes a sentence on stderr and its exit code."""
    debug = "--debug" in sys.argv
    try:
        app()
    except VarshiftError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        if debug:
            raise
        # The verbs turn what models raise into sentences; what is left came out of a data loader.
        print(f"error: {type(error).__name__}: {error} (--debug shows where)", file=sys.stderr)
        raise SystemExit(LentError.exit_code) from None


def _model(target: str, checkpoint: str | None) -> tuple[Any, tuple[str, ...]]:
    from varshift.sources import load_checkpoint, load_model

    model = load_model(target)
    return model, load_checkpoint(model, checkpoint) if checkpoint else ()


def _moved(model: Any, device: str) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device!r} cannot be used: {error}") from error


def _first(data: str, root: str | None) -> Any:
    from varshift.sources import load_data

    batches = load_data(data, root=root, batch_size=2)
    try:
        return next(iter(batches() if callable(batches) else batches))
    except StopIteration:
        raise DataError(f"--data {data!r} gave no batches") from None


def _known(format: str, formats: tuple[str, ...]) -> None:
    if format not in formats:
        raise UsageError(f"--format {format!r} is none of {', '.join(formats)}")


def _show(result: Result, format: str, out: str | None, notes: tuple[str, ...]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if format == "json":
        _write(json.dumps(result.to_dict(), allow_nan=False, indent=1), out)
    elif format == "html":
        if out is None:
            raise UsageError("--format html needs --out FILE.html")
        result.to_html(out)
    else:
        _print(result.table(), out)


def _write(text: str, out: str | None) -> None:
    if out is None:
        print(text)
    else:
        Path(out).write_text(text + "\n", encoding="utf-8")


def _print(drawn: Any, out: str | None) -> None:
    from rich.console import Console

    if out is None:
        console = Console()
        # Piped output has no width of its own; 80 columns are what the tables are made for.
        Console(width=console.width if console.is_terminal else 80).print(drawn)
    else:
        with open(out, "w", encoding="utf-8") as file:
            Console(file=file, width=80).print(drawn)


def _finish(found: bool, exit_zero: bool) -> None:
    if found and not exit_zero:
        raise typer.Exit(1)
