"""The pattern over channels: what each norm stores against what the true dropout would do to it.

By plain hooks, in training mode, without `vs.footprint`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.shipped.network import Truth

Pattern = tuple[Tensor, Tensor]


def patterns(net: nn.Module, batches: list[Tensor], truths: dict[str, Truth]) -> dict[str, Pattern]:
    """Of each norm with dropout before it, by channel: lever and excess.

    The lever is what the true dropout adds to a channel's variance, in parts of it; the excess what
    the norm stores beyond the variance it meets. Both with the true dropout at all other places.
    """
    noisy = {norm: truth for norm, truth in truths.items() if truth.drop_p}
    stored = {norm: net.get_buffer(f"{norm}.running_var").double() for norm in noisy}
    full = _variances(net, batches, list(noisy.values()))
    found = {}
    for norm, truth in noisy.items():
        bare = _variances(net, batches, [each for each in noisy.values() if each != truth])[norm]
        alive = stored[norm] > 1e-4 * stored[norm].max()
        lever, excess = full[norm] / bare - 1, stored[norm] / bare - 1
        found[norm] = lever[alive], excess[alive]
    return found


@torch.no_grad()
def _variances(net: nn.Module, batches: list[Tensor], noise: list[Truth]) -> dict[str, Tensor]:
    """The mean over batches of each norm's variance by channel; masks are the same each time."""
    copied = copy.deepcopy(net).train()
    sums: dict[str, Tensor] = {}
    for truth in noise:
        seed = sum(truth.place.encode())
        copied.get_submodule(truth.place).register_forward_pre_hook(_dropping(truth.drop_p, seed))
    for path, module in copied.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(_adding(sums, path))
    for batch in batches:
        copied(batch)
    return {path: total / len(batches) for path, total in sums.items()}


def _dropping(drop_p: float, seed: int) -> Callable[..., tuple[Tensor, ...]]:
    draw = torch.Generator().manual_seed(seed)

    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        kept = torch.rand(inputs[0].shape, generator=draw) >= drop_p
        return (inputs[0] * kept / (1 - drop_p),)

    return hook


def _adding(sums: dict[str, Tensor], path: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        over = [0, *range(2, inputs[0].dim())]
        sums[path] = sums.get(path, 0) + inputs[0].double().var(over, correction=0)

    return hook


def draw(found: dict[str, Pattern], truths: dict[str, Truth], title: str, path: Path) -> None:
    """One square for each norm: a dot for each channel, the line that the truth would make."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, squares = plt.subplots(1, len(found), figsize=(2.6 * len(found), 2.9), squeeze=False)
    for square, (norm, (lever, excess)) in zip(squares[0], found.items(), strict=True):
        level = ((1 + excess) / (1 + lever)).median()
        span = torch.tensor([float(lever.min()), float(lever.max())])
        square.scatter(lever, excess, s=7, alpha=0.5, linewidths=0)
        square.plot(span, level * (1 + span) - 1, color="C1")
        square.plot(span, (level * (1 + lever.median()) - 1).expand(2), "--", color="0.6")
        square.set_title(f"{norm}: dropout {truths[norm].drop_p:g}", fontsize=8)
        square.set_xlabel("added by it", fontsize=8)
        low, high = torch.quantile(excess, torch.tensor([0.02, 0.98], dtype=excess.dtype))
        square.set_ylim(float(low) - 0.05, float(high) + 0.05)
        square.tick_params(labelsize=7)
    squares[0][0].set_ylabel("stored ÷ met without it − 1", fontsize=8)
    figure.suptitle(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
