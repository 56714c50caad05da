"""Norms that normalise by their batch in evaluation too: what they store is never read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from varshift.results import Note, NoteKind, Structure

__all__ = ["notes_on_batch_statistics"]


def notes_on_batch_statistics(structure: Structure, by_batch: Iterable[str]) -> Iterator[Note]:
    """A sentence for each of `by_batch`, the paths of norms that evaluation met like that."""
    registered = {norm.path: norm.registered for norm in structure.norms}
    for path in by_batch:
        why = (
            "training=True in its call, or a train() that keeps it in training"
            if registered.get(path, True)
            else "eval() does not reach this norm"
        )
        yield Note(
            f"{path}: normalises by its batch in evaluation too ({why}): nothing that it stores is "
            "read, so it cannot shift, and its output depends on the whole batch",
            NoteKind.BY_BATCH,
            path,
        )
