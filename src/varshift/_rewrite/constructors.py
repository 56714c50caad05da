"""A layer that is to be another: the smallest change of the call that constructed it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping

from torch import nn

from varshift._rewrite.calls import Text
from varshift._rewrite.classes import last_name
from varshift._rewrite.constructing import Built
from varshift.results import Line, Patch
from varshift.results.edits import SourceText, TextEdit, read_source

__all__ = ["constructor_patch"]

_FLOAT = re.compile(r"\d+\.\d+(?:e-?\d+)?")
_HOMES = ("torch.nn", "varshift.nn")


def constructor_patch(path: str, built: Built, rate: float | None, new: nn.Module) -> Patch:
    """The change of the call at `built` that makes `new`, or why it takes a person.

    `rate` is the layer's p where it stays of its class; None where it becomes another.
    """
    raw = read_source(built.file)
    try:
        text = None if raw is None else Text(raw)
    except SyntaxError:
        text = None
    call = None if text is None else text.call_at(built.line, built.start, built.last, built.end)
    if raw is None or text is None or call is None:
        return _by_hand(path, built, "", "its source cannot be read: change it by hand")
    line = Line(built.file, built.line, built.function, text.lines(built.line, built.line).strip())
    old = text.lines(built.line, built.last)
    edits = _rate(text, call, new, rate) if rate is not None else _other(text, call, new)
    if edits is None:
        why = f"{text.cut(call)} is no plain constructor: change it by hand"
        return Patch(path, line, old, None, why)
    start = text.place_of_line(built.line)
    moved = tuple(
        TextEdit(edit.start - start, edit.end - start, edit.text)
        for edit in edits
        if edit.start >= start
    )
    return Patch(
        path,
        line,
        old,
        SourceText(built.file, old, moved).edited(),
        _computed(text, call),
        SourceText(built.file, raw, tuple(edits)),
    )


def _by_hand(path: str, built: Built, old: str, why: str) -> Patch:
    return Patch(path, Line(built.file, built.line, built.function, old), old, None, why)


def _rate(text: Text, call: ast.Call, layer: nn.Module, rate: float) -> list[TextEdit] | None:
    """Another p for a layer of the same class."""
    position = _position(type(layer))
    if last_name(call.func) != type(layer).__name__ or _unpacks(call) or position is None:
        return None
    said = f"{rate:.6g}" if rate else "0.0"
    for keyword in call.keywords:
        if keyword.arg == "p":
            return [TextEdit(*text.span(keyword.value), said)]
    if len(call.args) > position:
        return [TextEdit(*text.span(call.args[position]), said)]
    if call.keywords:
        place = text.span(call.keywords[0])[0]
        return [TextEdit(place, place, f"p={said}, ")]
    if call.args:
        place = text.span(call.args[-1])[1]
        return [TextEdit(place, place, f", p={said}")]
    place = text.span(call)[1] - 1
    return [TextEdit(place, place, f"p={said}")]


def _position(kind: type[nn.Module]) -> int | None:
    """Where the constructor takes p, which a subclass may put elsewhere; None where it does not."""
    names = list(inspect.signature(kind).parameters)
    return names.index("p") if "p" in names else None


def _other(text: Text, call: ast.Call, layer: nn.Module) -> list[TextEdit] | None:
    """The constructor of another class, with the arguments that its layer shows."""
    home = next((name for name in _HOMES if type(layer).__module__.startswith(name)), None)
    if home is None or not isinstance(call.func, (ast.Name, ast.Attribute)):
        return None
    full = f"{home}.{type(layer).__name__}"
    spelled, needed = text.spelled(full)
    shown = [part for part in layer.extra_repr().split(", ") if part and part != "inplace=False"]
    shown = [_FLOAT.sub(lambda found: f"{float(found[0]):.6g}", part) for part in shown]
    edits = [TextEdit(*text.span(call), f"{spelled}({', '.join(shown)})")]
    if needed:
        place = text.place_of_line(text.import_line())
        edits.append(TextEdit(place, place, needed + text.line_end))
    return edits


def _computed(text: Text, call: ast.Call) -> str:
    given: Mapping[str | None, ast.expr] = {k.arg: k.value for k in call.keywords}
    value = given.get("p", call.args[0] if call.args else None)
    if value is None or isinstance(value, ast.Constant):
        return ""
    return f"{text.cut(value)} no longer sets the rate: the new number holds for every such layer"


def _unpacks(call: ast.Call) -> bool:
    starred = any(isinstance(arg, ast.Starred) for arg in call.args)
    return starred or any(keyword.arg is None for keyword in call.keywords)
