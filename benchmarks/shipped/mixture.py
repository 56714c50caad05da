"""How much of which audio: so that a network's first norm meets what it stores.

Nothing but the audio comes before the first norm and the weights that feed it: what it stores tells
of the training data alone, whatever dropout stood behind. Its mean and its mean of squares are
linear in the shares of the mixture.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
STEPS = 600
MOMENTS = ("mean", "var")


def batches(
    net: nn.Sequential, norms: tuple[str, ...], groups: list[Array], count: int, size: int
) -> list[Tensor]:
    """`count` batches of `size`, from groups by the shares that fit these norms, or equal ones."""
    share = shares(net, norms, groups) if norms else None
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(groups), count * size, p=share)
    inputs = np.stack([groups[i][rng.integers(len(groups[i]))] for i in chosen])
    return list(torch.tensor(inputs, dtype=torch.float32).split(size))


def shares(net: nn.Sequential, norms: tuple[str, ...], groups: list[Array]) -> Array:
    """The share of each group; from equal shares by STEPS of exponentiated gradient."""
    modules = dict(net.named_children())
    wanted, scale = [], []
    for norm in (modules[path] for path in norms):
        mean, var = (norm.get_buffer(f"running_{each}").double().numpy() for each in MOMENTS)
        alive = np.where(var > 1e-4 * var.max(), 1 / (var > 1e-4 * var.max()).sum() ** 0.5, 0)
        wanted += [mean, mean**2 + var]
        scale += [alive / np.sqrt(var), alive / (mean**2 + var)]
    weight = np.concatenate(scale)
    target = np.concatenate(wanted) * weight
    met = np.stack([_moments(net, norms, group) for group in groups], 1) * weight[:, None]
    share = np.full(len(groups), 1 / len(groups))
    rate = len(groups) / np.linalg.norm(met.T @ met, 2)
    for _ in range(STEPS):
        slope = met.T @ (met @ share - target)
        share = share * np.exp(-slope * min(rate, 1 / np.abs(slope).max()))
        share /= share.sum()
    return share


def _moments(net: nn.Sequential, norms: tuple[str, ...], group: Array) -> Array:
    """Means and means of squares of the channels at the norms, in evaluation mode."""
    found = []
    x = torch.tensor(group, dtype=torch.float32)
    with torch.no_grad():
        for path, module in net.eval().named_children():
            if path in norms:
                over = [0, *range(2, x.dim())]
                found += [x.double().mean(over), x.double().square().mean(over)]
            if len(found) == 2 * len(norms):
                break
            x = module(x)
    return torch.cat(found).numpy()
