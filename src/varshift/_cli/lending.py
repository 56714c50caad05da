"""What the user lends a command: a model with its weights, a device, data, a first batch.

On several ranks each of these steps is taken by all of them, or ends all (`varshift._cli.ranks`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from varshift._cli.options import (
    BatchSize,
    Checkpoint,
    Debug,
    Device,
    Forward,
    ImageSize,
    ModelKwargs,
    Root,
    Target,
)
from varshift._cli.output import say
from varshift._cli.ranks import ranks
from varshift._files import unreadable
from varshift.errors import DataError, ForwardError, ModelError, UsageError

if TYPE_CHECKING:
    from varshift._loading import Pictures

__all__ = ["Lent", "shaped", "shared"]


@dataclass(frozen=True)
class Lent:
    """The options by which a command is lent a model and data, and what they stand for.

    What is to be known of the model or the data is said on standard error when it is loaded.
    """

    target: Target
    checkpoint: Checkpoint = None
    model_kwargs: ModelKwargs = None
    root: Root = None
    image_size: ImageSize = None
    batch_size: BatchSize = 64
    device: Device = None
    forward: Forward = None
    debug: Debug = False

    def __post_init__(self) -> None:
        for option in ("checkpoint", "root", "device", "forward"):
            if getattr(self, option) == "":  # a variable of the shell that was never set
                raise UsageError(f"--{option} is empty; give a value, or leave the option out")
        for option in ("batch_size", "image_size"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise UsageError(f"--{option.replace('_', '-')} is {value}; it must be at least 1")

    @cached_property
    def model(self) -> Any:
        """The model with its weights, on its device.

        Before it all draws are seeded: the same command says the same twice, whatever weights a
        factory draws.
        """
        from varshift._engine import seed_all

        seed_all(0)
        model, notes = ranks().agreed(self._loaded, lambda lent: lent[0])
        ranks().draw_apart()
        _say_all(notes)
        return model

    def batches(self, data: str, *, labelled: bool = False, option: str = "--data") -> Any:
        """Batches of what `data` names, those of this rank; refusals name the option."""
        from varshift._loading import load_data

        notes: list[str] = []
        pictures, here = self._pictures, ranks()

        def loaded() -> Any:
            with _same_folder(), _named_by(option):
                return load_data(
                    data,
                    root=self.root,
                    batch_size=self.batch_size,
                    labelled=labelled,
                    pictures=pictures,
                    shard=(here.rank, here.size),
                    notes=notes,
                )

        batches = here.agreed(loaded)
        _say_all(notes)
        return batches

    def first_batch(self, data: str) -> Any:
        """The first batch of what `data` names, the same on all ranks."""
        from varshift._loading import load_data

        notes: list[str] = []
        pictures = self._pictures

        def taken() -> Any:
            with _same_folder():
                batches = load_data(
                    data, root=self.root, batch_size=self.batch_size, pictures=pictures, notes=notes
                )
                try:
                    return next(iter(batches() if callable(batches) else batches))
                except StopIteration:
                    raise DataError(f"--data {data!r} gave no batches") from None

        batch = ranks().agreed(taken)
        _say_all(notes)
        return batch

    @cached_property
    def function(self) -> Callable[[Any, Any], Any] | None:
        """What --forward names; None where the model takes a batch by itself."""
        from varshift._loading import load_function

        forward = self.forward
        if forward is None:
            return None

        def loaded() -> Callable[[Any, Any], Any]:
            with _same_folder():
                found: Callable[[Any, Any], Any] = load_function(forward)
                return found

        return ranks().agreed(loaded)

    def _loaded(self) -> tuple[Any, list[str]]:
        from varshift._loading import (
            file_and_key,
            is_checkpoint,
            keywords_of,
            load_checkpoint,
            load_model,
            untrained,
        )

        if self.checkpoint and not is_checkpoint(self.checkpoint):
            said = f"--checkpoint: {unreadable(file_and_key(self.checkpoint)[0])}"
            if os.path.isdir(self.checkpoint):
                said += " without weights of TensorFlow: name a file in it"
            raise UsageError(said)
        keywords = keywords_of(self.model_kwargs)
        notes: list[str] = []
        with _same_folder():
            model = load_model(self.target, keywords, notes)
        if self.checkpoint:
            notes = [*load_checkpoint(model, self.checkpoint)]  # which has weights for all of it
        elif (random := untrained(self.target, keywords)) is not None:
            notes.append(random)
        return model if self.device is None else _moved(model, self.device), notes

    @cached_property
    def _pictures(self) -> Pictures:
        """How pictures are prepared for the model, should the data be some."""
        from varshift._loading import Pictures, keywords_of

        return Pictures(self.model, self.target, keywords_of(self.model_kwargs), self.image_size)


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


@contextmanager
def _named_by(option: str) -> Iterator[None]:
    """Every set of data is named in the same ways, of which refusals speak as --data."""
    try:
        yield
    except (UsageError, DataError) as error:
        if option == "--data" or type(error) not in (UsageError, DataError):
            raise
        raise type(error)(str(error).replace("--data", option)) from error


@contextmanager
def _same_folder() -> Iterator[None]:
    """Paths mean the folder that a command was started in, wherever lent code goes from there."""
    here = Path.cwd()
    try:
        yield
    finally:
        os.chdir(here)


def _say_all(notes: Sequence[str]) -> None:
    for note in notes:
        say(f"note: {note}")


def _moved(model: Any, device: str) -> Any:
    """The model on `device`; one that is not there is a matter of usage."""
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device!r} cannot be used: {error}") from error
