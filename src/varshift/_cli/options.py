"""Arguments and options that several commands take, each described once."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    *("BatchSize", "Checkpoint", "Debug", "Device", "ExitZero", "Format", "Forward", "ImageSize"),
    *("MaxSamples", "ModelKwargs", "Out", "Root", "Target", "TextOrJson"),
    *("DATA", "TARGET"),
]

TARGET = "package.module:factory, file.py:factory, timm:NAME, torchvision:NAME or hf:FOLDER"
DATA = "module:loader, a file of inputs, a folder of pictures or of datasets, or a named set"

Target = Annotated[str, typer.Argument(help=TARGET)]
ModelKwargs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE …", help="arguments for what makes the model, such as drop_rate=0.5"
    ),
]
ImageSize = Annotated[
    int | None, typer.Option(help="of pictures from a folder, else the model's own or 224")
]
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
BatchSize = Annotated[int, typer.Option(help="of files, folders and named sets")]
MaxSamples = Annotated[int, typer.Option(help="stop after so many")]
Device = Annotated[str | None, typer.Option(help="where the model is moved, such as cuda")]
ExitZero = Annotated[bool, typer.Option("--exit-zero", help="exit with 0 whatever is found")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]
