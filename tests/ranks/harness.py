"""Run a function on 1, 2 or 3 gloo ranks, one thread each, so that nothing can hang.

    def work(rank, ranks, factor):            # at module level: other processes import it
        return rank * factor

    assert on_ranks(2, work, 10) == [0, 10]

The processes are kept from one call to the next (they import torch once); every call has a process
group of its own. What a rank returns must pickle. If one raises, all tracebacks are raised here as
one AssertionError; a call that takes too long ends with every process killed.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

__all__ = ["on_ranks", "outcome"]

TIMEOUT = 180.0  # seconds a call may take; a rank that waits for another gives up sooner
_WAITS = 90.0


def on_ranks(ranks: int, function: Callable[..., Any], *arguments: Any, timeout=TIMEOUT) -> list:
    """`function(rank, ranks, *arguments)` on every rank: what each returned, in rank order."""
    group = _groups.get(ranks) or _groups.setdefault(ranks, _Group(ranks))
    try:
        return group.run(function, arguments, timeout)
    except BaseException:
        _groups.pop(ranks).kill()  # whatever they do now belongs to no test
        raise


def outcome(function: Callable[[], Any]) -> tuple[str, Any]:
    """("fine", what it returned), or the name of what it raised and its message."""
    try:
        return "fine", function()
    except Exception as error:
        return type(error).__name__, str(error)


class _Group:
    def __init__(self, ranks: int) -> None:
        context = multiprocessing.get_context("spawn")
        ends = [context.Pipe() for _ in range(ranks)]
        self._pipes = [here for here, _ in ends]
        self._processes = [
            context.Process(target=_serve, args=(rank, ranks, there), daemon=True)
            for rank, (_, there) in enumerate(ends)
        ]
        for process in self._processes:
            process.start()

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...], timeout: float) -> list:
        with tempfile.TemporaryDirectory() as folder:
            for pipe in self._pipes:
                pipe.send((function, arguments, f"{folder}/store"))
            end = time.monotonic() + timeout
            answers = [self._answer(rank, end) for rank in range(len(self._pipes))]
        failed = [f"rank {rank}:\n{text}" for rank, (fine, text) in enumerate(answers) if not fine]
        if failed:
            raise AssertionError("\n".join(failed))
        return [value for _, value in answers]

    def _answer(self, rank: int, end: float) -> tuple[bool, Any]:
        if not self._pipes[rank].poll(max(0.0, end - time.monotonic())):
            raise AssertionError(f"rank {rank} has not come back: it hangs")
        try:
            return self._pipes[rank].recv()
        except EOFError:
            return False, "its process has ended"

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.join(10)


_groups: dict[int, _Group] = {}


@atexit.register
def _end() -> None:
    for group in _groups.values():
        group.kill()


def _serve(rank: int, ranks: int, pipe: Any) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    while True:
        try:
            function, arguments, store = pipe.recv()
        except EOFError:
            return
        try:
            _join(rank, ranks, store)
            answer = True, function(rank, ranks, *arguments)
        except BaseException:
            answer = False, traceback.format_exc()
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()
        pipe.send(answer)


def _join(rank: int, ranks: int, store: str) -> None:
    dist.init_process_group(
        "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=ranks,
        timeout=timedelta(seconds=_WAITS),
    )
    # A rank that is done at once would leave while others still connect to it.
    dist.barrier()
