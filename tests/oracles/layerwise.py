"""The slow, obvious truth about noise-off statistics: one norm after another, in float64."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Statistics = dict[str, tuple[Tensor, Tensor]]


def noise_off_statistics(
    model: nn.Module, batches: Iterable[Tensor], *, double: bool = True
) -> Statistics:
    """Mean and unbiased variance of every norm's input when those before it are already right.

    As many evaluation passes as there are norms; in pass k the inputs of norm k are put together
    and its statistics set from them. With `double` the network itself runs in float64; without,
    only the statistics do, and the network keeps the rounding of its own precision.
    """
    exact = copy.deepcopy(model).eval()
    exact = exact.double() if double else exact
    inputs = [batch.double() if double else batch for batch in batches]
    found: Statistics = {}
    for path in _paths_in_order(exact, inputs[0]):
        norm = exact.get_submodule(path)
        values = _inputs_of(exact, norm, inputs)
        mean = values.sum(1) / values.shape[1]
        var = (values - mean[:, None]).square().sum(1) / (values.shape[1] - 1)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        found[path] = (mean, var)
    return found


def _paths_in_order(model: nn.Module, batch: Tensor) -> list[str]:
    order: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, path=path: order.append(path))
        for path, module in model.named_modules()
        if isinstance(module, _BatchNorm)
    ]
    with torch.no_grad():
        model(batch)
    for hook in hooks:
        hook.remove()
    return order


def _inputs_of(model: nn.Module, norm: nn.Module, batches: list[Tensor]) -> Tensor:
    """Everything the norm receives, (C, values), in float64."""
    received: list[Tensor] = []
    hook = norm.register_forward_pre_hook(
        lambda _, inputs: received.append(inputs[0].double().transpose(0, 1).flatten(1))
    )
    with torch.no_grad():
        for batch in batches:
            model(batch)
    hook.remove()
    return torch.cat(received, 1)


def without_upstream_repair(model: nn.Module, x: Tensor) -> Statistics:
    """A wrong rule on purpose: every norm measured while those before it keep their old values."""
    exact = copy.deepcopy(model).double().eval()
    found: Statistics = {}
    for path in _paths_in_order(exact, x.double()):
        values = _inputs_of(exact, exact.get_submodule(path), [x.double()])
        found[path] = (values.mean(1), values.var(1))
    return found
