"""What is asked of one architecture, and the line that comes of it."""

from __future__ import annotations

import time
import warnings
import zlib
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from typing import Any

import torch
from tests.contract.marks import marks

import varshift as vs
from benchmarks.zoo.figures import figures
from benchmarks.zoo.pairs import ATTEMPTS, tried
from benchmarks.zoo.specimen import LeftOut, PutOff, Specimen, call, norms

__all__ = ["FIGURES", "LIBRARIES", "Line", "line_of"]

Line = dict[str, Any]
FIGURES = "figures of "
LIBRARIES = {
    "timm": ("benchmarks.zoo.timm_nets", "timm"),
    "torchvision": ("benchmarks.zoo.torchvision_nets", "torchvision"),
    "torch_geometric": ("benchmarks.zoo.graph_nets", "torch_geometric"),
    "transformers": ("benchmarks.zoo.transformers_nets", "transformers"),
    "monai": ("benchmarks.zoo.monai_nets", "monai"),
}
FORWARDS = 2  # of which the faster is set against inspect, after the one that tried the input
LONG = 2.0  # CPU seconds of a forward, from which on routes are tried once only


def line_of(name: str) -> Line:
    """Everything about "library/name", or about "figures of library/name"."""
    library, _, short = name.removeprefix(FIGURES).partition("/")
    module, package = LIBRARIES[library]
    line: Line = {"name": name, "versions": f"{package} {version(package)}"}
    line["versions"] += f", torch {version('torch')}"
    torch.manual_seed(zlib.crc32(name.encode()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            lent = import_module(module).make(short)
        except PutOff as size:
            return line | {"outcome": "put off", "parameters": size.args[0]}
        except LeftOut as reason:
            return line | {"outcome": "left out", "reason": str(reason)}
        except (ImportError, RuntimeError, ValueError, TypeError) as failed:
            return line | {"outcome": "left out", "reason": f"cannot be built: {_told(failed)}"}
        return line | (figures(lent) if name.startswith(FIGURES) else read(lent))


def read(lent: Specimen) -> Line:
    """Inspect it, compare it with what was lent, time it, and try its routes."""
    batch = lent.draw(lent.samples)
    line: Line = {
        "parameters": sum(parameter.numel() for parameter in lent.model.parameters()),
        "input": lent.told,
    }
    before = marks(lent.model)
    try:
        seconds, structure = _timed(lambda: vs.inspect(lent.model, batch, forward=lent.forward))
    except Exception as failed:
        return line | {"outcome": "failed", "reason": _told(failed)}
    after = marks(lent.model)
    met = {norm.path for norm in structure.norms if norm.calls}
    line |= {
        "outcome": "read",
        "unmet": [path for path, _ in norms(lent.model) if path not in met],
        "marks": [kind for kind in before if before[kind] != after[kind]],
        "norms": len(met),
        "noises": sum(noise.active for noise in structure.noises),
        "routes": len(structure.routes),
        "direct": len(structure.direct()),
        "notes": [str(note) for note in structure.notes],
    }
    forward = min(_timed(lambda: call(lent, batch))[0] for _ in range(FORWARDS))
    line |= {"forward_s": round(forward, 4), "inspect_s": round(seconds, 4)}
    attempts = ATTEMPTS if forward < LONG else 1
    return line | {"pairs": asdict(tried(lent, batch, structure, attempts))}


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, which other processes on the machine lengthen least."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _told(failed: BaseException) -> str:
    """An error in one line."""
    first = str(failed).strip().splitlines()
    return f"{type(failed).__name__}: {first[0] if first else ''}"[:300]
