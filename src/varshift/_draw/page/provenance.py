"""Where a page comes from: what wrote it, when, and on what."""

from __future__ import annotations

import platform
from collections.abc import Collection
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

import numpy
import torch

__all__ = ["provenance"]

_SEED = "random seed"
_UNKNOWN = (
    "not stored with the result; torch.manual_seed(…) before the call makes its noise repeatable"
)


def provenance(known: Collection[str] = ()) -> dict[str, str]:
    """Versions, machine and date, as the page's last table has them, but for what is known.

    >>> list(provenance())[:3]
    ['written', 'varshift', 'torch']
    >>> "random seed" in provenance({"random seed"})
    False
    """
    made = {
        "written": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        "varshift": _own_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        _SEED: _UNKNOWN,
    }
    return {key: value for key, value in made.items() if key not in known}


def _own_version() -> str:
    try:
        return version("varshift")
    except PackageNotFoundError:
        return "not installed, run from its source"
