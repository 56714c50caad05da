"""What a regime has shown: moments at its norms (and outputs), and what those norms had stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from varshift._engine.batches import Batch
from varshift._engine.normcall import NormCall
from varshift._engine.record.bank import Bank
from varshift._engine.record.stored import refuse_unusable, stored_statistics
from varshift._engine.record.tally import Tally
from varshift._engine.regime import Recorder
from varshift._engine.sites import Handle
from varshift.results import Statistics

__all__ = ["Recording", "outputs_of"]


class Recording(Recorder):
    """Moments by place.

    Args:
        name: how the model runs, for messages: "train", "evaluation".
        outputs: whether the model's outputs are places too.
        scattered: whether to keep how batches differ from each other.
        by_sample: samples are independent whatever training draws: the noise is off.

    `handles` are the norms met, `stored` what they held when first met, `by_batch` the paths of
    those that normalised by their batch.
    """

    def __init__(
        self,
        name: str,
        *,
        outputs: bool = False,
        scattered: bool = False,
        by_sample: bool = False,
    ) -> None:
        self.bank = Bank(name, scattered=scattered)
        self.handles: dict[str, Handle] = {}
        self.stored: dict[str, Statistics] = {}
        self.by_batch: set[str] = set()
        self._outputs, self._by_sample = outputs, by_sample

    def keep_batches_whole(self) -> None:
        """From now on no group holds a part of a batch, nor of those that were taken in."""
        if not self._by_sample:
            self.bank.keep_whole()

    def begin(self, batch: Batch) -> None:
        """A pass starts."""
        self._batch = batch
        self.bank.begin(batch)

    def norm(self, call: NormCall) -> None:
        """What it receives; and, the first time, what it has stored."""
        if call.path not in self.handles:
            self.handles[call.path] = call.handle
            refuse_unusable(call)
            self.stored[call.path] = stored_statistics(call)
        if call.training:
            self.by_batch.add(call.path)
        self.bank.add(call.path, call.x)
        if call.each:
            self.bank.add_each(call.path, call.x)

    def end(self, out: Any) -> None:
        """The pass is through."""
        if self._outputs:
            for name, value in outputs_of(out, self._batch.samples):
                self.bank.add(name, value)
        self.bank.end()

    def share(self) -> Any:
        """Its moments, what the norms it met have stored, and which went by their batch."""
        return self.bank, self.stored, self.by_batch

    def joined(self, shares: list[Any]) -> None:
        """Moments of all ranks; of a norm's stored statistics those of the first that met it."""
        self.bank.joined([bank for bank, _, _ in shares])
        self.stored = {path: held for _, s, _ in reversed(shares) for path, held in s.items()}
        self.by_batch = {path for _, _, paths in shares for path in paths}

    @property
    def at(self) -> Mapping[str, Tally]:
        """By place, what it received."""
        return self.bank


def outputs_of(out: Any, samples: int, name: str = "output") -> Iterator[tuple[str, Tensor]]:
    """The model's floating outputs as (name, (rows, F, …)), whatever containers hold them.

    Single numbers (a loss) and tensors whose rows are no samples are left out.
    """
    if isinstance(out, Tensor):
        if out.is_floating_point() and out.ndim and len(out) and len(out) % samples == 0:
            yield name, out.detach() if out.ndim > 1 else out.detach()[:, None]
    elif isinstance(out, Mapping):
        for key, value in out.items():
            yield from outputs_of(value, samples, f"{name}.{key}")
    elif isinstance(out, (tuple, list)):
        for index, value in enumerate(out):
            yield from outputs_of(value, samples, f"{name}[{index}]")
