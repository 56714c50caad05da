"""What the tracer must know of single operations, by the name of their aten packet.

Everything else is generic: an operation's outputs carry what its inputs carried. New names only
refine a reading (which placement, which law); an unknown operation still passes the noise on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from varshift._torch.tensors import operation_name, overload_name, schema_of

__all__ = [
    "BATCH_NORMS",
    "CONTROL",
    "FRESH_NOISE",
    "FUSED_NOISE",
    "MATRIX",
    "NONLINEAR",
    "NORMS",
    "OVERWRITES",
    "POOLS",
    "SHAPE_ONLY",
    "Operation",
    "tensors_in",
]

# Batch normalisation with (possibly) running statistics; their schemas name the arguments.
BATCH_NORMS = frozenset(
    {
        "native_batch_norm",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training",
        "_batch_norm_with_update",
        "_batch_norm_no_update",
        "cudnn_batch_norm",
        "miopen_batch_norm",
        "batch_norm_gather_stats",
        "batch_norm_gather_stats_with_counts",
    }
)

# Normalisations without statistics of their own to shift; noise that passes one is rescaled.
NORMS = frozenset(
    {
        "native_layer_norm",
        "native_group_norm",
        "rms_norm",
        "_fused_rms_norm",
        "batch_norm_elemt",
    }
)

# Contractions: with a parameter on one side they are "weights", else they mix activations.
MATRIX = frozenset(
    {
        *("convolution", "_convolution", "convolution_overrideable", "cudnn_convolution"),
        *("cudnn_convolution_transpose", "mkldnn_convolution", "_slow_conv2d_forward"),
        *("mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "matmul", "linear"),
        *("mkldnn_linear", "_sparse_mm", "_sparse_addmm", "_addmm_activation", "_trilinear"),
        *("_thnn_fused_lstm_cell", "_thnn_fused_gru_cell", "mkldnn_rnn_layer", "_cudnn_rnn"),
        *("spmm_sum", "spmm_mean", "fbgemm_linear", "_weight_int8pack_mm"),
    }
)

NONLINEAR = frozenset(
    {
        *("relu", "gelu", "silu", "mish", "sigmoid", "tanh", "elu", "celu", "selu", "leaky_relu"),
        *(
            "hardtanh",
            "hardswish",
            "hardsigmoid",
            "softplus",
            "prelu",
            "_prelu_kernel",
            "threshold",
        ),
        *("clamp", "clamp_min", "clamp_max", "_softmax", "_log_softmax", "exp", "log", "abs"),
        *("log_sigmoid_forward", "softshrink", "hardshrink", "glu", "square", "sqrt", "rsqrt"),
        *("max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d", "amax"),
    }
)

POOLS = frozenset(
    {
        *("avg_pool1d", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d"),
        *("mean", "sum", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d"),
        *("scatter_add", "index_add", "scatter_reduce", "cumsum"),
    }
)

# Draws whose values do not depend on the values of their inputs.
FRESH_NOISE = frozenset(
    {
        *("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like"),
        *("bernoulli", "uniform", "normal", "exponential", "random", "geometric", "cauchy"),
        *("log_normal", "normal_functional"),
    }
)

# Of those, the ones that take their chances or their means from the values of some arguments.
_CHANCES = {
    ("bernoulli", "default"): ("self",),
    ("bernoulli", "out"): ("self",),
    ("bernoulli", "Tensor"): ("p",),
    ("bernoulli", "Tensor_out"): ("p",),
    ("normal", "Tensor_float"): ("mean",),
    ("normal", "Tensor_float_out"): ("mean",),
    ("normal", "float_Tensor"): ("std",),
    ("normal", "float_Tensor_out"): ("std",),
    ("normal", "Tensor_Tensor"): ("mean", "std"),
    ("normal", "Tensor_Tensor_out"): ("mean", "std"),
}

# Draw and apply in one kernel: the argument that holds the drop probability.
FUSED_NOISE = {
    "native_dropout": "p",
    "_fused_dropout": "p",
    "_scaled_dot_product_flash_attention": "dropout_p",
    "_scaled_dot_product_flash_attention_for_cpu": "dropout_p",
    "_scaled_dot_product_efficient_attention": "dropout_p",
    "_scaled_dot_product_cudnn_attention": "dropout_p",
    "_scaled_dot_product_attention_math": "dropout_p",
    "_flash_attention_forward": "dropout_p",
    "_efficient_attention_forward": "dropout_p",
    "_cudnn_rnn": "dropout",
    "rrelu_with_noise": "training",
    "rrelu_with_noise_functional": "training",
}

# Results that depend on the shape of their input, never on its values.
SHAPE_ONLY = frozenset(
    {
        *("empty_like", "zeros_like", "ones_like", "full_like", "new_empty", "new_zeros"),
        *("new_ones", "new_full", "new_empty_strided"),
    }
)

# In-place operations after which nothing of the old values is left.
OVERWRITES = frozenset({"copy", "fill", "zero", "set", *FRESH_NOISE})

# A tensor becomes a Python number: whatever it decides is out of sight.
CONTROL = frozenset({"_local_scalar_dense", "is_nonzero", "equal"})


@dataclass(frozen=True, eq=False, slots=True)
class _Kind:
    """What is known of an operation, whatever it is called with."""

    packet: str
    name: str
    overload: str
    arguments: Mapping[str, int]
    written: tuple[str, ...]
    seeded: bool


class Operation:
    """One operation as the dispatcher runs it; `out` is there once it has run.

    Attributes:
        packet: `bernoulli_` for `aten.bernoulli_.float`.
        name: `bernoulli`: the packet without its in-place mark.
        overload: `float`.
    """

    __slots__ = ("_kind", "_read", "args", "func", "kwargs", "name", "out", "overload", "packet")

    def __init__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.func, self.args, self.kwargs = func, args, kwargs
        self.out: Any = None
        self._kind = kind = _kind_of(func)
        self.packet, self.name, self.overload = kind.packet, kind.name, kind.overload
        self._read: list[Tensor] | None = None

    def run(self) -> Any:
        """Run it and keep what it gives."""
        self.out = self.func(*self.args, **self.kwargs)
        return self.out

    def has(self, name: str) -> bool:
        """Whether the operation takes an argument of that name."""
        return name in self._kind.arguments

    def argument(self, name: str) -> Any:
        """Value of the argument called `name` in this call; None where left out."""
        if name in self.kwargs:
            return self.kwargs[name]
        index = self._kind.arguments.get(name, len(self.args))
        return self.args[index] if index < len(self.args) else None

    def written(self) -> list[Tensor]:
        """The tensors it writes to: in-place and `out=` arguments."""
        return tensors_in([self.argument(name) for name in self._kind.written])

    def read(self) -> list[Tensor]:
        """The tensors whose values count: an overwritten target's old ones do not."""
        if self._read is None:
            args = self.args[1:] if self.name in OVERWRITES else self.args
            self._read = tensors_in([*args, *self.kwargs.values()])
        return self._read

    def chances(self) -> list[Tensor]:
        """The tensors whose values say what a draw gives."""
        if self.name not in FRESH_NOISE:
            return tensors_in([self.args, self.kwargs])
        names = _CHANCES.get((self.name, self.overload), ())
        return tensors_in([self.argument(name) for name in names])

    def outputs(self) -> list[Tensor]:
        """The tensors it returned."""
        return tensors_in(self.out)

    def draws(self) -> bool:
        """Whether this call really draws random numbers."""
        if not self._kind.seeded:
            return False
        switch = FUSED_NOISE.get(self.name)
        if switch is None:
            return True
        if self.name == "native_dropout" and self.argument("train") is False:
            return False
        return bool(self.argument(switch))


def tensors_in(value: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists and dicts of an operation's arguments or results."""
    if isinstance(value, Tensor):
        return [value]
    found: list[Tensor] = []
    _collect(value, found)
    return found


def _collect(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return
    for item in value:
        if isinstance(item, Tensor):
            found.append(item)
        elif type(item) not in _NUMBERS:
            _collect(item, found)


_NUMBERS = frozenset({bool, int, float, type(None)})  # most of what is no tensor


@cache
def _kind_of(func: Any) -> _Kind:
    packet, schema = operation_name(func), schema_of(func)
    arguments = schema.arguments if schema is not None else ()
    written = (a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write)
    marked = packet.endswith("_") and not packet.endswith("__")
    return _Kind(
        packet=packet,
        name=packet[:-1] if marked else packet,
        overload=overload_name(func),
        arguments={argument.name: place for place, argument in enumerate(arguments)},
        written=tuple(written),
        seeded=torch.Tag.nondeterministic_seeded in getattr(func, "tags", ()),
    )
