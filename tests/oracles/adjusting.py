"""The paper's Adjust, written out slowly: one moving average per norm, both readings."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def adjusted_statistics(
    model: nn.Module, batches: list[Tensor], *, live: bool, momentum: float = 0.1
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance of every norm after all batches, in float64 arithmetic of averages."""
    net = copy.deepcopy(model).eval()
    norms = {path: m for path, m in net.named_modules() if isinstance(m, _BatchNorm)}
    averages = {
        path: [norm.running_mean.double().clone(), norm.running_var.double().clone()]
        for path, norm in norms.items()
    }

    def hook(path):
        def before(norm, inputs):
            values = inputs[0].double().transpose(0, 1).flatten(1)
            for index, new in enumerate((values.mean(1), values.var(1))):
                averages[path][index] = (1 - momentum) * averages[path][index] + momentum * new
            if live:
                norm.running_mean.copy_(averages[path][0])
                norm.running_var.copy_(averages[path][1])

        return before

    for path, norm in norms.items():
        norm.register_forward_pre_hook(hook(path))
    with torch.no_grad():
        for batch in batches:
            net(batch)
    return {path: (mean, var) for path, (mean, var) in averages.items()}
