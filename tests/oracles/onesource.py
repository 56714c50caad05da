"""Blame the naive way: one source at a time, every norm frozen at the statistics of training."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

__all__ = ["naive_shares", "with_training_statistics"]


def with_training_statistics(net: nn.Module, data: list[Tensor]) -> nn.Module:
    """A copy whose norms hold the pooled, biased moments that a noisy training pass gives them.

    A site sees batch statistics in training, so the copy's are those of the whole data set as seen
    in training mode, batch by batch.
    """
    net = copy.deepcopy(net).train()
    seen: dict[str, list[Tensor]] = {}
    hooks = [
        module.register_forward_pre_hook(
            lambda _, inputs, path=path: seen.setdefault(path, []).append(inputs[0].double())
        )
        for path, module in norms(net).items()
    ]
    with torch.no_grad():
        for batch in data:
            net(batch)
    for hook in hooks:
        hook.remove()
    for path, module in norms(net).items():
        rows = torch.cat([x.transpose(0, 1).flatten(1) for x in seen[path]], dim=1)
        module.running_mean.copy_(rows.mean(1))
        module.running_var.copy_(rows.var(1, unbiased=False))
    return net.eval()


def naive_shares(
    net: nn.Module, data: list[Tensor], repeats: int
) -> dict[tuple[str, str], tuple[float, float]]:
    """(source, site) → share of the variance with all noise on, with its standard error.

    The error is over `repeats` repetitions of everything: training pass, clean run, runs with one
    source, run with all.
    """
    found = [_once(with_training_statistics(net, data), data) for _ in range(repeats)]
    shares = {}
    for pair in found[0]:
        values = torch.tensor([one[pair] for one in found])
        shares[pair] = (float(values.mean()), float(values.std() / repeats**0.5))
    return shares


def _once(frozen: nn.Module, data: list[Tensor]) -> dict[tuple[str, str], float]:
    drops = [path for path, m in frozen.named_modules() if isinstance(m, _DropoutNd)]
    clean, whole = variances(frozen, data, []), variances(frozen, data, drops)
    alone = {path: variances(frozen, data, [path]) for path in drops}
    return {
        (path, site): float(((alone[path][site] - clean[site]) / whole[site]).mean())
        for site in clean
        for path in drops
    }


def variances(net: nn.Module, data: list[Tensor], noisy: list[str]) -> dict[str, Tensor]:
    """Pooled variance of each norm's input with only these dropouts on."""
    rows: dict[str, list[Tensor]] = {}
    hooks = [
        module.register_forward_pre_hook(
            lambda _, inputs, path=path: rows.setdefault(path, []).append(inputs[0].double())
        )
        for path, module in norms(net).items()
    ]
    for path, module in net.named_modules():
        module.training = path in noisy
    with torch.no_grad():
        for batch in data:
            net(batch)
    for hook in hooks:
        hook.remove()
    return {
        path: torch.cat([x.transpose(0, 1).flatten(1) for x in parts], dim=1).var(1)
        for path, parts in rows.items()
    }


def norms(net: nn.Module) -> dict[str, nn.Module]:
    return {path: module for path, module in net.named_modules() if isinstance(module, _BatchNorm)}
