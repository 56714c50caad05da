"""Which item of a batch is its labels: never one that the model predicts from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from varshift._engine import Batch, Regime, Session, items_of, received, with_item
from varshift._repair.labels import (
    LABELS,
    Item,
    are_numbers,
    in_order,
    labels_at,
    usual_item,
)
from varshift._repair.predictions import Reader, prediction_of
from varshift.errors import DataError, UsageError, VarshiftError
from varshift.judging import Judge

__all__ = ["Labels", "choose"]

_SEED = 0  # noise that stays on in evaluation is then the same in all passes that are compared


@dataclass(frozen=True)
class Labels:
    """What was taken for labels, and what stood against the item where they usually are.

    Attributes:
        item: where labels are taken from in every batch; None for no labels.
        usual: where the form of the batch alone would have them.
        input: whether the model predicts from that one, which are then no labels.
        rivals: items that might be labels as well.
    """

    item: Item | None
    usual: Item | None = None
    input: bool = False
    rivals: tuple[Item, ...] = ()


def choose(run: Session, held_out: Sequence[Batch], judge: Judge) -> Labels:
    """Where the labels of these batches are.

    In order: an item named "labels", "target", "y" …; in a tuple, a list or a dataclass the second
    item, else the first one behind the input that fits the predictions. An item counts as input
    where a module of the model was called with it, or the predictions change with it. One so named
    that the model is called with though its predictions do not change, as Hugging Face models
    take labels to return a loss, is still labels.
    """
    # First one that seems to have labels: where some have none, that is for the judge to say.
    held_out = sorted(held_out, key=lambda batch: usual_item(batch.value) is None)
    value = held_out[0].value
    usual = usual_item(value)
    if run.forward is None and in_order(value):  # the model is called with the first item alone
        return Labels(usual)
    keys = list(_candidates(value, usual))
    if not keys:
        return Labels(usual)  # of an object that does not show what it holds, or no labels at all
    with run.trying(seed=_SEED):
        out, called = received(run, held_out[0])
    look = _Look(run, held_out, judge, out, called)
    if usual in keys and not look.is_input(usual):
        return _beside_rivals(look, Labels(usual, usual), keys)
    inputs = {key for key in keys if look.is_input(key)}
    free = [key for key in keys if key not in inputs and look.fits(key)]
    if not in_order(value):
        free = [key for key in free if key in LABELS]
    ordered = [*(key for key in free if key in LABELS), *_behind(keys, inputs, free)]
    found = Labels(ordered[0] if ordered else None, usual, usual in keys)
    return _beside_rivals(look, found, keys)


def _candidates(value: Any, usual: Item | None) -> Iterator[Item]:
    """Items that may be labels, and those before them, among which the input is."""
    for key, item in items_of(value).items():
        named = key == usual or key in LABELS or in_order(value)
        tensor = isinstance(item, Tensor) and item.ndim > 0
        if named and (tensor or (key == usual and are_numbers(item))):
            yield key


def _behind(keys: list[Item], inputs: set[Item], free: list[Item]) -> list[Item]:
    """Those behind the first input, else all."""
    start = min((keys.index(key) for key in inputs), default=0)
    return [key for key in free if keys.index(key) > start] or free


def _beside_rivals(look: _Look, found: Labels, keys: list[Item]) -> Labels:
    """With the items that fit as well, where nothing but their order tells which are labels."""
    if found.item is None or found.item in LABELS:
        return found
    others = (key for key in keys if key != found.item and not look.is_input(key))
    return replace(found, rivals=tuple(key for key in others if look.fits(key)))


@dataclass(eq=False)
class _Look:
    """One held-out batch, what the model made of it, and what it makes of other values."""

    run: Session
    held_out: Sequence[Batch]
    judge: Judge
    out: Any
    called: frozenset[Item]

    def __post_init__(self) -> None:
        self._prediction = prediction_of(self.out, self.judge.output)
        self._known: dict[Item, bool] = {}
        self._steady: bool | None = None

    def is_input(self, key: Item) -> bool:
        """Whether the model predicts from that item."""
        if key not in self._known:
            self._known[key] = self._is_input(key)
        return self._known[key]

    def _is_input(self, key: Item) -> bool:
        if key in self.called and key not in LABELS:
            return True
        batch = self.held_out[0]
        other = self._other(key)
        if other is None:
            return key in self.called
        if not self._moves(replace(batch, value=with_item(batch.value, key, other))):
            return False
        # What differs from one pass to the next differs whatever it is given.
        if self._steady is None:
            self._steady = not self._moves(batch)
        return self._steady or key in self.called

    def _moves(self, batch: Batch) -> bool:
        """Whether the prediction is another one; that of values the model refuses is, too."""
        try:
            with self.run.trying(seed=_SEED):
                out = self.run.once(batch, Regime("evaluation"))
            found = prediction_of(out, self.judge.output)
        except VarshiftError:
            return True
        return not _alike(found, self._prediction)

    def _other(self, key: Item) -> Any:
        """The item with its samples in another order, else that of another batch; None: neither."""
        found: list[Any] = [items_of(batch.value).get(key) for batch in self.held_out]
        own, *rest = found
        if are_numbers(own):
            turned: Any = np.roll(own, 1) if isinstance(own, np.ndarray) else [*own[1:], own[0]]
            return None if all(a == b for a, b in zip(turned, own, strict=True)) else turned
        if not isinstance(own, Tensor) or own.layout != torch.strided:
            return None
        rolled = (own.roll(1, dim) for dim in range(own.ndim))
        others = (each for each in rest if isinstance(each, Tensor) and each.shape == own.shape)
        return next((each for each in (*rolled, *others) if not torch.equal(each, own)), None)

    def fits(self, key: Item) -> bool:
        """Whether the predictions can be held against that item."""
        try:
            told = [labels_at(batch.value, key) for batch in self.held_out]
            labels = [each for each in told if each is not None]
            if len(labels) < len(told):
                return False
            reader = Reader.of(self.out, labels, kind=self.judge.kind, output=self.judge.output)
            reader.scored(reader.read(self.out), labels[0])
        except (DataError, UsageError, RuntimeError):
            return False
        return True


def _alike(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())
