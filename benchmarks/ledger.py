"""What the sections of the page found, in docs/results/benchmarks.json, with how it was made."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks.lines import Line

__all__ = ["FILE", "Ledger"]

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "results" / "benchmarks.json"
PACKAGES = ("torch", "torchvision", "timm", "fvcore", "torchinfo", "torchlens")


class Ledger:
    """Sections by name: `made`, how it came to be, and `lines`."""

    def __init__(self, file: Path = FILE) -> None:
        self._file = file
        self._held = json.loads(file.read_text("utf-8")) if file.exists() else {}

    def lines(self, section: str) -> list[Line]:
        """In order; none where it was not run."""
        return [Line.read(line) for line in self._held.get(section, {}).get("lines", ())]

    def made(self, section: str) -> dict[str, Any]:
        """When, with what and on what; empty where it was not run."""
        return dict(self._held.get(section, {}).get("made", {}))

    def is_current(self, section: str) -> bool:
        """Whether it was run with the code that is here now."""
        return self.made(section).get("code") == code()

    def keep(self, section: str, lines: list[Line], load: float) -> None:
        """Write one section; the others stay."""
        self._held[section] = {"made": _made(load), "lines": [asdict(line) for line in lines]}
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(json.dumps(self._held, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(unfinished, self._file)


def _made(load: float) -> dict[str, Any]:
    return {
        "date": date.today().isoformat(),
        "code": code(),
        "python": platform.python_version(),
        "packages": dict(_versions()),
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(load, 1),
    }


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


@cache
def code() -> str:
    """A short hash of the package's code and the benchmarks'."""
    mixed = hashlib.sha256()
    for room in (ROOT / "src" / "varshift", ROOT / "benchmarks"):
        for file in sorted(room.rglob("*.py")):
            mixed.update(file.read_bytes())
    return mixed.hexdigest()[:12]


def processor() -> str:
    """Its name, as the system gives it."""
    told = Path("/proc/cpuinfo")
    for line in told.read_text("utf-8").splitlines() if told.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "an unknown processor"
