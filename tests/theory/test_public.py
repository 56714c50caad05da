from __future__ import annotations

import inspect
import subprocess
import sys

import torch

from varshift import theory


def test_public_names_are_sorted_and_real():
    names = theory.__all__
    # Constants, then classes, then functions, each in order: ruff's RUF022.
    rank = {True: 0, False: 1}
    assert names == sorted(
        names, key=lambda n: (rank[n.isupper()], rank[n[0].isupper()], n.lower())
    )
    assert all(hasattr(theory, name) for name in names)


def test_every_public_thing_has_a_doctest():
    for name in theory.__all__:
        thing = getattr(theory, name)
        if inspect.isfunction(thing):
            assert ">>>" in (thing.__doc__ or ""), name


def test_no_bare_p_in_any_signature():
    for name in theory.__all__:
        thing = getattr(theory, name)
        if inspect.isfunction(thing):
            assert "p" not in inspect.signature(thing).parameters, name


def test_no_module_classes():
    classes = [getattr(theory, n) for n in theory.__all__ if inspect.isclass(getattr(theory, n))]
    assert classes
    assert not any(issubclass(c, torch.nn.Module) for c in classes)


def test_import_needs_torch_alone():
    code = (
        "import sys, torch; before = set(sys.modules); import varshift.theory;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "print(sorted(new & {'scipy', 'mpmath', 'pandas', 'rich', 'sklearn', 'timm', 'greenlet'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
