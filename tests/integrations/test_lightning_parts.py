"""The callback's one import."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from problems.libraries import library
from varshift.errors import MissingExtraError

library("lightning")
import_module("varshift.integrations.lightning")


def test_without_either_package_the_extra_is_named(monkeypatch):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "varshift.integrations.lightning.base")
    with pytest.raises(
        MissingExtraError, match=r"needs lightning.*pip install 'varshift\[lightning"
    ):
        import_module("varshift.integrations.lightning.base")
