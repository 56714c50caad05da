"""The line to change for each source of noise: its constructor, else its class, else its call."""

from __future__ import annotations

import linecache
import os

import torch
from torch import nn

from varshift._check.places import class_line
from varshift._engine import unwrapped, walk
from varshift._rewrite.constructing import Constructions
from varshift._rewrite.origins import constructor_line, is_layer, is_torchs
from varshift.results import Line, Noise, OriginLine, Structure
from varshift.results.structure import in_a_file

__all__ = ["built_origins", "origins_of"]

_TORCH = os.path.dirname(torch.__file__) + os.sep


def origins_of(model: nn.Module, structure: Structure) -> dict[str, OriginLine]:
    """By name of a source."""
    modules = dict(walk(model))
    return {
        noise.name: _origin(model, noise, modules.get(noise.path)) for noise in structure.noises
    }


def built_origins(
    model: nn.Module, structure: Structure, built: Constructions
) -> dict[str, OriginLine]:
    """By name of a source, the call that made its layer, where that was watched."""
    inner = unwrapped(model)
    modules, found = dict(walk(inner)), {}
    for noise in structure.noises:
        module = modules.get(noise.path)
        made = None if module is None or not is_layer(module, noise) else built.of(module)
        if made is not None and not made.file.startswith(_TORCH):
            code = linecache.getline(made.file, made.line).strip()
            line = Line(made.file, made.line, made.function, code)
            found[noise.name] = OriginLine(line, "constructor")
    return found


def _origin(model: nn.Module, noise: Noise, module: nn.Module | None) -> OriginLine:
    made = constructor_line(model, noise)
    if made is not None:
        return OriginLine(made, "constructor")
    holder = class_line(model, noise.path.rpartition(".")[0])
    called = noise.line if in_a_file(noise.line) else None
    # A layer of torch's has its rate from elsewhere: the call says nothing of it.
    by_code = module is not None and not (is_torchs(module) and is_layer(module, noise))
    if called is not None and (by_code or holder is None):
        return OriginLine(called, "call")
    if holder is not None:
        return OriginLine(holder, "class")
    return OriginLine(noise.line, "call" if noise.line is not None else "nowhere")
