"""torch's `update_bn` averages with dropout on; `recalibrate` takes them as evaluation will."""

import copy

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

import varshift as vs

torch.manual_seed(0)
net = nn.Sequential(
    nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(64),
    nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(64),
).double()  # fmt: skip
batches = [torch.randn(size, 8, dtype=torch.float64) for size in (100, 7, 60, 100, 33)]


def true_statistics(model):
    """Layer by layer, noise off, every norm already right: the slow, obvious way."""
    x = torch.cat(batches)
    for layer in copy.deepcopy(model).eval():
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean.copy_(x.mean(0))
            layer.running_var.copy_(x.var(0))
            yield layer.running_var.clone()
        with torch.no_grad():
            x = layer(x)


def worst(model):
    """The largest relative error of a running variance, over channels that live."""
    norms = [layer for layer in model if isinstance(layer, nn.BatchNorm1d)]
    pairs = zip(norms, true_statistics(model), strict=True)
    return max((n.running_var / t - 1)[t > 1e-9].abs().max().item() for n, t in pairs)


ours, torchs = copy.deepcopy(net), copy.deepcopy(net)
update_bn(batches, torchs)
vs.recalibrate(ours, batches)
print(f"worst error of running_var: update_bn {worst(torchs):.0%}, recalibrate {worst(ours):.0e}")
assert worst(torchs) > 0.5
assert worst(ours) < 1e-10
