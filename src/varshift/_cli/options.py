"""Arguments and options that several commands take, each described once."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    *("BatchSize", "Checkpoint", "Data", "Debug", "Device", "ExitZero", "Format", "Forward"),
    *("ImageSize", "InputShape", "MaxSamples", "ModelKwargs", "Out", "Report", "Root", "Target"),
    *("TextOrJson", "TrainingData", "DATA", "TARGET"),
]

TARGET = "package.module:factory, file.py:factory, timm:NAME, torchvision:NAME or hf:FOLDER"
DATA = "module:loader, a file of inputs, a folder of pictures or of datasets, or a named set"

Target = Annotated[str, typer.Argument(metavar="TARGET", help=TARGET)]
Data = Annotated[str, typer.Option(metavar="SPEC", help=DATA)]
TrainingData = Annotated[
    str, typer.Option(metavar="SPEC", help="training data, in the batch size of training")
]
InputShape = Annotated[
    list[str] | None,
    typer.Option(
        metavar="N,N,…", help="instead of data: shape of one sample, such as 3,64,64; repeatable"
    ),
]
ModelKwargs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE …",
        help="arguments for what makes the model, such as classes=10 drop=0.3",
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="size of pictures from a folder; by default the model's own, or 224"
    ),
]
Checkpoint = Annotated[
    str | None,
    typer.Option(
        metavar="FILE[#KEY]",
        help="weights: .safetensors, .pt, .ckpt, or of Keras, TensorFlow or ONNX; KEY names one "
        "of several sets of weights in the file",
    ),
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
Out = Annotated[
    str | None, typer.Option(metavar="FILE", help="write there instead of to the terminal")
]
Report = Annotated[
    str | None, typer.Option(metavar="FILE.html", help="write a page with pictures there as well")
]
Root = Annotated[
    str | None, typer.Option(metavar="PATH", help="folder or file of a local copy of a named set")
]
BatchSize = Annotated[
    int, typer.Option(metavar="N", help="samples in a batch of a file, folder or named set")
]
MaxSamples = Annotated[int, typer.Option(metavar="N", help="stop after so many samples")]
Device = Annotated[str | None, typer.Option(help="where the model is moved to, such as cuda")]
ExitZero = Annotated[bool, typer.Option("--exit-zero", help="exit with 0 whatever is found")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]
