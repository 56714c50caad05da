"""Noise that is written in code: the smallest change of the call that draws it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from itertools import combinations

from torch import nn

from varshift._engine import is_library
from varshift._rewrite.calls import Call, Text
from varshift._rewrite.rates import number_of, rate_of
from varshift.results import Line, Noise, Patch
from varshift.results.edits import SourceText, TextEdit, read_source

__all__ = ["Wish", "by_hand", "patched"]

_SINGLE = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant)


@dataclass(frozen=True)
class Wish:
    """What a dropout call is to become.

    `tau` None: the call goes, its input stays. `function` is a full dotted name, None for the
    call's own; `sharing` goes with ours alone.
    """

    tau: float | None
    function: str | None = None
    sharing: str = "element"

    def keyword(self, own: str) -> str:
        """What the function (the call's own, where none is wished) calls its rate."""
        name = (self.function or own).rpartition(".")[2]
        return {"uout": "beta", "gaussian_dropout": "sigma"}.get(name, "p")

    def said(self, noise: Noise) -> str:
        """The wish for a sentence."""
        if self.tau is None:
            return "take it out"
        name = self.keyword("dropout")
        number = f"{name} = {number_of(name, self.tau, noise):.6g}"
        if self.function is None:
            return f"give it {number} (τ = {self.tau:.4g})"
        return f"make it {self.function} with {number}"


def patched(noise: Noise, wish: Wish, module: nn.Module) -> Patch:
    """The change of the user's file that makes `noise` what is wished, or why it takes a person."""
    line = noise.line
    if line is None:
        return by_hand(noise, _unseen(noise, module))
    raw = read_source(line.file)
    text = _parsed(raw)
    if raw is None or text is None:
        return by_hand(
            noise, f"the source of {line.file} cannot be read; {_masked(noise, wish, module)}"
        )
    if text.lines(line.number, line.number).strip() != line.code:
        return by_hand(
            noise, f"{line} has changed since it was imported; import it again and ask again"
        )
    calls = text.calls(line.number, noise.operation)
    if not calls:
        return by_hand(noise, _masked(noise, wish, module))
    if wish.function is not None and any(call.attention for call in calls):
        return by_hand(
            noise, f"attention at {line} can draw nothing but dropout: give it another rate"
        )
    if any(_too_much(call, wish) for call in calls):
        return by_hand(
            noise, f"{line} shares its draws, which torch's functions cannot; {wish.said(noise)}"
        )
    if any(_nested(one, other) for one, other in combinations(calls, 2)):
        return by_hand(noise, f"{line} holds one call inside another; {wish.said(noise)} by hand")
    return _written(noise, line, text, calls, wish, module)


def by_hand(noise: Noise, why: str) -> Patch:
    """No change can be written; `why` says what to do."""
    return Patch(noise.name, noise.line, noise.line.code if noise.line else "", None, why)


def _written(
    noise: Noise, line: Line, text: Text, calls: list[Call], wish: Wish, module: nn.Module
) -> Patch:
    edits = [edit for call in calls for edit in _edits(text, call, wish, noise)]
    first = min(call.node.lineno for call in calls)
    last = max(call.node.end_lineno or first for call in calls)
    old = text.lines(first, last)
    start = text.place_of_line(first)
    moved = (TextEdit(e.start - start, e.end - start, e.text) for e in edits)
    new = SourceText(line.file, old, tuple(moved)).edited()
    if wish.function is not None:
        edits += _imported(text, wish.function)
    source = SourceText(line.file, text.text, tuple(edits))
    why = _library(noise, module) or _common(text, calls, wish, noise)
    return Patch(noise.name, line, old, new, why, source)


def _edits(text: Text, call: Call, wish: Wish, noise: Noise) -> list[TextEdit]:
    keyword = wish.keyword(call.name)
    rate = f"{number_of(keyword, wish.tau or 0.0, noise):.6g}"
    if call.attention:
        return [TextEdit(*text.span(call.arguments["p"]), rate)]
    given = call.arguments["input"]
    if wish.tau is None:
        idle = text.idle(call)
        if idle is not None:
            return [TextEdit(*idle, "")]
        inner = text.cut(given)
        single = isinstance(given, _SINGLE) and given.lineno == given.end_lineno
        return [TextEdit(*text.span(call.node), inner if single else f"({inner})")]
    edits = [] if wish.function is None else _called(text, call, wish.function)
    if "p" in call.keywords:
        edits.append(TextEdit(*text.span(call.keywords["p"]), f"{keyword}={rate}"))
    elif "p" in call.arguments:
        edits.append(TextEdit(*text.span(call.arguments["p"]), rate))
    else:
        end = text.span(call.keywords.get("input", given))[1]
        edits.append(TextEdit(end, end, f", {keyword}={rate}"))
    if wish.sharing != "element" and "sharing" not in call.keywords:
        values = [*call.node.args, *(keyword.value for keyword in call.node.keywords)]
        end = max(text.span(node)[1] for node in values)
        edits.append(TextEdit(end, end, f', sharing="{wish.sharing}"'))
    return edits


def _called(text: Text, call: Call, function: str) -> list[TextEdit]:
    """The same call of another function, whose arguments may be named otherwise."""
    edits = [TextEdit(*text.span(call.node.func), text.spelled(function)[0])]
    names = {"input": "x" if _ours(function) else "input", "training": "training"}
    for known, wanted in names.items():
        keyword = call.keywords.get(known)
        if keyword is not None and keyword.arg != wanted:
            edits.append(TextEdit(*text.span(keyword), f"{wanted}={text.cut(keyword.value)}"))
    return edits


def _too_much(call: Call, wish: Wish) -> bool:
    """Whether the call has a `sharing` that the function wished for would not take."""
    theirs = wish.function is not None and not _ours(wish.function)
    return theirs and ("sharing" in call.keywords or len(call.node.args) > 4)


def _ours(function: str) -> bool:
    return function.startswith("varshift.")


def _imported(text: Text, function: str) -> list[TextEdit]:
    line = text.spelled(function)[1]
    if not line:
        return []
    place = text.place_of_line(text.import_line())
    return [TextEdit(place, place, line + text.line_end)]


def _parsed(raw: str | None) -> Text | None:
    try:
        return None if raw is None else Text(raw)
    except SyntaxError:
        return None


def _nested(one: Call, other: Call) -> bool:
    inner = set(ast.walk(one.node))
    return other.node in inner or one.node in set(ast.walk(other.node))


def _common(text: Text, calls: list[Call], wish: Wish, noise: Noise) -> str:
    """What a fixed number takes from a rate that was computed."""
    rates = [call.arguments["p"] for call in calls if "p" in call.arguments]
    computed = [text.cut(rate) for rate in rates if not isinstance(rate, ast.Constant)]
    if wish.tau is None or not computed:
        return ""
    return f"{computed[0]} no longer sets the rate: the new number holds for every {noise.module}"


def _library(noise: Noise, module: nn.Module) -> str:
    """Whose code it is, and which of the module's own numbers is the rate."""
    if noise.line is None or not is_library(noise.line.file):
        return ""
    name = rate_of(module, noise.drop_p)
    path = f"model.{noise.path}" if noise.path else "model"
    if name is not None and noise.drop_p == vars(module)[name]:
        return f"this is a library's code: change {path}.{name} instead, which is {noise.drop_p:g}"
    return (
        f"this is a library's code: give {path} ({noise.module}) another rate instead, where it is "
        "constructed"
    )


def _unseen(noise: Noise, module: nn.Module) -> str:
    if isinstance(module, nn.RReLU):
        slope = (module.lower + module.upper) / 2
        return (
            f"{noise.path} (RReLU) is a nonlinearity too: put nn.LeakyReLU({slope:.6g}) there, "
            "which is what it is in eval mode"
        )
    return (
        f"{noise.path or 'the model'} ({noise.module}) draws inside torch itself: change its rate "
        "where it is constructed"
    )


def _masked(noise: Noise, wish: Wish, module: nn.Module) -> str:
    if isinstance(module, nn.RReLU):
        return _unseen(noise, module)
    if library := _library(noise, module):
        return library
    return (
        f"{noise.path or 'the model'} draws by {noise.operation} at {noise.line}, which is no "
        f"dropout call of torch: {wish.said(noise)} by hand, where the draw meets the data"
    )
