"""Base classes that layers of a kind share. Where one is gone, its public members stand for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

__all__ = [
    "AdaptiveAvgPool",
    "AdaptiveMaxPool",
    "AvgPool",
    "BatchNorm",
    "Conv",
    "ConvTransposed",
    "DispatchModeBase",
    "Dropout",
    "InstanceNorm",
    "LPPool",
    "MaxPool",
    "skipped_by_compiler",
]

if TYPE_CHECKING:
    from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
    from torch.nn.modules.conv import _ConvNd as Conv
    from torch.nn.modules.conv import _ConvTransposeNd as ConvTransposed
    from torch.nn.modules.dropout import _DropoutNd as Dropout
    from torch.nn.modules.instancenorm import _InstanceNorm as InstanceNorm
    from torch.nn.modules.pooling import _AdaptiveAvgPoolNd as AdaptiveAvgPool
    from torch.nn.modules.pooling import _AdaptiveMaxPoolNd as AdaptiveMaxPool
    from torch.nn.modules.pooling import _AvgPoolNd as AvgPool
    from torch.nn.modules.pooling import _LPPoolNd as LPPool
    from torch.nn.modules.pooling import _MaxPoolNd as MaxPool
    from torch.utils._python_dispatch import TorchDispatchMode as DispatchModeBase
else:

    def _base(home: str, name: str, *public: str) -> Any:
        """The private base; without it the union of the public layers, for `isinstance`."""
        found = getattr(getattr(nn.modules, home), name, None)
        if found is not None:
            return found
        members = [getattr(nn, layer) for layer in public if hasattr(nn, layer)]
        return members[0] if len(members) == 1 else tuple(members)

    def _in_dimensions(name: str) -> tuple[str, ...]:
        return tuple(f"{name}{count}d" for count in (1, 2, 3))

    BatchNorm = _base("batchnorm", "_BatchNorm", *_in_dimensions("BatchNorm"), "SyncBatchNorm")
    Conv = _base("conv", "_ConvNd", *_in_dimensions("Conv"), *_in_dimensions("ConvTranspose"))
    ConvTransposed = _base("conv", "_ConvTransposeNd", *_in_dimensions("ConvTranspose"))
    Dropout = _base(
        "dropout",
        "_DropoutNd",
        *("Dropout", *_in_dimensions("Dropout"), "AlphaDropout", "FeatureAlphaDropout"),
    )
    InstanceNorm = _base("instancenorm", "_InstanceNorm", *_in_dimensions("InstanceNorm"))
    AdaptiveAvgPool = _base("pooling", "_AdaptiveAvgPoolNd", *_in_dimensions("AdaptiveAvgPool"))
    AdaptiveMaxPool = _base("pooling", "_AdaptiveMaxPoolNd", *_in_dimensions("AdaptiveMaxPool"))
    AvgPool = _base("pooling", "_AvgPoolNd", *_in_dimensions("AvgPool"))
    LPPool = _base("pooling", "_LPPoolNd", *_in_dimensions("LPPool"))
    MaxPool = _base("pooling", "_MaxPoolNd", *_in_dimensions("MaxPool"))

    # torch documents this class and gives it no public home.
    from torch.utils._python_dispatch import TorchDispatchMode as DispatchModeBase


def skipped_by_compiler(function: Any) -> Any:
    """`function`, which the compiler leaves as it is, and all that it calls."""
    try:
        from torch._compile import _disable_dynamo
    except ImportError:
        return torch.compiler.disable(function, recursive=True)
    return _disable_dynamo(function, recursive=True)
