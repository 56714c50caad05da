"""Calibration and held-out samples: never the same ones, dealt by a seed, and said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._counting import counted, verb
from varshift._engine import Batch, Data, Session, piece, tensors_of
from varshift._repair.labels import labels_of
from varshift.errors import DataError, UsageError

__all__ = ["Split", "samples_of", "split_data", "split_of"]

_MOST_SHARED = 0.5  # of the held-out samples: beyond it the two sets are one and the same


@dataclass(frozen=True, eq=False)
class Split:
    """Batches to repair with and batches to judge by; `shared` samples stand in both.

    The batches are those of this rank; `samples`, for calibration and held out, and `shared` count
    those of all ranks.
    """

    calibration: list[Batch]
    held_out: list[Batch]
    seed: int | None
    shared: int
    samples: tuple[int, int]


def split_data(
    run: Session,
    data: Data,
    held_out: Data | None,
    *,
    max_samples: int,
    max_held_out: int,
    seed: int,
) -> Split:
    """Take `held_out` as given, or deal the batches of `data` to both sides by a seeded shuffle.

    Raises DataError where `held_out` is the calibration data again, or one batch cannot be cut.
    """
    if max_samples < 2:
        raise UsageError("max_samples must be at least 2")
    then = "dealing out samples"
    if held_out is None:
        most = max_samples + max_held_out
        taken = run.held(data, most, then).own
        ours, theirs = _dealt(taken, max_held_out / most, seed)
    else:
        ours = run.held(data, max_samples, then).own
        theirs = run.held(held_out, max_held_out, then, named="held_out").own
    return split_of(run, ours, theirs, seed if held_out is None else None)


def split_of(
    run: Session, ours: list[Batch], theirs: list[Batch], seed: int | None = None
) -> Split:
    """Batches to repair with and batches to judge by, as they are; with `seed` they were dealt.

    Raises DataError as `split_data` does.
    """
    counts = run.ranks.gather((samples_of(ours), samples_of(theirs)), "samples of each side")
    calibration, judged = map(sum, zip(*counts, strict=True))
    if not calibration:
        raise DataError(
            "data is a single batch that cannot be cut in two; pass more batches, or other data "
            "as held_out"
        )
    shared = _shared(run, ours, theirs)
    if seed is None and shared > _MOST_SHARED * judged:
        raise DataError(
            f"{shared} of {counted(judged, 'held-out sample')} {verb(shared, 'are')} among the "
            "calibration samples too, so they cannot judge the repair; pass other data as "
            "held_out, or leave it out to have data split"
        )
    return Split(ours, theirs, seed, shared, (calibration, judged))


def samples_of(held: Iterable[Batch]) -> int:
    """How many samples the batches hold."""
    return sum(batch.samples for batch in held)


def _dealt(taken: list[Batch], share: float, seed: int) -> tuple[list[Batch], list[Batch]]:
    """Whole batches in random order, then the one on the border cut in two."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(taken), generator=generator, device="cpu").tolist()
    wanted = max(1, round(share * samples_of(taken)))
    ours: list[Batch] = []
    theirs: list[Batch] = []
    for batch in (taken[index] for index in order):
        room = wanted - samples_of(theirs)
        head = piece(batch, 0, room) if 0 < room < batch.samples else None
        rest = piece(batch, room, batch.samples) if head is not None else None
        if head is not None and rest is not None:
            theirs.append(head)
            ours.append(rest)
        elif room > 0:
            theirs.append(batch)
        else:
            ours.append(batch)
    if not ours and len(theirs) > 1:  # the last batch was on the border and cannot be cut
        ours.append(theirs.pop())
    return ours, theirs


def _shared(run: Session, ours: list[Batch], theirs: list[Batch]) -> int:
    """How many of theirs are among ours: in every tensor, and in their labels if both have some."""
    told = run.ranks.agree(all(_labels(batch) is not None for batch in [*ours, *theirs]))
    marks = {mark for batch in ours for mark in _marks(batch, told)}
    known = set().union(*run.ranks.gather(marks, "marks of samples"))
    shared = sum(mark in known for batch in theirs for mark in _marks(batch, told))
    return sum(run.ranks.gather(shared, "shared samples"))


def _marks(batch: Batch, told: bool) -> list[bytes]:
    """A fingerprint of each sample; none where rows are no samples, or say too little."""
    labels = _labels(batch)
    rows = [
        tensor.detach().cpu().contiguous().reshape(batch.samples, -1)
        for tensor in tensors_of(batch.value)
        if (told or tensor is not labels) and _by_sample(tensor, batch.samples)
    ]
    if not any(len(row[0]) > 1 for row in rows):
        return []
    return [_mark([row[index] for row in rows]) for index in range(batch.samples)]


def _labels(batch: Batch) -> Tensor | None:
    try:
        return labels_of(batch.value)
    except DataError:  # of another form; whether that matters depends on what is judged by
        return None


def _by_sample(tensor: Tensor, samples: int) -> bool:
    filled = tensor.ndim > 0 and tensor.layout == torch.strided and tensor.numel() > 0
    return filled and len(tensor) == samples


def _mark(rows: list[Tensor]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for row in rows:
        digest.update(row.view(torch.uint8).numpy().tobytes())
    return digest.digest()
