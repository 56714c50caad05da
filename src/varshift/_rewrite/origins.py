"""Where the source says that a layer is made: found in the classes that hold it.

A built model does not remember who built it. Its owners' classes do: `self.drop = …` in one of
them, an argument of a container, what is appended in a loop, what a helper returns. Where several
calls may have made the layer, and neither its place nor its rate tells which, nothing is found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from varshift._rewrite.classes import ParsedCode, bodies_of, last_name
from varshift._rewrite.rates import rate_of
from varshift.results import Line, Noise

__all__ = ["constructor_line", "is_layer", "is_torchs"]

_WITHOUT_RATE = (nn.RReLU, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)  # and yet they draw
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_HOLDING = ("Sequential", "ModuleList", "ModuleDict", "OrderedDict", "__init__")
_REGISTERS = ("add_module", "register_module", "setattr")


def constructor_line(model: nn.Module, noise: Noise) -> Line | None:
    """The line that makes the layer which draws a noise; None where none is found, or it is code.

    Noise that is drawn by code has its rate where it is called. A layer is a module of torch's, or
    one that holds its rate as a number.
    """
    chain = _chain(model, noise.path)
    if len(chain) < 2 or not is_layer(chain[-1][1], noise):
        return None
    end = len(chain) - 1
    for depth in range(end - 1, -1, -1):
        owner = chain[depth][1]
        if type(owner) in _CONTAINERS:
            continue
        if is_torchs(owner):  # a layer of several parts, which takes the rate for all of them
            end = depth
            continue
        names, layer = [name for name, _ in chain[depth + 1 : end + 1]], chain[end][1]
        found = (_in_body(body, owner, names, layer) for body in bodies_of(type(owner)))
        return next((line for line in found if line is not None), None)
    return None


def _chain(model: nn.Module, path: str) -> list[tuple[str, nn.Module]]:
    """The modules on the way to a path, from the model itself, each with its name."""
    found: list[tuple[str, nn.Module]] = [("", model)]
    for name in path.split(".") if path else []:
        child = found[-1][1]._modules.get(name)
        if child is None:
            return []
        found.append((name, child))
    return found


def is_torchs(module: nn.Module) -> bool:
    """Whether torch itself brings its class."""
    return type(module).__module__.startswith("torch.")


def is_layer(module: nn.Module, noise: Noise) -> bool:
    """Whether its rate is said where it is made, not in its own forward.

    Not where somebody gave the module another forward, or it has no rate: a hook may draw there.
    """
    if "forward" in vars(module):
        return False
    if is_torchs(module):
        return isinstance(module, _WITHOUT_RATE) or rate_of(module) is not None
    numbers = [value for value in vars(module).values() if isinstance(value, float)]
    rates = [] if noise.drop_p is None else [noise.drop_p, 1 - noise.drop_p]
    return any(abs(number - rate) < 1e-6 for number in numbers for rate in rates)


def _in_body(
    body: ParsedCode, owner: nn.Module, names: Sequence[str], layer: nn.Module
) -> Line | None:
    """The call in an owner's class that makes what lies below it by these names."""
    made = [(value, names[1:]) for value in _assigned(body, names[0])]
    if isinstance(owner, nn.Sequential):  # super().__init__(…, nn.Dropout(0.5), …)
        made += [(call, names) for call in body.super_calls()]
    for value, below in made:
        found = _made_by(body, value, below, layer)
        if found is not None:
            return found
    # Registered in a loop, or by a name that is put together.
    return None if made else body.only(body.constructions(body.tree, layer), layer)


def _assigned(body: ParsedCode, name: str) -> Iterator[ast.expr]:
    """The values that a class assigns to `self.<name>`, registers by that name, or appends."""
    for node in ast.walk(body.tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _to_self(target, node.value, name)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from _to_self(node.target, node.value, name)
        elif isinstance(node, ast.Call) and last_name(node.func) in _REGISTERS:
            named = [i for i, each in enumerate(node.args) if _constant(each) == name]
            yield from (node.args[i + 1] for i in named if i + 1 < len(node.args))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            held = node.func.value
            if node.func.attr in ("append", "extend", "insert") and _is_own(held, name):
                yield from node.args


def _to_self(target: ast.expr, value: ast.expr, name: str) -> Iterator[ast.expr]:
    if _is_own(target, name):
        yield value
    elif isinstance(target, ast.Tuple):
        values = value.elts if isinstance(value, ast.Tuple) else [value] * len(target.elts)
        pairs = zip(target.elts, values, strict=False)
        yield from (each for aim, each in pairs if _is_own(aim, name))


def _is_own(node: ast.expr, name: str) -> bool:
    own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    return own and node.attr == name  # type: ignore[attr-defined]


def _made_by(
    body: ParsedCode, value: ast.expr, names: Sequence[str], layer: nn.Module
) -> Line | None:
    """The call within an expression that makes the layer below it by these names."""
    if names and isinstance(value, ast.Call) and last_name(value.func) in _HOLDING:
        item = _item(value, names[0])
        if item is not None:
            return _made_by(body, item, names[1:], layer)
    calls = [node for node in ast.walk(value) if isinstance(node, ast.Call)]
    found = body.only(body.constructions(value, layer), layer)
    for helper in () if found else filter(None, (body.function(call.func) for call in calls)):
        found = found or helper.only(helper.constructions(helper.tree, layer), layer)
    if found is None:  # a list that was filled before
        parts = [part for name in _names(value) for part in body.filled(name, value)]
        inside = [call for part in parts for call in body.constructions(part, layer)]
        found = body.only(inside, layer)
    return found


def _item(call: ast.Call, name: str) -> ast.expr | None:
    """The argument of a container's constructor that becomes its item of a name or number."""
    alone = call.args[0] if len(call.args) == 1 else None
    if last_name(call.func) in ("ModuleList", "ModuleDict", "OrderedDict") and alone is not None:
        return _entry(alone, name)
    if isinstance(alone, ast.Call) and last_name(alone.func) == "OrderedDict":
        return _entry(alone, name)
    return _entry(ast.List(elts=list(call.args)), name)


def _entry(value: ast.expr, name: str) -> ast.expr | None:
    """What a display, or a comprehension, has under a name or number."""
    if isinstance(value, ast.Dict):
        keys = [None if key is None else _constant(key) for key in value.keys]
        return value.values[keys.index(name)] if name in keys else None
    if isinstance(value, ast.Call) and len(value.args) == 1:
        return _entry(value.args[0], name)
    if isinstance(value, (ast.ListComp, ast.GeneratorExp)):
        return value.elt
    if not isinstance(value, (ast.List, ast.Tuple)):
        return None
    for item in value.elts:  # OrderedDict([("drop", nn.Dropout(0.5)), …])
        if isinstance(item, ast.Tuple) and len(item.elts) == 2 and _constant(item.elts[0]) == name:
            return item.elts[1]
    starred = any(isinstance(item, ast.Starred) for item in value.elts)
    if not name.isdigit() or starred or int(name) >= len(value.elts):
        return None
    return value.elts[int(name)]


def _names(value: ast.expr) -> list[str]:
    return [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]


def _constant(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else None
