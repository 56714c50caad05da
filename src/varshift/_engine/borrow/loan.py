"""A model on loan: taken in full before anything is touched, and given back until all is done."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from varshift._engine.borrow.context import context_variables, set_context_variables
from varshift._engine.borrow.guard import WriteGuard
from varshift._engine.borrow.kept import Kept
from varshift._engine.borrow.process import leave_inference_mode, process_state, set_process_state
from varshift._engine.borrow.rng import rng_state, set_rng_state
from varshift._engine.borrow.turns import Turn
from varshift._engine.borrow.untildone import UntilDone
from varshift._engine.borrow.walk import walk
from varshift._torch import compiler, state

__all__ = ["Loan", "trains_its_own_way"]


class _Open(threading.local):
    """The loans of this thread, the outermost first: verbs call verbs."""

    def __init__(self) -> None:
        self.loans: list[Loan] = []


_open = _Open()


class Loan(UntilDone):
    """One loan of one model. Enter it several times over: `with loan, loan, loan: loan.begin()`."""

    def __init__(self, model: nn.Module, guard: WriteGuard | None = None) -> None:
        super().__init__()
        self._guard = guard
        self._heard: list[str] = []  # what loans inside this one could not give back
        self._model = model
        self._flag = model.training
        self._enclosing = tuple(_open.loans)
        self._turn = Turn(bool(self._enclosing))
        self._own_way = False
        self._kept: Kept | None = None
        self._process: tuple[Any, ...] | None = None
        self._random: Any = None
        self._context: Any = None

    def begin(self) -> None:
        """Take what the model and the process are like, then change the process for the loan."""
        modules = [module for _, module in walk(self._model)]
        self._turn.begin(modules)
        self._own_way = _trains_its_own_way(self._model, modules)
        self._random, self._context = rng_state(), context_variables()
        self._process = process_state()
        _open.loans = [*self._enclosing, self]
        _set_for_loan()
        # A train() of the model's own runs on the way back, where no guard sees what it writes.
        guard = None if self._own_way else self._guard
        with _uncollected():
            kept = Kept(self._model, self._copies(), guard)
        self._kept = kept
        kept.lend()

    def tell(self, notes: list[str] | None) -> None:
        """Hand on what could not be given back; where nobody listens, warn."""
        if notes is not None:
            notes.extend(each for each in self.failed if each not in notes)
        elif self._enclosing:
            self._enclosing[-1]._heard.extend(self.failed)
        elif self.failed:
            warnings.warn("; ".join(self.failed), stacklevel=4)

    def _copies(self) -> dict[int, Any]:
        return {
            key: kept
            for loan in self._enclosing
            if loan._kept is not None
            for key, kept in loan._kept.copies.items()
        }

    def _give_back(self) -> None:
        """All of it, from the start; every step may have been done before."""
        failed: list[str] = []
        for step in (self._give_back_model, self._give_back_process):
            try:
                failed += step()
            except MemoryError:  # comes from outside as an interrupt does: tried again
                raise
            except Exception as error:
                failed.append(f"giving back went wrong ({type(error).__name__}: {error})")
        _open.loans = list(self._enclosing)
        self._turn.end()
        self.failed = list(dict.fromkeys([*self._heard, *failed]))
        self._done = True

    def _give_back_model(self) -> list[str]:
        if self._kept is None:  # it was not touched yet
            return []
        failed = list(self._kept.unseen)
        # A class with its own train() may do more than set flags (merge adapters, refreeze); let
        # it undo that first, then set everything exactly.
        if self._own_way:
            try:
                self._model.train(self._flag)
            except Exception as error:
                failed.append(f"the model's own train({self._flag}) raised: {error}")
        with torch.no_grad():
            return failed + self._kept.restore()

    def _give_back_process(self) -> list[str]:
        if self._process is None:
            return []
        set_rng_state(self._random)
        failed = set_context_variables(self._context)
        set_process_state(self._process)
        return failed


def trains_its_own_way(model: nn.Module) -> bool:
    """Whether `train()` and `eval()` may do more than set every flag."""
    return _trains_its_own_way(model, (module for _, module in walk(model)))


def _trains_its_own_way(model: nn.Module, modules: Iterable[nn.Module]) -> bool:
    if _own(model, "eval"):
        return True
    return any(_own(each, "train") for each in modules)


def _own(module: nn.Module, name: str) -> bool:
    """Whether that method is another than torch's, by the class or on the module alone."""
    return name in vars(module) or getattr(type(module), name) is not getattr(nn.Module, name)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nothing is looked for that could be freed, in the block.

    What is kept of a model are thousands of small objects, all of which stay: each search for
    reference cycles that they set off goes through all that the process has, for nothing.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _set_for_loan() -> None:
    """Eager, without gradients, and outside a caller's inference mode.

    Compiled parts run as plain Python, so that hooks and modes see inside them; inference mode
    would hide every operation from the modes that follow the data.
    """
    leave_inference_mode()
    torch.set_grad_enabled(False)
    state.uncached()
    compiler.stand_aside()
