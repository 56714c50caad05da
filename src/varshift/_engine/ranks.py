"""The ranks of a process group as one: what each holds reaches all, and so does an error.

A verb on several ranks is one program run on all of them, so every rank makes the same exchanges in
the same order, whether or not it has data. Each exchange says how its rank fares: where one has
failed, all others raise at their next exchange, whichever that is.
"""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from varshift.errors import ModelError, UsageError
from varshift.theory.moments import Moments, merge_all

__all__ = ["Ranks"]

_FINE, _FAILED = 0, 1
_HEAD = 3  # numbers before the value: how the rank fares, which exchange it makes, bytes to come
_INLINE = 4096  # bytes of a value that travel with the head: one round in place of two

T = TypeVar("T")


class Ranks:
    """The ranks that work together; this one alone where there is no process group.

    Inside `together()` an exception on one rank becomes a ModelError on all others. Everything that
    exchanges must happen inside it, on every rank, in the same order.

    >>> ranks = Ranks.of()
    >>> with ranks.together():
    ...     ranks.several, ranks.gather("mine")
    (False, ['mine'])
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self._depth = 0
        self._over = False
        self._owed = 0  # bytes of a second round that the others are in

    @classmethod
    def of(cls, sync: bool | None = None) -> Ranks:
        """All ranks of the default group, or this one alone; `sync=None`: all if there are any.

        Raises UsageError for `sync=True` where there is no group of several ranks.
        """
        grouped = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        if sync and not grouped:
            raise UsageError("sync=True, but no process group of more than one rank is initialised")
        if not grouped or sync is False:
            return cls()
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def several(self) -> bool:
        """Whether there is anybody to talk to."""
        return self.size > 1

    @contextmanager
    def together(self) -> Iterator[Ranks]:
        """What happens inside happens on all ranks or on none: an exception is told to the others.

        At the end all wait for each other, so that a rank that fails last is heard too. May be
        nested: the outermost block counts.
        """
        self._depth += 1
        try:
            yield self
            if self._depth == 1:
                self.gather(None, "the end")
        except BaseException as error:
            self.announce(error)
            raise
        finally:
            self._depth -= 1

    def gather(self, value: T, what: str = "a value") -> list[T]:
        """The value of every rank, in rank order. Tensors in it come back on the CPU.

        `value` is anything that can be pickled. `what` names the exchange: ranks that make
        different ones at the same time run different programs, and all raise.

        Raises:
            ModelError: another rank has failed, is doing something else, or is gone.
        """
        if not self.several:
            return [value]
        if self._over:
            raise ModelError(
                "the ranks stopped working together after an error; nothing can be exchanged"
            )
        found: list[T] = [_loaded(data) for data in self._exchange(_FINE, what, _dumped(value))]
        return found

    def agree(self, fine: bool) -> bool:
        """Whether it is fine on every rank."""
        return all(self.gather(bool(fine), "agreement"))

    def any(self, found: bool) -> bool:
        """Whether any rank has found it."""
        return any(self.gather(bool(found), "a finding"))

    def merged(self, parts: list[Moments]) -> Moments:
        """The moments of all ranks together, from each rank's own, none or more.

        Merged in rank order on the CPU, so every rank ends with the same bits. Raises UsageError
        where no rank has any.
        """
        own = merge_all(parts) if parts else None
        return merge_all(part for part in self.gather(own, "moments") if part is not None)

    def announce(self, error: BaseException) -> None:
        """Tell the others that this rank fails, unless that is over already. Never raises."""
        if not self.several or self._over:
            return
        self._over = True
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        try:
            if self._owed:  # an interrupt came between two rounds
                self._round(bytes(self._owed))
            self._exchange(_FAILED, "", _dumped(text[:500]))
        except Exception:
            return  # there is nobody left to tell

    def _exchange(self, status: int, what: str, value: bytes) -> list[bytes]:
        """Every rank's bytes; a failed rank takes part in the first round only."""
        inline = value if len(value) <= _INLINE else b""
        head = (status, zlib.crc32(what.encode()), len(value))
        numbers = b"".join(number.to_bytes(8, "little") for number in head)
        rounds = self._round((numbers + inline).ljust(8 * _HEAD + _INLINE, b"\0"))
        heads = [_numbers(data) for data in rounds]
        if status == _FAILED:
            return []
        self._refuse_failures(heads, rounds, what)
        values = [d[8 * _HEAD :][:size] for d, (_, _, size) in zip(rounds, heads, strict=True)]
        longest = max(size for _, _, size in heads)
        if longest <= _INLINE:
            return values
        self._owed = longest
        rounds = self._round((b"" if inline else value).ljust(longest, b"\0"))
        self._owed = 0
        return [
            data[:size] if size > _INLINE else short
            for data, short, (_, _, size) in zip(rounds, values, heads, strict=True)
        ]

    def _refuse_failures(self, heads: list[list[int]], rounds: list[bytes], what: str) -> None:
        failed = [rank for rank, (status, _, _) in enumerate(heads) if status == _FAILED]
        if failed:
            self._over = True
            rank = failed[0]
            reason = _loaded(rounds[rank][8 * _HEAD :])
            raise ModelError(f"rank {rank} failed ({reason}); nothing was changed here")
        other = [rank for rank, (_, tag, _) in enumerate(heads) if tag != heads[self.rank][1]]
        if other:
            self._over = True
            raise ModelError(
                f"rank {other[0]} is doing something else than rank {self.rank}, which is at "
                f"{what}: every rank must make the same call, with the same arguments but for its "
                "data (sync=False keeps to one rank); nothing was changed here"
            )

    def _round(self, data: bytes) -> list[bytes]:
        """One collective call: as many bytes from every rank."""
        device = _device()
        mine = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(device)
        gathered = [torch.empty_like(mine) for _ in range(self.size)]
        try:
            dist.all_gather(gathered, mine)
        except RuntimeError as error:
            self._over = True
            raise ModelError(
                f"the ranks no longer reach each other ({str(error)[:300]}): one has ended, or has "
                "not made this call (sync=False keeps to one rank); nothing was changed here"
            ) from error
        return [tensor.cpu().numpy().tobytes() for tensor in gathered]


def _numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[8 * at : 8 * at + 8], "little") for at in range(_HEAD)]


def _device() -> torch.device:
    """Where the group's backend takes its tensors: the CPU where it can."""
    config = dist.get_backend_config().split(",")
    backends = dict(entry.split(":") for entry in config if ":" in entry)
    if not backends or backends.get("cpu", "nccl") != "nccl":
        return torch.device("cpu")
    kind = next(kind for kind in backends if kind != "cpu")
    return torch.device(kind, getattr(torch, kind).current_device())


class _Pickler(pickle.Pickler):
    """Tensors as their bytes: torch's own way writes a file of its own for each."""

    def reducer_override(self, value: object) -> Any:
        # Of exactly these classes: others carry more than their values.
        if type(value) is not Tensor and type(value) is not nn.Parameter:
            return NotImplemented
        if value.layout != torch.strided or value.is_quantized:
            return NotImplemented
        held = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
        data = held.reshape(-1).view(torch.uint8).numpy().tobytes()
        return _tensor, (data, held.dtype, tuple(held.shape))


def _tensor(data: bytes, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    if not data:
        return torch.empty(shape, dtype=dtype, device="cpu")
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)


def _dumped(value: object) -> bytes:
    data = io.BytesIO()
    _Pickler(data, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return data.getvalue()


_loaded: Callable[[bytes], Any] = pickle.loads
