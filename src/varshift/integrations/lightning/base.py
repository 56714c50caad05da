"""The class that Lightning wants callbacks to be: of whichever of its two names is in use.

A trainer finds a callback's hooks by their names, so the class of the one serves a trainer of the
other too; both are never imported for our sake.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from varshift.errors import MissingExtraError

if TYPE_CHECKING:
    from lightning.pytorch import Callback
else:

    def _found() -> type:
        names = ("lightning.pytorch", "pytorch_lightning")
        loaded = [name for name in names if sys.modules.get(name)]
        for name in loaded or names:
            try:
                return import_module(name).Callback
            except ModuleNotFoundError as error:
                missing: Any = error
        raise MissingExtraError(
            "lightning", "lightning", "varshift.integrations.lightning"
        ) from missing

    Callback = _found()

__all__ = ["Callback"]
