"""The angle of trained filters to the all-ones vector, layer by layer."""

from __future__ import annotations

from typing import Any

from torch import nn

from varshift.theory import cos2, d_cos2, null_band_of_mean

__all__ = ["filter_records"]


def filter_records(net: nn.Module) -> list[dict[str, Any]]:
    """One record per convolution: its kernel, its d, and means over its filters.

    A k×k filter is one vector of d·k·k entries. Filters of zeros have no direction and are left
    out. `null` is the band that 95 of 100 layers of random filters fall into.
    [li2019disharmony, Table 1]
    """
    return [
        _record(path, module)
        for path, module in net.named_modules()
        if isinstance(module, nn.Conv2d)
    ]


def _record(path: str, conv: nn.Conv2d) -> dict[str, Any]:
    weight = conv.weight.detach()
    angles, sizes = cos2(weight), d_cos2(weight)
    alive = ~angles.isnan()
    width = weight[0].numel()
    return {
        "path": path,
        "kernel": conv.kernel_size[0],
        "d": width,
        "filters": int(alive.sum()),
        "cos2": float(angles[alive].mean()),
        "d_cos2": float(sizes[alive].mean()),
        "null": list(null_band_of_mean(width, max(1, int(alive.sum())))),
    }
