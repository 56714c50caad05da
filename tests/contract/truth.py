"""The slow, obvious truth: loops over batches with hooks, sums over all masks, no formula."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from contract.cases import Case, seeded

__all__ = ["added_by_every_mask", "added_by_unit_inputs", "inputs", "noise_off", "training_runs"]

Statistics = dict[str, tuple[Tensor, Tensor]]


def inputs(found: Case, *, training: bool) -> dict[str, Tensor]:
    """All that each norm site receives, (channels, values), from a copy of the model."""
    lent = replace(found, model=copy.deepcopy(found.model))
    if not training:
        lent.model.eval()
    return _received(lent, lent.tapped())


def _received(lent: Case, taps: dict[str, nn.Module]) -> dict[str, Tensor]:
    rows: dict[str, list[Tensor]] = {path: [] for path in taps}
    hooks = [
        module.register_forward_pre_hook(
            lambda _, args, path=path: rows[path].append(args[0].transpose(0, 1).flatten(1))
        )
        for path, module in taps.items()
    ]
    with torch.no_grad():
        for batch in lent.batches:
            lent.run(batch)
    for hook in hooks:
        hook.remove()
    return {path: torch.cat(held, 1) for path, held in rows.items()}


def training_runs(found: Case, repeats: int = 24) -> dict[str, tuple[Tensor, Tensor]]:
    """By norm site: the variance in training, mean and standard deviation over whole repetitions.

    With a seed of its own, so that whatever is compared with it has drawn other noise.
    """
    with seeded(987):
        runs = [inputs(found, training=True) for _ in range(repeats)]
    variances = {path: torch.stack([run[path].var(1) for run in runs]) for path in runs[0]}
    return {path: (held.mean(0), held.std(0)) for path, held in variances.items()}


def added_by_every_mask(
    layer: Callable[[Tensor], Tensor], x: Tensor, drop_p: float, shape: tuple[int, ...]
) -> Tensor:
    """Variance that dropout adds behind `layer`, by channel: every mask of `shape`, weighted.

    Averaged over samples and positions. `shape` is that of one sample's mask.
    """
    size = int(torch.tensor(shape).prod())
    kept = torch.tensor(list(itertools.product((0.0, 1.0), repeat=size)), dtype=x.dtype)
    chance = (kept * (1 - drop_p) + (1 - kept) * drop_p).prod(1)
    first = second = 0
    with torch.no_grad():
        for mask, weight in zip(kept, chance, strict=True):
            y = layer(x * mask.reshape(1, *shape) / (1 - drop_p))
            first, second = first + weight * y, second + weight * y.square()
    return _by_channel(second - first.square())


def added_by_unit_inputs(layer: Callable[[Tensor], Tensor], x: Tensor, drop_p: float) -> Tensor:
    """The same for element noise before a linear map with too many inputs to try every mask.

    The weight of each input in each output is read off by pushing single ones through.
    """
    units = torch.eye(x[0].numel(), dtype=x.dtype).reshape(-1, *x.shape[1:])
    with torch.no_grad():
        weights = (layer(units) - layer(torch.zeros_like(units))).flatten(1)
        shape = layer(x[:1]).shape[1:]
    sums = x.flatten(1).square() @ weights.square()
    return _by_channel(drop_p / (1 - drop_p) * sums.reshape(len(x), *shape))


def _by_channel(values: Tensor) -> Tensor:
    return values.transpose(0, 1).flatten(1).mean(1)


def noise_off(found: Case, skip: tuple[str, ...] = ()) -> Statistics:
    """Each norm's noise-off mean and unbiased variance once those before it have theirs.

    One norm after another: as many evaluation passes as there are norms.
    """
    lent = replace(found, model=copy.deepcopy(found.model).eval())
    settled: Statistics = {}
    for path, module in lent.tapped().items():
        if path in skip:
            continue
        values = _received(lent, {path: module})[path]
        settled[path] = (values.mean(1), values.var(1))
        mean, var = _statistics_of(lent, path)
        mean.copy_(settled[path][0])
        var.copy_(settled[path][1])
    return settled


def _statistics_of(lent: Case, path: str) -> tuple[Tensor, Tensor]:
    if lent.name == "functional":
        return lent.model.m, lent.model.v
    norm = lent.model.get_submodule(path)
    return norm.running_mean, norm.running_var
