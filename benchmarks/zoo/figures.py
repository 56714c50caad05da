"""What measure and recalibrate say of a network, beside plain hooks and two passes in float64.

Recalibrated statistics have one solution: those under which each norm, in a plain evaluation pass,
receives just what it stores. So they are put in, every batch passes by plain hooks, and what each
norm received is set against what stands in it; once in float32, once with the network in float64.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

import varshift as vs
from benchmarks.zoo.specimen import Specimen, call, norms

__all__ = ["figures"]

BATCHES, SEED = 3, 5
Truth = dict[str, tuple[Tensor, Tensor]]


def figures(lent: Specimen) -> dict[str, Any]:
    """The largest relative error of a mean or variance over all channels of all norms."""
    torch.manual_seed(SEED)
    batches = [lent.draw(lent.samples) for _ in range(BATCHES)]
    _settle(lent, batches)
    errors = {"measure": _measured(lent, batches), "recalibrate": _recalibrated(lent, batches)}
    double = replace(lent, model=copy.deepcopy(lent.model).double())
    errors["recalibrate, float64"] = _recalibrated(double, tree_map(_doubled, batches))
    return {"outcome": "read", "input": lent.told, "errors": errors}


def _settle(lent: Specimen, batches: list[Any]) -> None:
    """Stored statistics that are an average over passes with noise, as after training."""
    before = {module: module.momentum for _, module in norms(lent.model)}
    for module in before:
        module.momentum = None
        module.reset_running_stats()
    for batch in batches:
        call(lent, batch)
    for module, momentum in before.items():
        module.momentum = momentum


def _measured(lent: Specimen, batches: list[Any]) -> float:
    """Moments in training, with the same seed, and in evaluation."""
    held = copy.deepcopy(dict(lent.model.named_buffers()))
    torch.manual_seed(SEED)
    found = vs.measure(lent.model, batches, forward=lent.forward).sites
    torch.manual_seed(SEED)
    train = _plain(lent, batches)
    with torch.no_grad():  # plain training passes move the running statistics
        for name, buffer in lent.model.named_buffers():
            buffer.copy_(held[name])
    test = _plain(replace(lent, model=lent.model.eval()), batches)
    lent.model.train()
    return max(
        *(_error(found[path].train.mean, found[path].train.var, *train[path]) for path in found),
        *(_error(found[path].test.mean, found[path].test.var, *test[path]) for path in found),
    )


def _recalibrated(lent: Specimen, batches: list[Any]) -> float:
    """What is stored, against what each norm receives once it is stored."""
    done = vs.recalibrate(lent.model, batches, forward=lent.forward)
    stored = {path: module for path, module in norms(lent.model) if path in done.sites}
    received = _plain(replace(lent, model=lent.model.eval()), batches)
    lent.model.train()
    return max(
        _error(module.running_mean, module.running_var, *received[path])
        for path, module in stored.items()
    )


def _plain(lent: Specimen, batches: list[Any]) -> Truth:
    """Mean and unbiased variance of all that each norm receives, two passes in float64."""
    received: dict[str, list[Tensor]] = defaultdict(list)
    with _kept(lent.model, received):
        for batch in batches:
            call(lent, batch)
    truth = {}
    for path, parts in received.items():
        values = torch.cat(parts, 1)
        mean = values.sum(1) / values.shape[1]
        spread = (values - mean[:, None]).square().sum(1)
        truth[path] = (mean, spread / (values.shape[1] - 1))
    return truth


@contextmanager
def _kept(model: nn.Module, received: dict[str, list[Tensor]]) -> Iterator[None]:
    def keep(path: str, x: Tensor) -> None:
        received[path].append(x.detach().double().transpose(0, 1).flatten(1))

    hooks = [
        module.register_forward_pre_hook(lambda _, args, path=path: keep(path, args[0]))
        for path, module in norms(model)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _error(mean: Tensor, var: Tensor, true_mean: Tensor, true_var: Tensor) -> float:
    """A variance relative to itself, a mean to the larger of mean and deviation."""
    live = true_var > 0
    scale = torch.maximum(true_mean.abs(), true_var.sqrt())
    scale = torch.where(scale > 0, scale, 1.0)
    means = (mean - true_mean).abs() / scale
    variances = torch.where(live, (var - true_var).abs() / true_var, var.abs())
    return float(torch.maximum(means, variances).max())


def _doubled(value: Any) -> Any:
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.double() if floating else value
