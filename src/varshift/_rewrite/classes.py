"""The source of a class or function, parsed: its calls, and what its names stand for."""

from __future__ import annotations

import ast
import inspect
import os
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from varshift.results import Line

__all__ = ["ParsedCode", "bodies_of", "last_name"]

_TORCH = os.path.dirname(torch.__file__) + os.sep
_RATES = ("p", "drop_prob", "drop_p", "dropout")


@dataclass(frozen=True, eq=False)
class ParsedCode:
    """A class or a function.

    Attributes:
        tree: its syntax tree, lines counted from its own first one.
        file: where it stands.
        first: the number of that line in the file.
        lines: its lines.
        owner: the class itself, or the module's name of a function.
    """

    tree: ast.AST
    file: str
    first: int
    lines: list[str]
    owner: type | str

    def constructions(self, tree: ast.AST, layer: nn.Module) -> list[ast.Call]:
        """The calls in some part of it that go by the name of the layer's class."""
        kind = type(layer).__name__
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        return [call for call in calls if last_name(call.func) == kind]

    def only(self, calls: list[ast.Call], layer: nn.Module) -> Line | None:
        """The line of the one call among these that may have made a layer; None of several.

        Of several calls those count that say the rate which the layer has.
        """
        rate = getattr(layer, "p", getattr(layer, "drop_prob", None))
        if len({call.lineno for call in calls}) > 1:
            calls = [call for call in calls if rate is not None and _says(call) == rate]
        numbers = {call.lineno for call in calls}
        return self._line(calls[0]) if len(numbers) == 1 else None

    def _line(self, call: ast.Call) -> Line:
        number = call.lineno
        inside = [
            node.name
            for node in ast.walk(self.tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and node.lineno <= number <= (node.end_lineno or 0)
        ]
        code = self.lines[number - 1].strip()
        return Line(self.file, self.first + number - 1, inside[-1] if inside else "", code)

    def super_calls(self) -> list[ast.Call]:
        """The calls of `super().__init__`."""
        return [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "__init__"
            and isinstance(node.func.value, ast.Call)
        ]

    def function(self, called: ast.expr) -> ParsedCode | None:
        """The function or method of that name, where it is found and not torch's."""
        home = self.owner if isinstance(self.owner, str) else self.owner.__module__
        held: Any = None
        if isinstance(called, ast.Name):
            held = getattr(sys.modules.get(home), called.id, None)
        elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
            base: Any = getattr(sys.modules.get(home), called.value.id, None)
            if called.value.id in ("self", "cls"):
                base = None if isinstance(self.owner, str) else self.owner
            held = getattr(base, called.attr, None)
        held = inspect.unwrap(held) if inspect.isroutine(held) else None
        return None if held is None else _body(held, held.__module__ or "")

    def filled(self, name: str, before: ast.expr) -> Iterator[ast.AST]:
        """What a function puts into a local list: where it is made, added to, or appended to."""
        inside = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef)
            and node.lineno <= before.lineno <= (node.end_lineno or 0)
        ]
        for node in ast.walk(inside[-1]) if inside else ():
            if isinstance(node, (ast.Assign, ast.AugAssign)):
                aims = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(_is(aim, name) for aim in aims):
                    yield node.value
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("append", "extend", "insert")
                and _is(node.func.value, name)
            ):
                yield node


def bodies_of(kind: type) -> Iterator[ParsedCode]:
    """A class and those it inherits from, as far as they are not torch's and can be read."""
    for each in kind.__mro__:
        if each is nn.Module or each is object:
            continue
        body = _body(each, each)
        if body is not None:
            yield body


def _body(held: Any, owner: type | str) -> ParsedCode | None:
    try:
        file = inspect.getsourcefile(held)
        lines, first = inspect.getsourcelines(held)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return None
    if file is None or os.path.abspath(file).startswith(_TORCH):
        return None
    return ParsedCode(tree, file, max(first, 1), lines, owner)


def last_name(node: ast.expr) -> str:
    """The last part of a dotted name; "" of anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _says(call: ast.Call) -> Any:
    given = [keyword.value for keyword in call.keywords if keyword.arg in _RATES]
    value = next(iter([*given, *call.args]), None)
    return value.value if isinstance(value, ast.Constant) else 0.5 if value is None else None


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
