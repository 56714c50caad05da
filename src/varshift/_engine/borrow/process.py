"""The state of the process and thread around a model, cheap to read and to put back.

    state = process_state()
    ...                        # a forward, another greenlet: anything may happen
    set_process_state(state)   # writes only what differs

Both take a few microseconds, so that a scheduler can swap states at every switch between
micro-batches. Not in it: random generators (`borrow.rng`), and context variables, since a greenlet
has a context of its own (`gr_context`; give a new one `copy_context()`, or it starts empty).

A value that is not known to this version of torch is left out of the table below.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
from typing import Any

import numpy as np
import torch
import torch.backends.opt_einsum  # older versions of torch import it at the first einsum only

from varshift._torch import compiler, state

__all__ = ["leave_inference_mode", "process_state", "set_process_state"]


def process_state() -> tuple[Any, ...]:
    """What a forward may change around itself: modes, flags, defaults, filters, global hooks."""
    return tuple([read() for read in _READS])


def set_process_state(before: tuple[Any, ...]) -> None:
    """Put back what `process_state` read, in this thread; what is as it was is not written."""
    for read, write, value in zip(_READS, _WRITES, before, strict=True):
        if read() != value:
            write(value)


# Inference mode --------------------------------------------------------------------------------


class _Guards(threading.local):
    """Inference mode can be set by guards alone; those still open, and what each was opened in."""

    def __init__(self) -> None:
        self.open: list[tuple[bool, Any]] = []


_guards = _Guards()


def _set_inference(enabled: bool) -> None:
    """Close the guard that was opened in this mode, or else open one of it.

    A guard saves a value and puts it back, so guards need not be closed in order. It saves more
    than its own (autocast, gradients), so everything else is looked at after it.
    """
    modes = state.dispatch_modes()
    state.set_dispatch_modes(())
    _switch_guards(enabled)
    state.set_dispatch_modes(modes)  # a guard puts back which kinds of calls go to modes, too


def _switch_guards(enabled: bool) -> None:
    for index in range(len(_guards.open) - 1, -1, -1):
        before, guard = _guards.open[index]
        if before == enabled:
            del _guards.open[index]
            guard.__exit__(None, None, None)
            return
    guard = state.inference_guard(enabled)
    _guards.open.append((not enabled, guard))
    guard.__enter__()


def leave_inference_mode() -> None:
    """Until the state is put back."""
    if torch.is_inference_mode_enabled():
        _set_inference(False)


# Autocast --------------------------------------------------------------------------------------


def _autocast_devices() -> tuple[str, ...]:
    """The processor, and what this machine may compute on beside it."""
    if torch.backends.mps.is_available():
        return ("cpu", "mps")
    if hasattr(torch, "xpu") and torch.xpu.is_available():
        return ("cpu", "xpu")
    return ("cpu", "cuda")


_DEVICES = _autocast_devices()


def _autocast() -> tuple[Any, ...]:
    return (
        torch.is_autocast_cache_enabled(),
        *[(torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in _DEVICES],
    )


def _set_autocast(state: tuple[Any, ...]) -> None:
    torch.set_autocast_cache_enabled(state[0])
    for device, (enabled, dtype) in zip(_DEVICES, state[1:], strict=True):
        torch.set_autocast_enabled(device, enabled)
        torch.set_autocast_dtype(device, dtype)


# Einsum ----------------------------------------------------------------------------------------


# The module itself: what stands in its place refuses a strategy while einsum's planner is off.
_einsum_module: Any = torch.backends.opt_einsum.m  # type: ignore[attr-defined]


def _einsum() -> tuple[bool, str | None]:
    return _einsum_module.enabled, _einsum_module.strategy


def _set_einsum(state: tuple[bool, str | None]) -> None:
    _einsum_module.enabled, _einsum_module.strategy = state


# Warnings, numpy -------------------------------------------------------------------------------

_warnings: Any = warnings


class _Filters:
    """The list of warning filters, what is in it, and how warnings are shown."""

    __slots__ = ("contents", "held", "showing")

    def __init__(self) -> None:
        self.held = warnings.filters
        self.contents = tuple(self.held)
        self.showing = (warnings.showwarning, _warnings._showwarnmsg_impl, _warnings.defaultaction)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Filters)
            and self.held is other.held
            and self.contents == other.contents
            and self.showing == other.showing
        )

    __hash__ = None  # type: ignore[assignment]


def _set_filters(state: _Filters) -> None:
    _warnings.filters = state.held
    _warnings.filters[:] = state.contents
    warnings.showwarning, _warnings._showwarnmsg_impl, _warnings.defaultaction = state.showing
    if hasattr(_warnings, "_filters_mutated"):
        _warnings._filters_mutated()
    else:  # Python 3.14
        with _warnings._lock:
            _warnings._filters_mutated_lock_held()


def _set_numpy_errors(state: dict[str, Any]) -> None:
    np.seterr(**state)


# Folder ----------------------------------------------------------------------------------------


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # somebody has removed it
        return None


def _set_folder(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


# Accelerator -----------------------------------------------------------------------------------


def _stream() -> torch.cuda.Stream | None:
    return torch.cuda.current_stream() if torch.cuda.is_initialized() else None


def _set_stream(stream: torch.cuda.Stream | None) -> None:
    if stream is not None:  # setting a stream sets its device
        torch.cuda.set_stream(stream)


def _table() -> list[state.Part]:
    """How each value is read and written; inference mode first, since it sets grad mode too."""
    return [
        (torch.is_inference_mode_enabled, _set_inference),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (_autocast, _set_autocast),
        *state.modes(),
        (torch.get_default_dtype, torch.set_default_dtype),
        (_Filters, _set_filters),
        *state.flags(),
        state.deterministic(),
        (
            lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
            lambda pair: torch.set_anomaly_enabled(*pair),
        ),
        (_einsum, _set_einsum),
        (torch.get_num_threads, torch.set_num_threads),
        state.global_hooks(),
        *state.computed_weights(),
        (np.geterr, _set_numpy_errors),
        (np.geterrcall, np.seterrcall),
        (gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
        (gc.get_threshold, lambda thresholds: gc.set_threshold(*thresholds)),
        (sys.getrecursionlimit, sys.setrecursionlimit),
        (_folder, _set_folder),
        *compiler.settings(),
        (_stream, _set_stream),
    ]


_PARTS = _table()
_READS = tuple(read for read, _ in _PARTS)
_WRITES = tuple(write for _, write in _PARTS)
