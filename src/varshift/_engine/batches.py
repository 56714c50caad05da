"""Any form of data becomes checked batches on the model's device, one after another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from numbers import Integral
from types import GeneratorType, TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from varshift._engine.borrow.walk import walk
from varshift._engine.loaders import ReadApart
from varshift._engine.nested import copied, first_item, mapped, memory_of, moved, rebuildable
from varshift._engine.nested import tensors_of as tensors_of
from varshift.errors import DataError, ForwardError, ModelError, UsageError, VarshiftError

__all__ = [
    *("Batch", "Data", "Device", "Forward", "batches", "call", "cut", "one_batch", "piece"),
    *("tensors_of", "why_empty"),
]

Data = Iterable[Any] | Callable[[], Iterable[Any]]
Forward = Callable[[nn.Module, Any], Any]
Device = torch.device | str | None


@dataclass(frozen=True)
class Batch:
    """One batch on the model's device: its index, what the loader gave, how many samples."""

    index: int
    value: Any
    samples: int


def batches(
    data: Data,
    model: nn.Module,
    *,
    forward: Forward | None = None,
    device: Device = None,
    max_samples: int | None = None,
    may_be_empty: bool = False,
    notes: list[str] | None = None,
    named: str = "data",
) -> Generator[Batch, None, None]:
    """The batches of `data`, checked, moved to the model's device and cut off at `max_samples`.

    `data` is an iterable of batches or a callable that returns one. The batch that crosses
    `max_samples` is cut where its tensors share their first dimension, else taken whole. Loaders
    that somebody is in the middle of are given back where they were once this is closed; `notes`
    takes in what could not be. Each batch has memory of its own, whatever its source does next.
    `named` is the argument that errors speak of.
    """
    if max_samples is not None and not isinstance(max_samples, Integral):
        raise UsageError(f"max_samples is {max_samples!r}; pass a whole number")
    if max_samples is not None and max_samples < 1:
        raise UsageError(f"max_samples is {max_samples}; it must be at least 1")
    target = _device_of(model, device)
    seen = 0
    with closing(_fetch(data, [] if notes is None else notes, named)) as fetched:
        for index, (value, lent) in enumerate(fetched):
            batch = _checked(index, value, forward, target, lent, named)
            if max_samples is not None and seen + batch.samples > max_samples:
                batch = cut(batch, max_samples - seen)
            seen += batch.samples
            yield batch
            if max_samples is not None and seen >= max_samples:
                return
    if seen == 0 and not may_be_empty:
        raise DataError(why_empty(data, named))


def one_batch(
    example: Any, model: nn.Module, *, forward: Forward | None = None, device: Device = None
) -> Batch:
    """A single example batch, checked and moved."""
    return _checked(0, example, forward, _device_of(model, device))


def call(model: nn.Module, batch: Batch, forward: Forward | None) -> Any:
    """Run the model on a batch. What the model raises becomes a ForwardError that says where."""
    try:
        value = copied(batch.value)  # in-place layers write into their input
        if forward is not None:
            return forward(model, value)
        value = first_item(value)
        return model(**value) if isinstance(value, Mapping) else model(value)
    except VarshiftError:
        raise
    except Exception as error:
        path, kind = _where(model, error.__traceback__)
        where = f" in {path!r} ({kind})" if path else ""
        raise ForwardError(
            f"the model raised {type(error).__name__}{where} on batch {batch.index}"
            f"{_shapes(batch.value)}: {error}{_hint(error, forward)}",
            path,
            batch.index,
        ) from error


def _fetch(data: Data, notes: list[str], named: str) -> Generator[tuple[Any, bool], None, None]:
    """Each batch, and whether its source may fill the same memory anew: a list cannot."""
    _refuse_other(data, named)
    apart = ReadApart(notes)
    # Three times: an interrupt may strike as the block is left.
    with apart, apart, apart:
        source = apart.take(data)
        if not (isinstance(source, Iterable) or hasattr(source, "__getitem__")):
            source = apart.take(source())
        lent = type(source) not in (list, tuple)
        with closing(_one_by_one(source, data, named)) as values:
            for value in values:
                yield value, lent


def _refuse_other(data: Any, named: str) -> None:
    """What is no iterable of batches, and no callable that could return one."""
    if isinstance(data, Tensor):
        raise DataError(
            f"{named} is one tensor of shape {tuple(data.shape)}, and its items would be samples, "
            "not batches: pass [x] for a single batch, or x.split(256)"
        )
    if isinstance(data, (str, bytes, Mapping)):
        raise DataError(
            f"{named} is a {type(data).__name__}; pass an iterable of batches, as in [x]"
        )
    if _one_pair(data):
        raise DataError(
            f"{named} is one pair of tensors, as in (inputs, labels), and its items are no "
            "batches: pass [(inputs, labels)] for a single batch, or a DataLoader"
        )
    if not (isinstance(data, Iterable) or hasattr(data, "__getitem__") or callable(data)):
        raise DataError(
            f"{named} is a {type(data).__name__}; pass an iterable of batches, or a callable that "
            "returns one"
        )


def _one_by_one(source: Any, data: Data, named: str) -> Generator[Any, None, None]:
    iterator = iter(source)
    try:
        yield from _watched(iterator, data, named)
    finally:
        # What its own blocks do as they are left must be done before it is given back.
        if iterator is not source and isinstance(iterator, GeneratorType):
            with suppress(Exception):  # Python would have ignored it too
                iterator.close()


def _watched(iterator: Iterator[Any], data: Data, named: str) -> Iterator[Any]:
    for index in itertools.count():
        try:
            value = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            error.add_note(f"raised by the data while batch {index} was fetched")
            raise
        if index == 0 and _by_index(data) and _one_sample(value):
            raise DataError(
                f"{named} is a dataset ({type(data).__name__}) that gives samples, not batches: "
                f"pass torch.utils.data.DataLoader({named}, batch_size=…)"
            )
        yield value


def _by_index(data: Any) -> bool:
    """A data set of samples; an iterable one may well give batches."""
    return isinstance(data, Dataset) and not isinstance(data, IterableDataset)


def _one_sample(value: Any) -> bool:
    """Whether what stands beside the input is a single number, as a dataset's label is."""
    beside = value[1:] if isinstance(value, (tuple, list)) else ()
    return any(
        isinstance(v, (int, float)) or (isinstance(v, Tensor) and not v.ndim) for v in beside
    )


def _one_pair(data: Any) -> bool:
    """Inputs and their labels, one of each sample, and not two batches of the same."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        return False
    one, other = data
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)) or not (one.ndim and other.ndim):
        return False
    return other.ndim < one.ndim and len(one) == len(other)


def why_empty(data: Any, named: str = "data") -> str:
    """The sentence on data without a batch."""
    if isinstance(data, Iterator):
        return (
            f"{named} gave no batches: it is an iterator that is already used up (or was empty). "
            "Pass a list, a DataLoader, or a callable that returns a fresh iterator"
        )
    usual = "a DataLoader with drop_last=True may be empty"
    return f"{named} gave no batches: pass at least one ({usual})"


def _checked(
    index: int,
    value: Any,
    forward: Forward | None,
    target: Device,
    lent: bool = False,
    named: str = "data",
) -> Batch:
    """`lent` is whether another batch may come in the same memory."""
    which = f"batch {index}" if named == "data" else f"batch {index} of {named}"
    if forward is None:
        _refuse_unknown(which, value)
    value = moved(value, target, lent)
    tensors = list(tensors_of(value))
    for tensor in tensors:
        _refuse_nonfinite(which, tensor)
    held = [*tensors, *memory_of(value)]  # of arrays where there are no tensors
    samples = next((len(each) for each in held if each.ndim), 1)
    if samples == 0:
        raise DataError(f"{which} is empty: its first tensor has shape {_first(held)}")
    return Batch(index, value, samples)


def _first(tensors: list[Any]) -> tuple[int, ...]:
    return next(tuple(tensor.shape) for tensor in tensors if tensor.ndim)


def _refuse_unknown(which: str, value: Any) -> None:
    item = first_item(value)
    graph = callable(getattr(item, "to_dict", None)) and next(tensors_of(item), None) is not None
    if not (isinstance(item, (Tensor, Mapping)) or graph):
        kind = type(value).__name__ if item is value else f"{type(value).__name__} of "
        kind += "" if item is value else type(item).__name__
        raise DataError(f"{which} is a {kind}; {_way_out(value)}")


def _way_out(value: Any) -> str:
    if isinstance(value, DataLoader):
        return "pass one of its batches: next(iter(loader))"
    if isinstance(value, np.ndarray):
        return "make it a tensor: torch.from_numpy(…)"
    if isinstance(value, (tuple, list, torch.Size)) and all(type(v) is int for v in value):
        return f"that looks like a shape: pass torch.randn{tuple(value)}"
    return "pass forward=lambda model, batch: model(…) to say how the model takes it"


def _refuse_nonfinite(which: str, tensor: Tensor) -> None:
    if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.layout != torch.strided:
        return
    if bool(torch.isfinite(tensor).all()):
        return
    bad = ~torch.isfinite(tensor)
    where = tuple(torch.nonzero(bad)[0].tolist())
    kind = "NaN" if bool(torch.isnan(tensor[where])) else "infinite"
    count = int(bad.sum())
    many = "1 value that is" if count == 1 else f"{count} values that are"
    raise DataError(
        f"{which} holds {many} NaN or infinite, the first ({kind}) at index "
        f"{where} of a tensor of shape {tuple(tensor.shape)}; clean or drop that batch"
    )


def _device_of(model: nn.Module, device: Device) -> torch.device | None:
    """Where batches go: the model's one device, or None where it is spread over several."""
    places = {
        tensor.device
        for _, module in walk(model)
        for tensor in [*module._parameters.values(), *module._buffers.values()]
        if tensor is not None
    }
    if device is None:
        return next(iter(places)) if len(places) == 1 else None
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"device is {device!r}; pass one that torch knows: {error}") from error
    if places and all(place.type != wanted.type for place in places):
        place = ", ".join(sorted(map(str, places)))
        raise ModelError(
            f"device={str(wanted)!r}, but the model is on {place}; move it first with "
            f"model.to({str(wanted)!r}), or leave device out"
        )
    return wanted


def cut(batch: Batch, samples: int) -> Batch:
    """Its first samples, where its tensors share their first dimension; else the batch itself."""
    return piece(batch, 0, samples) or batch


def piece(batch: Batch, start: int, stop: int) -> Batch | None:
    """Some of its samples; None where its tensors do not share their first dimension."""
    tensors = list(tensors_of(batch.value))
    if not rebuildable(batch.value) or any(t.ndim == 0 or len(t) != batch.samples for t in tensors):
        return None
    few = mapped(
        batch.value,
        lambda held: held[start:stop],
        leaf=lambda held: isinstance(held, Tensor) or _by_sample(held, batch.samples),
    )
    samples = len(range(batch.samples)[start:stop])
    if any(len(tensor) != samples for tensor in tensors_of(few)):  # held where no slice reaches
        return None
    return Batch(batch.index, few, samples)


def _by_sample(value: Any, samples: int) -> bool:
    """A list or array with one item per sample beside the tensors: names, labels."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0 and len(value) == samples
    rows = isinstance(value, list) and len(value) == samples
    return rows and next(tensors_of(value), None) is None


def _where(model: nn.Module, traceback: TracebackType | None) -> tuple[str, str]:
    """Path and class of the innermost module whose code was running when it raised."""
    names = {id(module): name for name, module in model.named_modules()}
    found = "", type(model).__name__
    while traceback is not None:
        frame = traceback.tb_frame
        # A frame keeps the locals that are read of it: `call` would keep the error, and it the
        # frame, and the model would stay until Python looks for cycles.
        own = "self" in (*frame.f_code.co_varnames, *frame.f_code.co_freevars)
        module = frame.f_locals.get("self") if own else None
        if isinstance(module, nn.Module) and names.get(id(module)):
            found = names[id(module)], type(module).__name__
        traceback = traceback.tb_next
    return found


def _shapes(value: Any) -> str:
    shapes = [str(tuple(tensor.shape)) for tensor in tensors_of(value)]
    return f" (shapes {', '.join(shapes[:4])})" if shapes else ""


def _hint(error: Exception, forward: Forward | None) -> str:
    if forward is None and isinstance(error, TypeError):
        return ". Pass forward=lambda model, batch: … to say how the model takes a batch"
    if "must have the same dtype" in str(error) or "should be the same" in str(error):
        return ". Give the data the model's dtype and device, with batch.to(…)"
    if "more than 1 value per channel" in str(error):
        return ". A training pass needs batches of at least 2 samples here"
    return ""
