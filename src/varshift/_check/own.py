"""Whose code a file is, and from where a patch of it is applied."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from varshift._engine import is_library
from varshift.results.edits import SourceText, united_diff

__all__ = ["Ground"]


@dataclass(frozen=True)
class Ground:
    """The current folder and the repository around it: what is in there is the user's to change."""

    here: Path
    root: Path

    @classmethod
    def around(cls, root: Path | None) -> Ground:
        """With the current folder alone where no repository is given."""
        here = Path.cwd().resolve()
        return cls(here, here if root is None else root.resolve())

    def holds(self, file: str) -> bool:
        """Whether a file may be patched."""
        path = Path(file).resolve()
        inside = path.is_relative_to(self.here) or path.is_relative_to(self.root)
        return inside and not is_library(file)

    def diff(self, sources: Iterable[SourceText]) -> tuple[str, Path]:
        """One diff, and the folder it is applied in: git takes no path that leaves it."""
        held = list(sources)
        within = all(Path(source.file).resolve().is_relative_to(self.here) for source in held)
        base = self.here if within else self.root
        named = [replace(source, file=_from(base, source.file)) for source in held]
        return united_diff(named), base


def _from(base: Path, file: str) -> str:
    return os.path.relpath(Path(file).resolve(), base).replace(os.sep, "/")
