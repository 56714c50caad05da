"""Which norms each mode runs, and which norm of evaluation stands where training runs another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from varshift._engine import Batch, NormCall, Recorder

__all__ = ["NormOrder", "Pairing"]

_ALIKE = 0.6  # of two paths without a part in common: from here on one may stand for the other


class NormOrder(Recorder):
    """The norms of each pass in the order they ran, and with what each was first called.

    Attributes:
        of: by index of a batch, the paths in order.
        met: by path, the arguments of its first call but for the input.
    """

    def __init__(self) -> None:
        self.of: dict[int, tuple[str, ...]] = {}
        self.met: dict[str, Mapping[str, Any]] = {}
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def begin(self, batch: Batch) -> None:
        """A pass starts."""
        self._batch, self._ran = batch.index, list[str]()

    def norm(self, call: NormCall) -> None:
        """A norm is about to run."""
        self._ran.append(call.path)
        if call.path not in self.met:
            held = call.arguments.items()
            self.met[call.path] = {name: value for name, value in held if name != "input"}

    def end(self, out: Any) -> None:
        """The pass is through. Batches alike share one order, so that nothing grows with them."""
        ran = tuple(self._ran)
        self.of[self._batch] = self._known.setdefault(ran, ran)

    def channels(self, path: str) -> int:
        """How many channels a norm has."""
        return int(self.met[path]["running_mean"].numel())


@dataclass(frozen=True)
class Pairing:
    """The norms that only one mode runs, and what stands for what.

    Attributes:
        training: norms that training runs on these batches and evaluation never does.
        evaluation: norms that evaluation runs and training never does.
        orders: of training and of evaluation.
    """

    training: tuple[str, ...]
    evaluation: tuple[str, ...]
    orders: tuple[NormOrder, NormOrder]

    @classmethod
    def of(cls, on: NormOrder, off: NormOrder, met: tuple[Iterable[str], Iterable[str]]) -> Pairing:
        """From the orders of this rank, and the norms that all ranks have met in each mode."""
        training, evaluation = (tuple(each) for each in met)
        only_on = tuple(path for path in training if path not in set(evaluation))
        only_off = tuple(path for path in evaluation if path not in set(training))
        return cls(only_on, only_off, (on, off))

    @property
    def unlike(self) -> bool:
        """Whether the modes differ in which norms they run, or for one batch in their order.

        A norm that some pass of training leaves out, as a layer drop does, makes no difference.
        """
        return bool(self.training or self.evaluation) or any(
            len(ran) == len(self._off(batch)) and ran != self._off(batch)
            for batch, ran in self.orders[0].of.items()
        )

    def partners(self, batch: int) -> dict[str, str | None]:
        """By norm of training, the norm that evaluation runs there; None where it runs none.

        A norm that evaluation runs too stands for itself, unless both modes run as many norms of
        the same widths one by one, which then stand for each other in order.
        """
        ran, off = self.orders[0].of.get(batch, ()), self._off(batch)
        if [self.orders[0].channels(p) for p in ran] == [self.orders[1].channels(p) for p in off]:
            found: dict[str, str | None] = {}
            for path, other in zip(ran, off, strict=True):
                found.setdefault(path, other)
            return found
        return {path: path if path in off else self._nearest(path, off) for path in ran}

    def left_over(self, batch: int) -> set[str]:
        """Norms of evaluation alone that stand for none of training."""
        return set(self.evaluation) - set(self.partners(batch).values())

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every two norms that stand for each other in some batch."""
        on, off = self.orders
        alike = {(ran, off.of.get(batch)): batch for batch, ran in on.of.items()}
        found = (pair for batch in alike.values() for pair in self.partners(batch).items())
        for path, other in dict.fromkeys(found):
            if other is not None and other != path:
                yield path, other

    @property
    def shared(self) -> frozenset[str]:
        """Norms of both modes that stand for another one too: they get other samples in each."""
        alone = {*self.training, *self.evaluation}
        return frozenset(path for pair in self.pairs() for path in pair if path not in alone)

    def _off(self, batch: int) -> tuple[str, ...]:
        return self.orders[1].of.get(batch, ())

    def _nearest(self, path: str, off: Sequence[str]) -> str | None:
        """The norm of evaluation whose path is most like it, of the same width."""
        width = self.orders[0].channels(path)
        fit = [other for other in off if self.orders[1].channels(other) == width]
        near = max(fit, key=lambda other: _likeness(path, other), default=None)
        if near is None:
            return None
        common, alike = _likeness(path, near)
        return near if common or alike >= _ALIKE else None


def _likeness(one: str, other: str) -> tuple[int, float]:
    """How many parts two paths begin with alike, and how alike they are spelled."""
    common = 0
    for mine, theirs in zip(one.split("."), other.split("."), strict=False):
        if mine != theirs:
            break
        common += 1
    return common, SequenceMatcher(None, one, other).ratio()
