"""No circle of files: every import counts, those inside functions and by name too."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import varshift

ROOT = Path(varshift.__file__).parent
NAMES = {
    ".".join(("varshift", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
}


def imports(name: str, tree: ast.AST) -> set[str]:
    """The files that a file imports: by statement, or as a dotted name in a string."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
            found |= {c.value for c in ast.walk(node) if isinstance(c, ast.Constant)}
    return {each for each in found if each in NAMES} - {name}


def graph() -> dict[str, set[str]]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(("varshift", *parts)).removesuffix(".__init__")
        own = imports(name, ast.parse(path.read_text(encoding="utf-8")))
        # `from varshift._draw.accounts import parts` names the file, not what its folder exports.
        finer = {each for each in own if any(other.startswith(f"{each}.") for other in own)}
        found[name] = own - finer
    return found


def test_no_circle_of_files():
    order = list(TopologicalSorter(graph()).static_order())
    assert order.index("varshift.errors") < order.index("varshift._engine.batches")


def test_a_circle_would_be_seen():
    with pytest.raises(CycleError):
        list(TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
    by_name = ast.parse("def load():\n    return import_module('varshift._draw')")
    assert imports("varshift.results", by_name) == {"varshift._draw"}


def test_drawing_computes_nothing():
    """It words and lays out: tensors are for the results, which answer with plain numbers."""
    drawing = ROOT / "_draw"
    named = {"provenance.py"}  # which tells torch's version
    for path in drawing.rglob("*.py"):
        names = {
            alias.name if isinstance(node, ast.Import) else node.module or ""
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        computing = {name for name in names if name.split(".")[0] in ("torch", "numpy")}
        computing |= {name for name in names if name.startswith("varshift.theory.spread")}
        assert not computing or path.name in named, (path, computing)
