"""One command on several ranks, as torchrun starts it: one answer, one error, one exit code.

Every rank runs the whole command, on its own shard of the data. Rank 0 alone prints and writes.
What a command does before and after the verb is agreed on through the store that the ranks found
each other by; inside the verb the engine's own exchanges do that.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from varshift._files import discarding
from varshift.errors import ModelError

__all__ = ["Ending", "OtherRankFailed", "Processes", "ranked", "ranks"]

T = TypeVar("T")

_STARTED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # torchrun sets all of them
_PATIENCE = timedelta(minutes=30)  # torch's own, of a process group
_FAILED = b"failed"


@dataclass(frozen=True)
class Ending:
    """How a command ends: its exit code, and a sentence on standard error, "" for none.

    `echo`: it ends so because another rank did.
    """

    code: int
    sentence: str = ""
    echo: bool = False


class OtherRankFailed(ModelError):
    """Another rank could not go on; its sentence is the one to be said."""


class Processes:
    """This process alone; `SeveralProcesses` is one of several ranks."""

    rank = 0
    size = 1

    def agreed(self, make: Callable[[], T], weights_of: Callable[[T], Any] | None = None) -> T:
        """What `make` gives, if it does on every rank.

        Raises OtherRankFailed where it did not on another one, and ModelError where the weights of
        the model in what it gives are not the same on all.
        """
        return make()

    def draw_apart(self) -> None:
        """From here on every rank draws noise of its own."""

    def settled(self, ending: Ending) -> Ending:
        """One ending for all, which rank 0 says."""
        return ending


class SeveralProcesses(Processes):
    """One of several ranks, which speak through a store."""

    def __init__(self, store: Any, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self._store, self._step = store, 0

    def agreed(self, make: Callable[[], T], weights_of: Callable[[T], Any] | None = None) -> T:
        """See `Processes.agreed`. Of a rank that fails here, `settled` tells the others."""
        made = make()
        print_of = "" if weights_of is None else _digest(weights_of(made))
        self._set(f"step {self._step}", b"fine" + print_of.encode())
        found = self._all(f"step {self._step}")
        self._step += 1
        if _FAILED in found:
            raise OtherRankFailed(f"rank {found.index(_FAILED)} could not go on")
        if len(set(found)) > 1:
            other = next(rank for rank, held in enumerate(found) if held != found[0])
            raise ModelError(
                f"rank {other} holds other weights than rank 0: what makes the model draws them "
                "from numpy or Python, or goes by the rank; give --checkpoint, or seed it"
            )
        return made

    def draw_apart(self) -> None:
        """See `Processes.draw_apart`. Rank 0 draws what a process alone would."""
        import torch

        if self.rank:
            torch.manual_seed(torch.initial_seed() + self.rank)

    def settled(self, ending: Ending) -> Ending:
        """See `Processes.settled`. What failed of itself goes before its echoes."""
        self._set(f"step {self._step}", _FAILED)  # where the others wait for it, if it is early
        self._set("end", json.dumps(asdict(ending)).encode())
        endings = [Ending(**json.loads(held)) for held in self._all("end")]
        failed = [(rank, held) for rank, held in enumerate(endings) if held.sentence]
        own = [(rank, held) for rank, held in failed if not held.echo] or failed
        if not own:
            return max(endings, key=lambda held: held.code)
        rank, held = own[0]
        alike = len({each.sentence for _, each in own}) == 1 and len(own) == self.size
        sentence = held.sentence if alike else f"rank {rank}: {held.sentence}"
        return Ending(held.code, sentence)

    def parted(self) -> None:
        """Leave the group; rank 0, which may hold the store, goes last."""
        import torch

        self._set("gone", b"gone")
        if self.rank == 0:
            self._all("gone")
        torch.distributed.destroy_process_group()

    def _set(self, what: str, value: bytes) -> None:
        self._store.set(f"varshift/{what}/{self.rank}", value)

    def _all(self, what: str) -> list[bytes]:
        keys = [f"varshift/{what}/{rank}" for rank in range(self.size)]
        self._store.wait(keys, _PATIENCE)
        return [bytes(self._store.get(key)) for key in keys]


_current: Processes = Processes()


def ranks() -> Processes:
    """The ranks that this command runs on."""
    return _current


@contextmanager
def ranked(command: str, alone: tuple[str, ...]) -> Iterator[Processes]:
    """All ranks that the environment speaks of, a process group between them; or this one alone.

    Commands named in `alone` have no use for several: rank 0 runs them, and the others end.
    """
    global _current
    if not all(name in os.environ for name in _STARTED) or int(os.environ["WORLD_SIZE"]) < 2:
        yield _current
        return
    if not command or command.startswith("-") or command in alone:
        if int(os.environ["RANK"]):
            raise SystemExit(0)
        yield _current
        return
    several = _met()
    _current = several
    try:
        with _quiet(several.rank):
            yield several
    finally:
        _current = Processes()
        several.parted()


def _met() -> SeveralProcesses:
    """The process group, and the store by which its ranks have found each other."""
    import torch

    dist: Any = torch.distributed
    store, rank, size = next(iter(dist.rendezvous("env://")))
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", rank)) % torch.cuda.device_count())
    dist.init_process_group(
        backend, store=dist.PrefixStore("group", store), rank=rank, world_size=size
    )
    return SeveralProcesses(dist.PrefixStore("command", store), rank, size)


@contextmanager
def _quiet(rank: int) -> Iterator[None]:
    """But for rank 0, nothing is printed and nothing written."""
    if rank == 0:
        yield
        return
    kept = sys.stdout, sys.stderr
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, discarding():
        sys.stdout = sys.stderr = nowhere
        try:
            yield
        finally:
            sys.stdout, sys.stderr = kept


def _digest(model: Any) -> str:
    """Of all weights, by their bits."""
    import torch

    made = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided:
            made.update(name.encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            made.update(flat.view(torch.uint8).numpy().tobytes())
    return made.hexdigest()
