"""Modes, flags and hooks of a thread and a process: how each is read and written.

A part that a release cannot read is left out, and then not put back: what a model's forward leaves
open or sets there stays so. Only such a model can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils._device as default_device
from torch.nn.modules import module as hooks
from torch.nn.utils import parametrize

__all__ = [
    "Part",
    "computed_weights",
    "deterministic",
    "dispatch_modes",
    "flags",
    "function_modes",
    "global_hooks",
    "inference_guard",
    "modes",
    "outside_dispatch_modes",
    "set_dispatch_modes",
    "set_function_modes",
    "uncached",
]

Part = tuple[Callable[[], Any], Callable[[Any], Any]]  # reads, writes

_C: Any = torch._C
_autograd: Any = getattr(_C, "_autograd", None)
_parametrize: Any = parametrize


def _has(place: Any, *names: str) -> bool:
    return all(hasattr(place, name) for name in names)


def inference_guard(enabled: bool) -> Any:
    """A context that switches inference mode, and may be left in any order with others."""
    guard = getattr(_C, "_InferenceMode", None)
    return torch.inference_mode(enabled) if guard is None else guard(enabled)


# Stacks of modes -------------------------------------------------------------------------------

_FUNCTIONS = (
    *("_get_function_stack_at", "_len_torch_function_stack"),
    *("_pop_torch_function_stack", "_push_on_torch_function_stack"),
)
_DISPATCHES = (
    *("_get_dispatch_stack_at", "_len_torch_dispatch_stack"),
    *("_pop_torch_dispatch_stack", "_push_on_torch_dispatch_stack"),
)
_SAVING = (
    "_top_saved_tensors_default_hooks",  # since torch 2.5; before, the stack cannot be read
    *("_pop_saved_tensors_default_hooks", "_push_saved_tensors_default_hooks"),
)


def modes() -> list[Part]:
    """The default device, the stacks of modes, and of hooks on what autograd saves."""
    parts: list[Part] = []
    if _has(torch, "_GLOBAL_DEVICE_CONTEXT") and _has(default_device, "CURRENT_DEVICE"):
        parts.append((_device, _set_device))
    if _has(_C, *_FUNCTIONS):
        parts.append((function_modes, set_function_modes))
    if _has(_C, *_DISPATCHES):
        parts.append((dispatch_modes, set_dispatch_modes))
    if _has(_autograd, *_SAVING):
        parts.append((_saved_tensor_hooks, _set_saved_tensor_hooks))
    return parts


def _device() -> tuple[Any, Any]:
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return context, default_device.CURRENT_DEVICE


def _set_device(state: tuple[Any, Any]) -> None:
    context, default_device.CURRENT_DEVICE = state
    held: Any = torch._GLOBAL_DEVICE_CONTEXT
    if context is not None:
        held.device_context = context
    elif hasattr(held, "device_context"):  # torch before 2.6 asks whether there is one, not which
        del held.device_context


def function_modes() -> tuple[Any, ...] | None:
    """The stack of function modes, the innermost last; None where it cannot be read."""
    if not _has(_C, *_FUNCTIONS):
        return None
    return tuple([_C._get_function_stack_at(i) for i in range(_C._len_torch_function_stack())])


def set_function_modes(modes: tuple[Any, ...]) -> None:
    """Make these the stack, which `function_modes` could read."""
    while _C._len_torch_function_stack():
        _C._pop_torch_function_stack()
    for mode in modes:
        _C._push_on_torch_function_stack(mode)


def dispatch_modes() -> tuple[Any, ...]:
    """The stack of dispatch modes, the innermost last; empty where it cannot be read."""
    if not _has(_C, *_DISPATCHES):
        return ()
    return tuple([_C._get_dispatch_stack_at(i) for i in range(_C._len_torch_dispatch_stack())])


def set_dispatch_modes(modes: tuple[Any, ...]) -> None:
    """Make these the stack; nothing where it cannot be read."""
    if not _has(_C, *_DISPATCHES):
        return
    while _C._len_torch_dispatch_stack():
        _C._pop_torch_dispatch_stack(None)
    for mode in modes:
        _C._push_on_torch_dispatch_stack(mode)


@contextmanager
def outside_dispatch_modes() -> Iterator[None]:
    """What runs inside is seen by none of them."""
    modes = dispatch_modes()
    set_dispatch_modes(())
    try:
        yield
    finally:
        set_dispatch_modes(modes)


def _saved_tensor_hooks() -> tuple[Any, ...]:
    """The stack of hooks on what autograd saves, the innermost last."""
    top = _autograd._top_saved_tensors_default_hooks
    if top(True) is None:
        return ()
    found = []
    while (pair := top(True)) is not None:
        found.append(pair)
        _autograd._pop_saved_tensors_default_hooks()
    pairs = tuple(reversed(found))
    _push_saved_tensor_hooks(pairs)
    return pairs


def _push_saved_tensor_hooks(pairs: tuple[Any, ...]) -> None:
    for pair in pairs:
        _autograd._push_saved_tensors_default_hooks(*pair)


def _set_saved_tensor_hooks(pairs: tuple[Any, ...]) -> None:
    while _autograd._top_saved_tensors_default_hooks(True) is not None:
        _autograd._pop_saved_tensors_default_hooks()
    _push_saved_tensor_hooks(pairs)


# Weights that are computed from others ---------------------------------------------------------


class _Computed:
    """What `parametrize.cached()` keeps for the time that it is open; equal by identity alone."""

    __slots__ = ("cache", "enabled")

    def __init__(self) -> None:
        self.enabled, self.cache = _parametrize._cache_enabled, _parametrize._cache

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Computed)
            and self.enabled == other.enabled
            and self.cache is other.cache
        )

    __hash__ = None  # type: ignore[assignment]


def computed_weights() -> list[Part]:
    """The weights of parametrizations that a caller caches, with the graph they hang on."""
    return [(_Computed, _set_computed)] if _has(_parametrize, "_cache", "_cache_enabled") else []


def _set_computed(state: _Computed) -> None:
    _parametrize._cache_enabled, _parametrize._cache = state.enabled, state.cache


def uncached() -> None:
    """Compute weights anew, and keep none: those of a pass without gradients have no graph."""
    if computed_weights():
        _parametrize._cache_enabled, _parametrize._cache = 0, {}


# Flags -----------------------------------------------------------------------------------------


def flags() -> list[Part]:
    """How kernels are chosen and how exactly they compute; each where torch has it."""
    parts: list[Part] = []
    for getter, setter in _FLAGS:
        if _has(_C, getter, setter):
            parts.append((getattr(_C, getter), _set_pair(getattr(_C, setter))))
    for getter, setter in _OLD_FLAGS:
        if _has(_C, getter, setter):
            parts.append((_unless_mixed(getattr(_C, getter)), _if_known(getattr(_C, setter))))
    if _has(_C, "_get_fp32_precision_getter", "_set_fp32_precision_setter"):
        parts.append((_precisions, _set_precisions))
    return parts


def deterministic() -> Part:
    """Whether only deterministic kernels may run, and whether others are warned of alone."""

    def read() -> tuple[bool, bool]:
        warned = torch.is_deterministic_algorithms_warn_only_enabled()
        return torch.are_deterministic_algorithms_enabled(), warned

    def write(state: tuple[bool, bool]) -> None:
        # The public function may load the compiler to tell it.
        setter = getattr(_C, "_set_deterministic_algorithms", torch.use_deterministic_algorithms)
        setter(state[0], warn_only=state[1])

    return read, write


def _unless_mixed(read: Callable[[], Any]) -> Callable[[], Any]:
    """None where torch refuses to read an old flag, because its parts were set one by one."""

    def value() -> Any:
        try:
            return read()
        except RuntimeError:
            return None

    return value


def _if_known(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
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


def _set_pair(write: Callable[..., Any]) -> Callable[[Any], Any]:
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
    # Every `autograd.Function` clears the first for its own forward, and lanes wait within one.
    ("_is_fwd_grad_enabled", "_set_fwd_grad_enabled"),
    ("_is_view_replay_enabled", "_set_view_replay_enabled"),
)
# Setting one of these sets precisions too, so they are written before those.
_OLD_FLAGS = (
    ("_get_float32_matmul_precision", "_set_float32_matmul_precision"),
    ("_get_cublas_allow_tf32", "_set_cublas_allow_tf32"),
    ("_get_cudnn_allow_tf32", "_set_cudnn_allow_tf32"),
    ("_get_onednn_allow_tf32", "_set_onednn_allow_tf32"),
)


# Hooks on every module -------------------------------------------------------------------------

_HOOKS = tuple(
    held
    for name, held in vars(hooks).items()
    if name.startswith("_global_") and isinstance(held, dict)
)
_FULL = "_global_is_full_backward_hook"


def global_hooks() -> Part:
    """Who is called at the forward of any module; nobody where torch keeps them elsewhere."""
    return _global_hooks, _set_global_hooks


def _global_hooks() -> tuple[Any, ...]:
    held = [tuple(held.items()) if held else () for held in _HOOKS]
    return (getattr(hooks, _FULL, None), *held)


def _set_global_hooks(state: tuple[Any, ...]) -> None:
    if hasattr(hooks, _FULL):
        setattr(hooks, _FULL, state[0])
    for held, items in zip(_HOOKS, state[1:], strict=True):
        if tuple(held.items()) != items:
            held.clear()
            held.update(items)
