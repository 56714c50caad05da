"""Noise energy N of a place: what τ multiplies in V = v + τ·N."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from varshift._engine import channel_moments
from varshift.theory import conv_noise_energy, conv_transpose_noise_energy, linear_noise_energy

__all__ = ["WEIGHTED", "noise_energy"]

WEIGHTED = (nn.Linear, _ConvNd)


def noise_energy(place: nn.Module, x: Tensor) -> Tensor:
    """N per output channel, (C,) float64, of element noise on `x`, the input of `place`.

    Before weights the laws of `varshift.theory`; straight before a norm E[x²] = c² + v.
    """
    if isinstance(place, nn.Linear):
        return linear_noise_energy(x, place.weight).cpu()
    if isinstance(place, _ConvTransposeNd):
        return conv_transpose_noise_energy(x, place.weight, **_transposed(place)).cpu()
    if isinstance(place, _ConvNd):
        return _conv_energy(place, x).cpu()
    return channel_moments(x).second().cpu()


def _conv_energy(conv: _ConvNd, x: Tensor) -> Tensor:
    geometry: dict[str, Any] = {
        "stride": conv.stride,
        "padding": conv.padding,
        "dilation": conv.dilation,
        "groups": conv.groups,
    }
    if conv.padding_mode != "zeros":
        x = F.pad(x, conv._reversed_padding_repeated_twice, mode=conv.padding_mode)
        geometry["padding"] = 0
    return conv_noise_energy(x, conv.weight, **geometry)


def _transposed(conv: _ConvTransposeNd) -> dict[str, Any]:
    return {
        "stride": conv.stride,
        "padding": conv.padding,
        "output_padding": conv.output_padding,
        "groups": conv.groups,
        "dilation": conv.dilation,
    }
