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
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.backends.opt_einsum  # older versions of torch import it at the first einsum only
import torch.utils._device as default_device
from torch.nn.modules import module as hooks

__all__ = ["leave_inference_mode", "process_state", "set_process_state"]

Read = Callable[[], Any]
Write = Callable[[Any], Any]
_C: Any = torch._C


def process_state() -> tuple[Any, ...]:
    """What a forward may change around itself: modes, flags, defaults, filters, global hooks."""
    return tuple([read() for read in _READS])


def set_process_state(state: tuple[Any, ...]) -> None:
    """Put back what `process_state` read, in this thread; what is as it was is not written."""
    for read, write, before in zip(_READS, _WRITES, state, strict=True):
        if read() != before:
            write(before)


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
    modes = _dispatch_modes()
    _set_dispatch_modes(())
    _switch_guards(enabled)
    _set_dispatch_modes(modes)  # a guard puts back which kinds of calls go to modes, too


def _switch_guards(enabled: bool) -> None:
    for index in range(len(_guards.open) - 1, -1, -1):
        before, guard = _guards.open[index]
        if before == enabled:
            del _guards.open[index]
            guard.__exit__(None, None, None)
            return
    guard = _C._InferenceMode(enabled)
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


# Stacks of modes -------------------------------------------------------------------------------


def _function_modes() -> tuple[Any, ...]:
    return tuple([_C._get_function_stack_at(i) for i in range(_C._len_torch_function_stack())])


def _set_function_modes(modes: tuple[Any, ...]) -> None:
    while _C._len_torch_function_stack():
        _C._pop_torch_function_stack()
    for mode in modes:
        _C._push_on_torch_function_stack(mode)


def _dispatch_modes() -> tuple[Any, ...]:
    return tuple([_C._get_dispatch_stack_at(i) for i in range(_C._len_torch_dispatch_stack())])


def _set_dispatch_modes(modes: tuple[Any, ...]) -> None:
    while _C._len_torch_dispatch_stack():
        _C._pop_torch_dispatch_stack(None)
    for mode in modes:
        _C._push_on_torch_dispatch_stack(mode)


def _saved_tensor_hooks() -> tuple[Any, ...]:
    """The stack of hooks on what autograd saves, the innermost last."""
    top = _C._autograd._top_saved_tensors_default_hooks
    if top(True) is None:
        return ()
    found = []
    while (pair := top(True)) is not None:
        found.append(pair)
        _C._autograd._pop_saved_tensors_default_hooks()
    pairs = tuple(reversed(found))
    _push_saved_tensor_hooks(pairs)
    return pairs


def _push_saved_tensor_hooks(pairs: tuple[Any, ...]) -> None:
    for pair in pairs:
        _C._autograd._push_saved_tensors_default_hooks(*pair)


def _set_saved_tensor_hooks(pairs: tuple[Any, ...]) -> None:
    while _C._autograd._top_saved_tensors_default_hooks(True) is not None:
        _C._autograd._pop_saved_tensors_default_hooks()
    _push_saved_tensor_hooks(pairs)


def _device() -> tuple[Any, Any]:
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return context, default_device.CURRENT_DEVICE


def _set_device(state: tuple[Any, Any]) -> None:
    torch._GLOBAL_DEVICE_CONTEXT.device_context, default_device.CURRENT_DEVICE = state


# Flags -----------------------------------------------------------------------------------------


def _set_deterministic(state: tuple[bool, bool]) -> None:
    _C._set_deterministic_algorithms(state[0], warn_only=state[1])


def _unless_mixed(read: Read) -> Read:
    """None where torch refuses to read an old flag, because its parts were set one by one."""

    def value() -> Any:
        try:
            return read()
        except RuntimeError:
            return None

    return value


def _if_known(write: Write) -> Write:
    return lambda value: None if value is None else write(value)


_PRECISIONS = tuple(
    (backend, operation)
    for backend, operations in {
        "generic": ("all",),
        "cuda": ("all", "matmul", "conv", "rnn"),
        "mkldnn": ("all", "matmul", "conv", "rnn"),
    }.items()
    for operation in operations
)


def _precisions() -> tuple[str, ...]:
    return tuple([_C._get_fp32_precision_getter(*place) for place in _PRECISIONS])


def _set_precisions(state: tuple[str, ...]) -> None:
    for place, precision in zip(_PRECISIONS, state, strict=True):
        if _C._get_fp32_precision_getter(*place) != precision:
            _C._set_fp32_precision_setter(*place, precision)


def _set_pair(write: Callable[..., Any]) -> Write:
    """Some flags are read as pairs and written as two arguments."""
    return lambda value: write(*value) if isinstance(value, tuple) else write(value)


_FLAGS = (  # getter and setter; older and newer torch lack one or the other
    ("_get_cudnn_enabled", "_set_cudnn_enabled"),
    ("_get_cudnn_benchmark", "_set_cudnn_benchmark"),
    ("_get_cudnn_deterministic", "_set_cudnn_deterministic"),
    ("_get_mkldnn_enabled", "_set_mkldnn_enabled"),
    ("_get_mkldnn_deterministic", "_set_mkldnn_deterministic"),
    ("_get_nnpack_enabled", "_set_nnpack_enabled"),
    ("_get_flash_sdp_enabled", "_set_sdp_use_flash"),
    ("_get_mem_efficient_sdp_enabled", "_set_sdp_use_mem_efficient"),
    ("_get_math_sdp_enabled", "_set_sdp_use_math"),
    ("_get_cudnn_sdp_enabled", "_set_sdp_use_cudnn"),
    ("_get_overrideable_sdp_enabled", "_set_sdp_use_overrideable"),
    ("_get_math_sdp_allow_fp16_bf16_reduction", "_set_math_sdp_allow_fp16_bf16_reduction"),
    ("_get_sdp_priority_order", "_set_sdp_priority_order"),
    (
        "_get_cublas_allow_fp16_reduced_precision_reduction",
        "_set_cublas_allow_fp16_reduced_precision_reduction",
    ),
    (
        "_get_cublas_allow_bf16_reduced_precision_reduction",
        "_set_cublas_allow_bf16_reduced_precision_reduction",
    ),
    ("_get_cublas_allow_fp16_accumulation", "_set_cublas_allow_fp16_accumulation"),
    (
        "_get_cpu_allow_fp16_reduced_precision_reduction",
        "_set_cpu_allow_fp16_reduced_precision_reduction",
    ),
    (
        "_get_deterministic_fill_uninitialized_memory",
        "_set_deterministic_fill_uninitialized_memory",
    ),
    ("_get_linalg_preferred_backend", "_set_linalg_preferred_backend"),
    ("_get_warnAlways", "_set_warnAlways"),
    ("_is_multithreading_enabled", "_set_multithreading_enabled"),
)
# Setting one of these sets precisions too, so they are written before those.
_OLD_FLAGS = (
    ("_get_float32_matmul_precision", "_set_float32_matmul_precision"),
    ("_get_cublas_allow_tf32", "_set_cublas_allow_tf32"),
    ("_get_cudnn_allow_tf32", "_set_cudnn_allow_tf32"),
    ("_get_onednn_allow_tf32", "_set_onednn_allow_tf32"),
)


# The module itself: what stands in its place refuses a strategy while einsum's planner is off.
_einsum_module: Any = torch.backends.opt_einsum.m  # type: ignore[attr-defined]


def _einsum() -> tuple[bool, str | None]:
    return _einsum_module.enabled, _einsum_module.strategy


def _set_einsum(state: tuple[bool, str | None]) -> None:
    _einsum_module.enabled, _einsum_module.strategy = state


# Hooks, warnings, numpy, the compiler ----------------------------------------------------------

_HOOKS = tuple(
    held
    for name, held in vars(hooks).items()
    if name.startswith("_global_") and isinstance(held, dict)
)


def _global_hooks() -> tuple[Any, ...]:
    full = hooks._global_is_full_backward_hook
    return (full, *[tuple(held.items()) if held else () for held in _HOOKS])


def _set_global_hooks(state: tuple[Any, ...]) -> None:
    hooks._global_is_full_backward_hook = state[0]
    for held, items in zip(_HOOKS, state[1:], strict=True):
        if tuple(held.items()) != items:
            held.clear()
            held.update(items)


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


def _stance() -> Any:
    """How compiled parts are to run; None for the default, and before the compiler is loaded."""
    stance: Any = getattr(sys.modules.get("torch._dynamo.eval_frame"), "_stance", None)
    if stance is None or (stance.stance == "default" and stance == type(stance)()):
        return None
    return stance


def _set_stance(stance: Any) -> None:
    dynamo: Any = sys.modules["torch._dynamo.eval_frame"]
    dynamo._stance = dynamo.DynamoStance() if stance is None else stance


def _compiler_off() -> bool:
    """How torch before 2.6 was told to run compiled parts as plain Python."""
    config: Any = sys.modules.get("torch._dynamo.config")
    return config is not None and bool(config.disable)


def _set_compiler_off(off: bool) -> None:
    config: Any = sys.modules["torch._dynamo.config"]
    config.disable = off


# Accelerator -----------------------------------------------------------------------------------


def _stream() -> tuple[Any, ...] | None:
    if not torch.cuda.is_initialized():
        return None
    return tuple(_C._cuda_getCurrentStream(_C._cuda_getDevice()))


def _set_stream(state: tuple[Any, ...] | None) -> None:
    if state is not None:  # setting a stream sets its device
        stream, device, kind = state
        _C._cuda_setStream(stream_id=stream, device_index=device, device_type=kind)


def _table() -> list[tuple[Read, Write]]:
    """How each value is read and written; inference mode first, since it sets grad mode too."""
    parts: list[tuple[Read, Write]] = [
        (torch.is_inference_mode_enabled, _set_inference),
        (torch.is_grad_enabled, _C._set_grad_enabled),
        (_autocast, _set_autocast),
        (_device, _set_device),
        (_function_modes, _set_function_modes),
        (_dispatch_modes, _set_dispatch_modes),
        (_saved_tensor_hooks, _set_saved_tensor_hooks),
        (torch.get_default_dtype, _C._set_default_dtype),
        (_Filters, _set_filters),
    ]
    for getter, setter in _FLAGS:
        if hasattr(_C, getter) and hasattr(_C, setter):
            parts.append((getattr(_C, getter), _set_pair(getattr(_C, setter))))
    for getter, setter in _OLD_FLAGS:
        if hasattr(_C, getter) and hasattr(_C, setter):
            parts.append((_unless_mixed(getattr(_C, getter)), _if_known(getattr(_C, setter))))
    if hasattr(_C, "_get_fp32_precision_getter"):
        parts.append((_precisions, _set_precisions))
    return [
        *parts,
        (
            lambda: (
                _C._get_deterministic_algorithms(),
                _C._get_deterministic_algorithms_warn_only(),
            ),
            _set_deterministic,
        ),
        (
            lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
            lambda state: torch.set_anomaly_enabled(*state),
        ),
        (_einsum, _set_einsum),
        (torch.get_num_threads, torch.set_num_threads),
        (_global_hooks, _set_global_hooks),
        (np.geterr, _set_numpy_errors),
        (np.geterrcall, np.seterrcall),
        (gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
        (sys.getrecursionlimit, sys.setrecursionlimit),
        (_stance, _set_stance),
        (_compiler_off, _set_compiler_off),
        (_stream, _set_stream),
    ]


_PARTS = _table()
_READS = tuple(read for read, _ in _PARTS)
_WRITES = tuple(write for _, write in _PARTS)
