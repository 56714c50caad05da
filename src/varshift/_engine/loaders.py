"""Data belong to a training loop that may be in the middle of them: a pass leaves no mark there.

A `DataLoader` with persistent workers has one iterator; asked for another, it sets that one back to
the start, and the epoch under way goes on with other samples. So such a loader is read through an
iterator of its own, and its own one is put back afterwards, untouched. The workers are others too:
what those of the training loop draw is drawn as if nobody had been there.

Put back as well: the generators that loaders shuffle and augment with, and where samplers stand.
"""

from __future__ import annotations

import gc
import inspect
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, Sampler

from varshift._engine.borrow.contents import KeptGenerator, reader_of
from varshift._engine.reachable import behind, reachable
from varshift._torch.loading import ITERATOR, OWN_ITERATOR, has_begun, shut_down
from varshift.errors import DataError

__all__ = ["iterated_apart"]


@contextmanager
def iterated_apart(data: Any, notes: list[str]) -> Iterator[Any]:
    """What to iterate in place of `data`; after the block its loaders stand where they stood.

    `notes` takes in what will not be so. Raises DataError where an epoch is under way that a second
    pass would spoil.
    """
    data = _unwrapped(data)
    with ExitStack() as stack:
        for found in reachable(data):
            if _is_loader(found):
                _refuse_under_way(found)
                notes += _taken_for_good(found)
                here = None if _workers(found) else getattr(found, "dataset", None)
                stack.enter_context(_state_kept(behind(found), here, notes))
                stack.enter_context(_own_iterator_aside(found))
            elif _restarts(found):
                stack.enter_context(_state_kept([found], data, notes))
        if type(data) is types.GeneratorType and _begun(data):
            notes.append(_MISSING.format("data is a generator that had been begun"))
        yield data


@contextmanager
def _own_iterator_aside(loader: Any) -> Iterator[None]:
    """In the block the loader makes iterators anew; then it has its own again, where it stood."""
    own = vars(loader)
    persistent = bool(getattr(loader, "persistent_workers", False) and _workers(loader))
    if persistent and ITERATOR not in own and not _is_adapter(loader):
        raise DataError(
            f"data is a {type(loader).__name__} with persistent_workers=True, and where torch "
            f"{torch.__version__} keeps its one iterator is not known here: a second pass could "
            "end the epoch under way. Pass a list of batches, or a loader with "
            "persistent_workers=False"
        )
    kept = {name: own[name] for name in OWN_ITERATOR if name in own}
    if not persistent and len(kept) < 2:
        yield  # makes an iterator for each epoch, and keeps none
        return
    try:
        own.update({name: OWN_ITERATOR[name] for name in kept})
        yield
    finally:
        made = own.get(ITERATOR)
        own.update(kept)
        if made is not kept.get(ITERATOR):
            shut_down(made)


@contextmanager
def _state_kept(held: list[Any], read: Any, notes: list[str]) -> Iterator[None]:
    """Random generators are put back, and the attributes of whatever says with them where it is.

    `read` is what will be iterated in this process.
    """
    generators = [KeptGenerator(each) for each in held if reader_of(each) is not None]
    placed = [(each, dict(vars(each))) for each in held if _keeps_its_place(each)]
    begun = [_begun(each) for each, _ in placed]
    try:
        yield
    finally:
        for (each, before), had_begun in zip(placed, begun, strict=True):
            if not _restarts(each) or not _same_iterator(vars(each), before):
                _put_back(vars(each), before)
            elif each is read and had_begun:
                # Its attributes alone would be out of step with what it iterates.
                notes.append(_MISSING.format(f"a {type(each).__name__} is its own iterator"))
        for generator in generators:
            generator.restore()


_MISSING = (
    "{}: the batches or samples read here are missing when it is read on; pass a list of "
    "batches, or a callable that returns them"
)


def _keeps_its_place(value: Any) -> bool:
    return issubclass(type(value), (Sampler, IterableDataset)) or _restarts(value)


def _restarts(value: Any) -> bool:
    """Whether it is its own iterator, written in Python."""
    kind = type(value)
    return hasattr(kind, "__next__") and hasattr(kind, "__iter__") and hasattr(value, "__dict__")


def _same_iterator(now: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether it has gone on with an iterator that it held before, rather than begun anew."""
    return any(
        hasattr(type(held), "__next__") and now.get(name) is held for name, held in before.items()
    )


def _put_back(now: dict[str, Any], before: dict[str, Any]) -> None:
    for name in now.keys() - before.keys():
        del now[name]
    now.update(before)


def _workers(loader: Any) -> int:
    """Of a subclass that takes nothing from torch's own `__init__`, none."""
    return int(getattr(loader, "num_workers", 0))


def _is_loader(value: Any) -> bool:
    return issubclass(type(value), DataLoader) or _is_adapter(value)


def _is_adapter(value: Any) -> bool:
    """Accelerate's own loaders, which stand around one of torch's and pass for it."""
    return type(value).__module__.startswith("accelerate.") and "base_dataloader" in vars(value)


def _unwrapped(data: Any) -> Any:
    """What a pass of its own reads: a prepared loader counts epochs and tells the optimiser."""
    sharded = _is_adapter(data) and type(data).__name__ == "DataLoaderShard"
    return data.base_dataloader if sharded else data


def _refuse_under_way(loader: Any) -> None:
    """Loaders whose epochs share more than can be set aside, while one is under way."""
    if (_is_adapter(loader) or _keeps_one(loader)) and _suspended(loader):
        raise DataError(
            f"data is or holds a {type(loader).__name__} in the middle of an epoch, and all its "
            "epochs share one state: reading it here would take batches from that epoch or end "
            "it. Pass a list of batches, such as the last ones trained on, or another loader over "
            "the same dataset"
        )


def _taken_for_good(loader: Any) -> Iterator[str]:
    """What reading moves on and nobody can put back."""
    if _keeps_one(loader):
        yield (
            f"data is a {type(loader).__name__}, which keeps one iterator for all its epochs: the "
            "next one goes on where this pass has stopped"
        )


def _keeps_one(loader: Any) -> bool:
    """Whether it holds an iterator that is none of torch's doing, as loaders without end do."""
    others = vars(loader).keys() - {*OWN_ITERATOR, "dataset", "sampler", "batch_sampler"}
    return any(hasattr(type(vars(loader)[name]), "__next__") for name in others)


def _suspended(loader: Any) -> bool:
    """Whether somebody is in the middle of a loader whose `__iter__` is a generator."""
    code = getattr(type(loader).__iter__, "__code__", None)
    return any(
        isinstance(each, types.GeneratorType)
        and each.gi_code is code
        and inspect.getgeneratorstate(each) == inspect.GEN_SUSPENDED
        for each in gc.get_referrers(loader)
    )


def _begun(data: Any) -> bool:
    """Whether an iterator has given something already; True where that does not show."""
    if type(data) is types.GeneratorType:
        return inspect.getgeneratorstate(data) == inspect.GEN_SUSPENDED
    return has_begun(data)
