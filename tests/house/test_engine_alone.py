"""Only the engine runs a model: nobody else calls one, sets a flag, writes buffers, opens modes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import varshift

ROOT = Path(varshift.__file__).parent
# The engine itself and its way to torch; what trains networks of its own; layers that people put
# into models, which are called by them; and numbers.
FREE = ("_engine", "_torch", "reproduce", "_cli/demo", "nn", "theory")
LENT = {"model", "inner", "module", "net", "lent"}
MODES = {"TorchFunctionMode", "TorchDispatchMode", "inference_mode"}
OWN = {
    *("borrowed", "Buffers", "set_training", "training_flags", "call", "Tap"),
    *("module_stack", "lock_step", "site_by_site"),
}
# `relocate` and `replace` put other layers into a model before training: that is what they are for.
SWAPS = ("_rewrite",)
SWAPPED = {"sets .training", "registers a hook", "reaches for ._buffers"}


def files() -> list[Path]:
    found = sorted(ROOT.rglob("*.py"))
    return [p for p in found if not p.relative_to(ROOT).as_posix().startswith(FREE)]


def offences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and what is wrong there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((node.lineno, what) for what in _calls(node.func))
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            aims = node.targets if isinstance(node, ast.Assign) else [node.target]
            for aim in aims:
                if isinstance(aim, ast.Attribute) and _lent(aim):
                    yield node.lineno, f"sets .{aim.attr}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "varshift._engine"
        ):
            yield from ((node.lineno, f"imports {a.name}") for a in node.names if a.name in OWN)
        elif isinstance(node, ast.ClassDef):
            bases = {getattr(base, "attr", getattr(base, "id", "")) for base in node.bases}
            yield from ((node.lineno, f"is a {base}") for base in bases & MODES)
        if isinstance(node, ast.Attribute) and node.attr == "_buffers":
            yield node.lineno, "reaches for ._buffers"


def _lent(aim: ast.Attribute) -> bool:
    """Whether this is a flag, or a tensor's storage; an object's own `self.data` is neither."""
    own = getattr(aim.value, "id", "") == "self"
    return aim.attr == "training" or (aim.attr == "data" and not own)


def _calls(func: ast.expr) -> Iterator[str]:
    name = getattr(func, "id", "")
    attribute = getattr(func, "attr", "")
    if name in LENT or attribute in {"model", "module"}:
        yield "calls a model"
    if attribute in {"train", "eval"}:
        yield f"calls .{attribute}()"
    if attribute.startswith(("register_forward", "register_module")):
        yield "registers a hook"
    if attribute in MODES or name in MODES:
        yield f"opens {attribute or name}"
    if attribute in {"copy_", "zero_", "fill_"}:
        yield f"writes by .{attribute}()"


@pytest.mark.parametrize("path", files(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_only_the_engine_runs_a_model(path):
    found = [what for _, what in offences(ast.parse(path.read_text(encoding="utf-8")))]
    if path.relative_to(ROOT).as_posix().startswith(SWAPS):
        found = [what for what in found if what not in SWAPPED]
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "out = model(x)",
        "out = self.model(x)",
        "model.eval()",
        "module.training = False",
        "tensor.data = other",
        "buffer.copy_(value)",
        "with torch.inference_mode(): pass",
        "class Mine(TorchDispatchMode): pass",
        "from varshift._engine.batches import call",
        "module.register_forward_hook(hook)",
        "module._buffers['x'] = y",
    ],
)
def test_each_way_around_the_engine_would_be_seen(code):
    assert list(offences(ast.parse(code)))
