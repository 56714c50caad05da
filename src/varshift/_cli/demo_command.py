"""`varshift demo`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from varshift._cli.command import examples
from varshift._cli.options import Debug, Root, TextOrJson
from varshift._cli.output import draw, known, write

__all__ = ["demo"]


@examples("varshift demo", "varshift demo --drop 0.5 --epochs 3 --seed 1")
def demo(
    data: Annotated[str, typer.Option(help="digits, fashion-mnist or cifar10")] = "digits",
    root: Root = None,
    drop: Annotated[float, typer.Option(help="drop probability")] = 0.7,
    epochs: Annotated[int, typer.Option(help="training epochs of each network")] = 6,
    seed: Annotated[int, typer.Option(help="seed of everything")] = 0,
    format: TextOrJson = "text",
    debug: Debug = False,
) -> None:
    """Train a network with dropout and its twin; find and repair.

    Both are small: a minute on one core. The shift is found, measured and repaired.
    """
    from varshift._cli.demo import Settings, run_demo
    from varshift._cli.demo.story import as_dict, story
    from varshift._draw import bar

    known(format, ("text", "json"))
    settings = Settings(data=data, root=root, drop_p=drop, epochs=epochs, seed=seed)
    progress = bar("training steps")
    try:
        outcome = run_demo(settings, progress)
    finally:
        progress.close()
    if format == "json":
        write(json.dumps(as_dict(outcome), allow_nan=False), None)
    else:
        draw(story(outcome), None)
