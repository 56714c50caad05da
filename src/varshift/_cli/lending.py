"""What the user lends a command: a model with its weights, a device, a first batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from varshift.errors import DataError, ForwardError, ModelError, UsageError

__all__ = ["first_batch", "lent_forward", "lent_model", "shaped"]


def lent_model(
    target: str, checkpoint: str | None, device: str | None = None
) -> tuple[Any, tuple[str, ...]]:
    """The model of `target` with its weights, on `device`, and what loading them had to note."""
    from varshift._loading import is_checkpoint, load_checkpoint, load_model

    if checkpoint and not is_checkpoint(checkpoint):
        raise UsageError(f"--checkpoint: there is no file {checkpoint!r}")
    model = load_model(target)
    notes = load_checkpoint(model, checkpoint) if checkpoint else ()
    return model if device is None else _moved(model, device), notes


def lent_forward(target: str | None) -> Callable[[Any, Any], Any] | None:
    """The function that --forward names; None where the model takes a batch by itself."""
    from varshift._loading import load_function

    return None if target is None else load_function(target)


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


def first_batch(data: str, root: str | None) -> Any:
    """An example of what `data` gives, two samples at most from files and named sets."""
    from varshift._loading import load_data

    batches = load_data(data, root=root, batch_size=2)
    try:
        return next(iter(batches() if callable(batches) else batches))
    except StopIteration:
        raise DataError(f"--data {data!r} gave no batches") from None
