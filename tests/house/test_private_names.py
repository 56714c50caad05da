"""Private names of torch stand in one room, `varshift._torch`, where each has a way without it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import varshift

ROOT = Path(varshift.__file__).parent
HOME = "_torch"
# What a module holds it in; named tuples; Python's own, which torch has no part in.
STABLE = {"_parameters", "_buffers", "_modules", "_fields", "_getframe"}
WARNINGS = {"_showwarnmsg_impl", "_filters_mutated", "_lock", "_filters_mutated_lock_held"}
# Of torch, and of ours too: an object of ours may call something of its own by such a name, which
# then stands behind `self`.
TORCHS = {"_version"}
# Looked up by name in what a user has, and fine if it is not there; the last one is a Trainer's.
LOOKED_UP = {"_orig_mod", "_extra_state", "_initial_global_step"}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def own_names(trees: list[ast.Module]) -> set[str]:
    """Every private name that varshift gives: to functions, classes, variables and attributes."""
    found: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "self":
                found.add(node.attr)
    return {name for name in found if private(name)} - TORCHS


def offences(tree: ast.AST, own: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from _imported(node)
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if _of_torch(a.name) and "._" in a.name)
        elif isinstance(node, ast.Attribute) and private(node.attr):
            if getattr(node.value, "id", "") in ("self", "cls"):
                continue
            known = own | STABLE | WARNINGS
            if ast.unparse(node).startswith("torch.") or node.attr not in known:
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr"):
            name = getattr(node.args[1], "value", None)
            if isinstance(name, str) and private(name):
                known = own | STABLE | WARNINGS | LOOKED_UP
                if ast.unparse(node.args[0]).startswith("torch.") or name not in known:
                    yield ast.unparse(node)
        elif isinstance(node, ast.Subscript) and "torch._" in ast.unparse(node.slice):
            yield ast.unparse(node)


def _imported(node: ast.ImportFrom) -> Iterator[str]:
    home = node.module or ""
    if _of_torch(home):
        private_home = any(map(private, home.split(".")))
        yield from (f"{home}.{a.name}" for a in node.names if private_home or private(a.name))


def _of_torch(module: str) -> bool:
    return module.split(".")[0] in ("torch", "torchvision")


PATHS = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PATHS}
OWN = own_names(list(TREES.values()))
OUTSIDE = [path for path in PATHS if path.relative_to(ROOT).parts[0] != HOME]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_private_names_of_torch_stand_in_one_room(path):
    assert list(offences(TREES[path], OWN)) == []


@pytest.mark.parametrize(
    "code",
    [
        "from torch._compile import _disable_dynamo",
        "from torch.nn.modules.batchnorm import _BatchNorm",
        "import torch.utils._device as device",
        "torch._C._len_torch_function_stack()",
        "x = tensor._version",
        "getattr(torch._C, '_get_cudnn_enabled')",
        "hasattr(func, '_schema')",
        "sys.modules['torch._dynamo.config']",
    ],
)
def test_the_house_rule_finds(code):
    assert list(offences(ast.parse(code), OWN))
