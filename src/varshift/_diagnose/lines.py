"""The line to change for each source of noise: its constructor, else its class, else its call."""

from __future__ import annotations

from torch import nn

from varshift._check.places import class_line
from varshift._engine import walk
from varshift._rewrite.origins import constructor_line
from varshift.results import Noise, Origin, Structure
from varshift.results.structure import in_a_file

__all__ = ["origins_of"]


def origins_of(model: nn.Module, structure: Structure) -> dict[str, Origin]:
    """By name of a source."""
    modules = dict(walk(model))
    return {
        noise.name: _origin(model, noise, modules.get(noise.path)) for noise in structure.noises
    }


def _origin(model: nn.Module, noise: Noise, module: nn.Module | None) -> Origin:
    made = constructor_line(model, noise)
    if made is not None:
        return Origin(made, "constructor")
    holder = class_line(model, noise.path.rpartition(".")[0])
    called = noise.line if in_a_file(noise.line) else None
    # A layer of torch's has its rate from elsewhere: the call says nothing of it.
    by_code = module is not None and not type(module).__module__.startswith("torch.")
    if called is not None and (by_code or holder is None):
        return Origin(called, "call")
    if holder is not None:
        return Origin(holder, "class")
    return Origin(noise.line, "call" if noise.line is not None else "nowhere")
