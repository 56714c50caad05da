"""Where a finding is shown: the line that draws, else the class that holds the layer."""

from __future__ import annotations

import ast
import inspect
import os
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from varshift.results import Line

__all__ = ["class_line", "factory_line"]

_TORCH = os.path.dirname(torch.__file__) + os.sep


def class_line(model: nn.Module, path: str) -> Line | None:
    """The class statement of the innermost module of the user's around `path`; None if torch's."""
    parts = path.split(".") if path else []
    for depth in range(len(parts), -1, -1):
        module = _at(model, parts[:depth])
        line = _line(type(module)) if module is not None else None
        if line is not None:
            return line
    return None


def _at(model: nn.Module, parts: list[str]) -> nn.Module | None:
    module: nn.Module | None = model
    for part in parts:
        module = None if module is None else module._modules.get(part)
    return module


def _line(kind: type) -> Line | None:
    try:
        file = inspect.getsourcefile(kind)
        lines, number = inspect.getsourcelines(kind)
    except (OSError, TypeError):
        return None
    if file is None or os.path.abspath(file).startswith(_TORCH):
        return None
    return Line(file, number, kind.__name__, lines[0].strip())


def factory_line(target: str) -> Line | None:
    """Where `file.py:factory` or `package.module:factory` is defined; None where not found."""
    place, _, name = target.rpartition(":")
    try:
        spec = None if place.endswith(".py") else find_spec(place)
        file = Path(place if spec is None else spec.origin or place)
        text = file.read_text(encoding="utf-8")
        body = ast.parse(text).body
    except (OSError, ImportError, SyntaxError, ValueError):
        return None
    for node in body:
        if _defines(node, name.partition(".")[0]):
            code = text.splitlines()[node.lineno - 1].strip()
            return Line(str(file), node.lineno, name, code)
    return None


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name == name
    if isinstance(node, ast.Assign):
        return any(isinstance(aim, ast.Name) and aim.id == name for aim in node.targets)
    return False
