"""One idea, one type, one name: no two public classes of the package share theirs."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import varshift

ROOT = Path(varshift.__file__).parent
# `theory.Noise` is a law in closed form, and a public name of its own; the paper's room draws its
# own sheets at its own scales.
# `NoiseOffStatistics` does the same in two trainers, of which nobody uses both.
KNOWN = {"Noise", "NoiseOffStatistics", "Scale", "Sheet", "PreResNet"}


def test_no_two_classes_of_one_name():
    places = defaultdict(list)
    for path in ROOT.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(ROOT).as_posix())
    assert {n: held for n, held in places.items() if len(held) > 1 and n not in KNOWN} == {}


MAKERS = {
    *("arange", "as_tensor", "empty", "eye", "full", "linspace", "ones", "rand", "randint"),
    *("randn", "randperm", "tensor", "zeros"),
}
OWN_PROCESS = ("reproduce", "_cli/demo")  # where no user's code sets a default device


def test_whoever_makes_a_tensor_names_its_device():
    """Not doing so is an error with `torch.set_default_device`, in a trainer and nowhere else."""
    silent = []
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in {f"torch.{maker}" for maker in MAKERS}
                and "device" not in {keyword.arg for keyword in node.keywords}
                and not name.startswith(OWN_PROCESS)
            ):
                silent.append((name, node.lineno))
    assert silent == []


def test_a_verb_takes_from_few_modules():
    """No verb imports from more than eight modules of the house."""
    verbs = {
        *("_inspect/inspecting", "_measure/measuring", "_explain/explaining"),
        *("_predict/predicting", "_footprint/estimating", "_check/checking"),
        *("_repair/recalibration", "_repair/repairing", "_diagnose/diagnosing"),
    }
    for verb in verbs:
        tree = ast.parse((ROOT / f"{verb}.py").read_text(encoding="utf-8"))
        modules = {
            node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("varshift")
        }
        assert len(modules) <= 8, (verb, sorted(modules))
