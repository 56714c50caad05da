"""Dropout of rate 1: it draws nothing, so it is known by what torch computes in its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor

from varshift._engine.trace.lines import calling_line, calling_operation
from varshift._engine.trace.noises import Source, named
from varshift._engine.trace.ops import Operation
from varshift.results import Noise

__all__ = ["zeroed_by", "zeroed_noises"]

_DROPS = re.compile("drop|attention")
_BARE = re.compile(r"torch\.\w*dropout_?\(|dropout_p")


def zeroed_by(operation: Operation) -> str | None:
    """Name of the dropout behind a product with a single zero; None where it is the user's own.

    torch multiplies by `zeros([])` where p is 1. A kernel that was called without its wrapper in
    `torch.nn.functional` leaves no frame, but the user's line names it.
    """
    if operation.name != "mul" or not _zero(operation.args[-1]):
        return None
    name = calling_operation()
    if name is not None:
        return name if _DROPS.search(name) else None
    line = calling_line()
    return "dropout" if line is not None and _BARE.search(line.code) else None


def zeroed_noises(
    drawing: Iterable[Source], zeroed: Iterable[Source], silent: Iterable[Noise]
) -> list[Noise]:
    """Those that no noise module stands for, as inactive noise; the drawing ones keep their names.

    `silent` are the noise modules that drew nothing: they are in the structure by themselves.
    """
    known: Mapping[str, Noise] = {noise.path: noise for noise in silent}
    found = [source for source in zeroed if source.path not in known]
    names = {id(source): name for name, source in named([*drawing, *found]).items()}
    return [
        replace(source.noise(names[id(source)]), active=False, calls=0, drop_p=1.0)
        for source in found
    ]


def _zero(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim == 0 and not bool(value)
