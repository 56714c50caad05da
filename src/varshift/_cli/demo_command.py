"""`varshift demo`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from varshift._cli.options import Debug, Root, TextOrJson
from varshift._cli.output import draw, known, write

__all__ = ["demo"]


def demo(
    data: Annotated[str, typer.Option(help="digits, fashion-mnist or cifar10")] = "digits",
    root: Root = None,
    drop: Annotated[float, typer.Option(help="drop probability")] = 0.7,
    epochs: Annotated[int, typer.Option(help="training epochs of each network")] = 6,
    seed: Annotated[int, typer.Option(help="seed of everything")] = 0,
    format: TextOrJson = "text",
    debug: Debug = False,
) -> None:
    """Train a small network with dropout and its twin without; find, measure and repair."""
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
