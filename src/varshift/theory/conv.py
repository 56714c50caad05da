"""Placement (b) through a convolution: the noise energy N of var_train = var_test + τ·N.

E runs over the samples of the batch and over all output positions, borders included: that is the
population whose variance a BatchNorm takes. Zero padding only: a padded zero carries no noise. For
circular padding pad `x` yourself and pass padding=0, exact while no kernel spans the whole axis.
Reflected or replicated borders show one pixel to a kernel twice, under one factor: padding `x`
yourself is then exact for `channel` and `sample` sharing, but not for `element`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from varshift._counting import counted
from varshift.errors import UsageError
from varshift.theory import _check
from varshift.theory.energy import mean_over_samples
from varshift.theory.noise import Sharing, check_sharing

__all__ = [
    "conv_noise_energy",
    "conv_noise_energy_from_second",
    "conv_transpose_noise_energy",
]

_SAMPLES_AT_ONCE = 32
# A layer with its geometry bound: (input, weight) -> output.
_Layer = Callable[[Tensor, Tensor], Tensor]
_CONV: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE: dict[int, Callable[..., Tensor]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


def conv_noise_energy(
    x: Tensor,
    weight: Tensor,
    sharing: Sharing = "element",
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """N per output channel of y = w ∗ x, by what shares one factor of the noise.

    `element`: the mean over positions of (w² ∗ E[x²]). `channel`: Σ_c E[(w_c ∗ x_c)²] over the
    input channels of the group. `sample`: E[(w ∗ x)²]. `x` is `(N, C, *spatial)` with one to three
    spatial dimensions, `weight` and the geometry as in `torch.nn.functional.conv2d`; the result is
    `(out,)`, float64. `train_var_after` adds τ·N to the population variance of the noise-free
    output over samples and positions. The bias does not count. Raises UsageError where the shapes
    do not fit.

    >>> x, weight = torch.ones(1, 1, 3), torch.tensor([[[1.0, 1.0]]])
    >>> conv_noise_energy(x, weight).item(), conv_noise_energy(x, weight, "channel").item()
    (2.0, 4.0)
    """
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    _check_conv(x, weight, groups)
    apply = _bind(_CONV, weight, geometry)
    # Channel j of every group at once: output o answers to channel j of its own group.
    return _energy(apply, x, weight, weight.split(1, dim=1), sharing, groups)


def conv_noise_energy_from_second(
    second: Tensor,
    weight: Tensor,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """N per output channel from second moments alone: the mean over positions of w² ∗ E[x²].

    `second` is E[x²] for every input channel and position, `(C, *spatial)`: element sharing needs
    no more. The result is `(out,)`, float64.

    Raises:
        UsageError: shapes that do not fit, or negative entries.

    >>> conv_noise_energy_from_second(torch.ones(1, 4), torch.ones(1, 1, 3), padding=1).item()
    2.5
    """
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    _check_conv(second[None], weight, groups)
    _check.variance("second", second)
    apply = _bind(_CONV, weight, geometry)
    return _element_energy(apply, second.detach().to(torch.float64), weight)


def conv_transpose_noise_energy(
    x: Tensor,
    weight: Tensor,
    sharing: Sharing = "element",
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
) -> Tensor:
    """N per output channel of a transposed convolution; `conv_noise_energy` tells the rest.

    The same three laws: an output sees each input value at most once, whatever the stride. `weight`
    is `(C, out/groups, *kernel)` as in `torch.nn.functional.conv_transpose2d`.

    Raises:
        UsageError: shapes that do not fit, or no such sharing.

    >>> conv_transpose_noise_energy(torch.ones(1, 1, 2), torch.ones(1, 1, 2), stride=2).item()
    1.0
    """
    geometry = {
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "groups": groups,
        "dilation": dilation,
    }
    _check_conv(x, weight, channel_dim=0)
    apply = _bind(_CONV_TRANSPOSE, weight, geometry)
    size = weight.shape[0] // groups
    by_channel = [weight[j::size] for j in range(size)]
    return _energy(apply, x, weight, by_channel, sharing, groups)


def _bind(
    functions: dict[int, Callable[..., Tensor]], weight: Tensor, geometry: Mapping[str, object]
) -> _Layer:
    function = functions[weight.dim() - 2]
    return lambda x, w: function(x, w, **geometry)


def _energy(
    apply: _Layer,
    x: Tensor,
    weight: Tensor,
    by_channel: Sequence[Tensor],
    sharing: Sharing,
    groups: int,
) -> Tensor:
    check_sharing(sharing)
    wide = [part.detach().to(torch.float64) for part in by_channel]
    size = x.shape[1] // groups

    def energy(part: Tensor) -> Tensor:
        if sharing == "element":
            return _element_energy(apply, part.square().mean(0), weight)
        if sharing == "sample":
            return _mean_square(apply(part, weight.detach().to(torch.float64)))
        channels = [_mean_square(apply(part[:, j::size], w)) for j, w in enumerate(wide)]
        return torch.stack(channels).sum(0)

    return mean_over_samples(energy, x, _SAMPLES_AT_ONCE)


def _element_energy(apply: _Layer, second: Tensor, weight: Tensor) -> Tensor:
    return apply(second[None], weight.detach().to(torch.float64).square())[0].flatten(1).mean(1)


def _mean_square(y: Tensor) -> Tensor:
    return y.square().transpose(0, 1).flatten(1).mean(1)


def _check_conv(x: Tensor, weight: Tensor, groups: int = 1, channel_dim: int = 1) -> None:
    if weight.dim() - 2 not in _CONV or x.dim() != weight.dim():
        raise UsageError(
            f"x has shape {tuple(x.shape)} and weight {tuple(weight.shape)}; pass a batch "
            "(N, C, *spatial) and a weight with as many spatial dimensions, one to three"
        )
    taken = weight.shape[channel_dim] * groups
    if x.shape[1] != taken:
        raise UsageError(
            f"x has {counted(x.shape[1], 'channel')} but weight {tuple(weight.shape)} with "
            f"groups={groups} takes {taken}; pass the layer's own input and groups"
        )
    if x.numel() == 0:
        raise UsageError(f"x has shape {tuple(x.shape)}, no values; pass a batch that is not empty")
