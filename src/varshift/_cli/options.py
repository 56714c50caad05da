"""Arguments and options that several commands take, each described once."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    *("Checkpoint", "Debug", "ExitZero", "Format", "Forward", "Out", "Root", "Target"),
    "TextOrJson",
]

Target = Annotated[str, typer.Argument(help="package.module:factory or file.py:factory")]
Checkpoint = Annotated[
    str | None,
    typer.Option(help="weights: .safetensors, a weights-only .pt; of Keras, TensorFlow or ONNX"),
]
TextOrJson = Annotated[str, typer.Option("--format", help="text or json")]
Format = Annotated[str, typer.Option(help="text, json or html")]
Forward = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:FUNCTION",
        help="how the model takes a batch: a function of (model, batch)",
    ),
]
Out = Annotated[str | None, typer.Option(help="write there instead of to the terminal")]
Root = Annotated[str | None, typer.Option(help="folder or file of a local copy of a named set")]
BatchSize = Annotated[int, typer.Option(help="of files and named sets")]
MaxSamples = Annotated[int, typer.Option(help="stop after so many")]
Device = Annotated[str | None, typer.Option(help="where the model is moved, such as cuda")]
ExitZero = Annotated[bool, typer.Option("--exit-zero", help="exit with 0 whatever is found")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]
