"""A budget is kept by each rank's own clock, so nothing that it pays for may wait for other ranks.

A pass that talks to other ranks must be run by all of them, at the same step. Only `every=` says
which steps these are. Without it such a model is refused: at once where its modules tell, else
where a pass is about to talk. Nothing is asked of the other ranks, which may have no monitor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from varshift._engine import Ranks, is_sharded, is_synchronised, unwrapped
from varshift._engine.sharding import talks_to_ranks
from varshift._engine.trace.mode import DispatchMode
from varshift._torch.tensors import operation_name
from varshift.errors import UsageError

__all__ = ["apart_from_ranks", "refuse_shared"]


def refuse_shared(model: nn.Module) -> None:
    """Raise UsageError where the modules tell that ranks must run this model together."""
    inner = unwrapped(model)
    if is_sharded(inner):
        raise _needs_every("this model's weights lie on several ranks")
    if Ranks.of().several and is_synchronised(inner):
        raise _needs_every("this model's norms wait for those of other ranks (SyncBatchNorm)")


@contextmanager
def apart_from_ranks(model: nn.Module) -> Iterator[None]:
    """In the block a pass that would talk to other ranks is stopped before it does.

    Raises UsageError then, whatever the model's own forward makes of being stopped.
    """
    if not Ranks.of().several:
        yield
        return
    refuse_shared(model)
    mode = _Apart()
    try:
        with mode:
            yield
    except Exception as error:
        if mode.stopped:
            raise _needs_every(mode.stopped) from error
        raise
    if mode.stopped:  # and the forward went on as if nothing had been
        raise _needs_every(mode.stopped)


class _Apart(DispatchMode):
    """Raises before each operation that other ranks would have to join."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stopped = ""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run what this rank can do alone."""
        if talks_to_ranks(func):
            self._stop(operation_name(func))
        for kind in types:  # a DTensor talks further down, where no mode sees it
            if kind.__module__.startswith("torch.distributed."):
                self._stop(kind.__name__)
        return func(*args, **(kwargs or {}))

    def _stop(self, what: str) -> None:
        self.stopped = f"this model's forward talks to other ranks ({what})"
        raise _needs_every(self.stopped)


def _needs_every(why: str) -> UsageError:
    return UsageError(
        f"{why}, so all ranks must look at the same steps: pass every=, a number of steps, in "
        "place of a budget, to a monitor on each rank"
    )
