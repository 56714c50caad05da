"""Data belong to a training loop that may be in the middle of them: a pass leaves no mark there.

A `DataLoader` with persistent workers has one iterator; asked for another, it sets that one back to
the start, and the epoch under way goes on with other samples. So such a loader is read through an
iterator of its own, and its own one is put back afterwards, untouched. The workers are others too:
what those of the training loop draw is drawn as if nobody had been there.

Put back as well: the generators that data shuffle and augment with, what samplers, datasets and
loaders of any make count, order and keep, and where their files and iterators stand.
"""

from __future__ import annotations

import gc
import inspect
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
from torch.utils.data import DataLoader

from varshift._engine.borrow.contents import reader_of
from varshift._engine.borrow.objects import of_others
from varshift._engine.borrow.slots import KeptSlots
from varshift._engine.borrow.sources import Sources
from varshift._engine.borrow.untildone import UntilDone
from varshift._engine.reachable import reachable
from varshift._torch.loading import ITERATOR, OWN_ITERATOR, has_begun, is_under_way, shut_down
from varshift.errors import DataError

__all__ = ["ReadApart"]


class ReadApart(UntilDone):
    """Data in a block: `with apart, apart, apart: source = apart.take(data)`.

    After it they stand where they stood. `notes` takes in what does not.
    """

    def __init__(self, notes: list[str]) -> None:
        super().__init__()
        self._notes = notes
        self._sources = Sources()
        self._aside: list[tuple[Any, dict[str, Any]]] = []

    def take(self, data: Any) -> Any:
        """What to iterate in place of `data`.

        Raises DataError where an epoch is under way that a second pass would spoil.
        """
        data = _unwrapped(data)
        found = reachable(data)
        loaders = [each for each in found if _is_loader(each)]
        for loader in loaders:
            _refuse_under_way(loader)
            _refuse_unknown(loader)
        for loader in filter(_ones_kept, loaders):
            self._notes.append(_taken_for_good(loader))
            self._sources.leave(_ones_kept(loader))
        if _begun(data):
            self._notes.append(_MISSING.format(type(data).__name__))
        if is_under_way(data):
            self._sources.leave([data])  # it is what is read
        self._sources.take((each, type(each).__name__) for each in _sources(found))
        for loader in loaders:
            self._set_aside(loader)
        return data

    def _set_aside(self, loader: Any) -> None:
        """Make iterators anew, until the loader has its own again, where it stood."""
        own = vars(loader)
        kept = {name: own[name] for name in OWN_ITERATOR if name in own}
        if len(kept) < 2 and not _persistent(loader):
            return  # makes an iterator for each epoch, and keeps none
        if any(each is loader for each, _ in self._aside):
            return  # made by a callable, which was looked into itself
        self._aside.append((loader, kept))
        own.update({name: OWN_ITERATOR[name] for name in kept})

    def _give_back(self) -> None:
        for loader, kept in self._aside:
            made = vars(loader).get(ITERATOR)
            if made is not kept.get(ITERATOR):
                with suppress(Exception):  # its workers end with this process at the latest
                    shut_down(made)
            vars(loader).update(kept)
        with torch.no_grad():
            self.failed = self._sources.restore()
        self._notes.extend(each for each in self.failed if each not in self._notes)
        self._done = True


_MISSING = (
    "data is a {} that had been begun: the batches or samples read here are missing when it is "
    "read on; pass a list of batches, or a callable that returns them"
)


def _sources(found: list[Any]) -> Iterator[Any]:
    """What is iterated, or iterates: its state is that of the data, and not a record of them."""
    for each in found:
        kind = type(each)
        if is_under_way(each) and not has_begun(each):
            continue  # made for this pass
        if kind is types.MethodType:
            if not of_others(each.__self__):
                yield each.__self__
        elif kind is types.GeneratorType:
            if each.gi_frame is not None and "self" in each.gi_frame.f_locals:
                yield each.gi_frame.f_locals["self"]
        elif reader_of(each) is not None or _is_iterated(each):
            yield each


def _is_iterated(value: Any) -> bool:
    """Whether it is an object of a class written in Python that can be iterated or indexed."""
    kind = type(value)
    if issubclass(kind, (dict, list, tuple, set)):
        return False
    own = "__dict__" in dir(kind) or KeptSlots.of(value) is not None
    return own and any(hasattr(kind, name) for name in ("__iter__", "__next__", "__getitem__"))


def _begun(data: Any) -> bool:
    """Whether an iterator has given something already."""
    if type(data) is types.GeneratorType:
        return inspect.getgeneratorstate(data) == inspect.GEN_SUSPENDED
    return is_under_way(data) and has_begun(data)


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
    if (_is_adapter(loader) or _ones_kept(loader)) and _suspended(loader):
        raise DataError(
            f"data is or holds a {type(loader).__name__} in the middle of an epoch, and all its "
            "epochs share one state: reading it here would take batches from that epoch or end "
            "it. Pass a list of batches, such as the last ones trained on, or another loader over "
            "the same dataset"
        )


def _refuse_unknown(loader: Any) -> None:
    """Loaders that keep their one iterator where it is not known."""
    if _persistent(loader) and ITERATOR not in vars(loader) and not _is_adapter(loader):
        raise DataError(
            f"data is a {type(loader).__name__} with persistent_workers=True, and where torch "
            f"{torch.__version__} keeps its one iterator is not known here: a second pass could "
            "end the epoch under way. Pass a list of batches, or a loader with "
            "persistent_workers=False"
        )


def _persistent(loader: Any) -> bool:
    """Of a subclass that takes nothing from torch's own `__init__`, not."""
    workers = int(getattr(loader, "num_workers", 0))
    return bool(getattr(loader, "persistent_workers", False) and workers)


def _taken_for_good(loader: Any) -> str:
    return (
        f"data is a {type(loader).__name__}, which keeps one iterator for all its epochs: the "
        "next one goes on where this pass has stopped"
    )


def _ones_kept(loader: Any) -> list[Any]:
    """Iterators that it holds and that are none of torch's doing, as loaders without end do."""
    others = vars(loader).keys() - {*OWN_ITERATOR, "dataset", "sampler", "batch_sampler"}
    return [held for name in others if hasattr(type(held := vars(loader)[name]), "__next__")]


def _suspended(loader: Any) -> bool:
    """Whether somebody is in the middle of a loader whose `__iter__` is a generator."""
    code = getattr(type(loader).__iter__, "__code__", None)
    return any(
        isinstance(each, types.GeneratorType)
        and each.gi_code is code
        and inspect.getgeneratorstate(each) == inspect.GEN_SUSPENDED
        for each in gc.get_referrers(loader)
    )
