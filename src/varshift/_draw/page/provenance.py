"""Where a page comes from: what wrote it, when, and on what."""

from __future__ import annotations

import platform
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

import numpy
import torch

__all__ = ["provenance"]

_SEED = (
    "not stored with the result; torch.manual_seed(…) before the call makes its noise repeatable"
)


def provenance() -> dict[str, str]:
    """Versions, machine and date, as the page's last table has them.

    >>> list(provenance())[:3]
    ['written', 'varshift', 'torch']
    """
    return {
        "written": datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        "varshift": _own_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "random seed": _SEED,
    }


def _own_version() -> str:
    try:
        return version("varshift")
    except PackageNotFoundError:
        return "not installed, run from its source"
