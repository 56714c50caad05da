"""What the user lends a command: a model with its weights, a device, data, a first batch.

On several ranks each of these steps is taken by all of them, or ends all (`varshift._cli.ranks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, overload

from varshift._cli.output import say
from varshift._cli.ranks import ranks
from varshift.errors import DataError, ForwardError, ModelError, UsageError

if TYPE_CHECKING:
    from varshift._loading import Pictures

__all__ = [
    *("first_batch", "lent_data", "lent_forward", "lent_model", "pictures_of", "shaped", "shared"),
]


def lent_model(
    target: str,
    checkpoint: str | None,
    device: str | None = None,
    model_kwargs: Sequence[str] | None = None,
) -> tuple[Any, tuple[str, ...]]:
    """The model of `target` with its weights, on `device`, and what loading them had to note."""
    model, notes = ranks().agreed(
        lambda: _lent_model(target, checkpoint, device, model_kwargs), lambda lent: lent[0]
    )
    ranks().draw_apart()
    return model, notes


def _lent_model(
    target: str, checkpoint: str | None, device: str | None, model_kwargs: Sequence[str] | None
) -> tuple[Any, tuple[str, ...]]:
    from varshift._loading import is_checkpoint, keywords_of, load_checkpoint, load_model, untrained

    if checkpoint and not is_checkpoint(checkpoint):
        raise UsageError(f"--checkpoint: there is no file {checkpoint!r}")
    keywords = keywords_of(model_kwargs)
    notes: list[str] = []
    model = load_model(target, keywords, notes)
    if checkpoint:
        notes = [*load_checkpoint(model, checkpoint)]  # which has weights for all of it
    elif (random := untrained(target, keywords)) is not None:
        notes.append(random)
    return model if device is None else _moved(model, device), tuple(notes)


def lent_forward(target: str | None) -> Callable[[Any, Any], Any] | None:
    """The function that --forward names; None where the model takes a batch by itself."""
    from varshift._loading import load_function

    return None if target is None else ranks().agreed(lambda: load_function(target))


def pictures_of(
    model: Any, target: str, model_kwargs: Sequence[str] | None, size: int | None
) -> Pictures:
    """How pictures are prepared for the model, should the data be some."""
    from varshift._loading import Pictures, keywords_of

    if size is not None and size < 1:
        raise UsageError(f"--image-size is {size}; it must be at least 1")
    return Pictures(model, target, keywords_of(model_kwargs), size)


def lent_data(
    data: str,
    pictures: Pictures | None,
    *,
    root: str | None,
    batch_size: int = 64,
    labelled: bool = False,
) -> Any:
    """Batches of what --data names, this rank's own; what is to be known of them is said."""
    from varshift._loading import load_data

    notes: list[str] = []
    here = ranks()
    batches = here.agreed(
        lambda: load_data(
            data,
            root=root,
            batch_size=batch_size,
            labelled=labelled,
            pictures=pictures,
            shard=(here.rank, here.size),
            notes=notes,
        )
    )
    for note in notes:
        say(f"note: {note}")
    return batches


@overload
def shared(samples: int) -> int: ...
@overload
def shared(samples: None) -> None: ...
def shared(samples: int | None) -> int | None:
    """How many of so many samples each rank takes."""
    return None if samples is None else -(-samples // ranks().size)


@contextmanager
def shaped(shapes: Sequence[str] | None) -> Iterator[None]:
    """Where the model fails on inputs that --input-shape made, say what these are."""
    try:
        yield
    except ForwardError as error:
        if not shapes:
            raise
        raise ModelError(
            f"{error}. --input-shape {shapes[0]} is the shape of one sample, without the batch, "
            "and makes random floats: for token ids and the like give --data"
        ) from error


def _moved(model: Any, device: str) -> Any:
    """The model on `device`; one that is not there is a matter of usage."""
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device!r} cannot be used: {error}") from error


def first_batch(data: str, root: str | None, pictures: Pictures | None = None) -> Any:
    """An example of what `data` gives, two samples at most from files and named sets.

    The same on all ranks.
    """
    from varshift._loading import load_data

    notes: list[str] = []

    def taken() -> Any:
        batches = load_data(data, root=root, batch_size=2, pictures=pictures, notes=notes)
        try:
            return next(iter(batches() if callable(batches) else batches))
        except StopIteration:
            raise DataError(f"--data {data!r} gave no batches") from None

    batch = ranks().agreed(taken)
    for note in notes:
        say(f"note: {note}")
    return batch
