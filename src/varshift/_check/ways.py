"""Which noise reaches the outputs of a model around all of its norms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from varshift._engine import Batch, Recorder, Session, outputs_of

__all__ = ["Way", "Ways"]


@dataclass(frozen=True)
class Way:
    """An output: whether it is one number a sample, and the sources that no norm lies before."""

    single: bool
    sources: tuple[str, ...]


class Ways(Recorder):
    """Which noise reaches the outputs of the traced pass by a way around all norms."""

    def __init__(self, run: Session) -> None:
        self.found: dict[str, Way] = {}
        self._run = run
        self._batch: Batch | None = None

    def begin(self, batch: Batch) -> None:
        """Only the first pass of the session is traced for its structure."""
        self._batch = None if self.found or self._run.trace is not None else batch

    def end(self, out: Any) -> None:
        """The outputs are there, and what they carry."""
        if self._batch is None or self._run.trace is None:
            return
        tracer = self._run.trace.tracer
        for name, value in outputs_of(out, self._batch.samples):
            free = (
                tracer.names[index]
                for index, layers in tracer.ways(value)
                if not any(layer.role == "norm" and layer.path in tracer.sites for layer in layers)
            )
            self.found[name] = Way(value[0].numel() == 1, tuple(dict.fromkeys(free)))

    def share(self) -> Any:
        """What it found."""
        return self.found

    def joined(self, shares: list[Any]) -> None:
        """That of the first rank that found anything."""
        self.found = next((found for found in shares if found), {})
