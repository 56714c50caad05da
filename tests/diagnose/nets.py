"""Networks whose statistics are settled on known data, noise in known places."""

from __future__ import annotations

import torch
from torch import nn


def settled(model, data, *, rounds=4):
    """The model with statistics that training on this data leaves, in equal parts."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        for batch in data * rounds:
            model.train()(batch)
    return model


def features(width, *, batches=16, samples=256, seed=0):
    """Normal, with means between −1 and 2 and spreads between 0.5 and 1.5, by channel."""
    random = torch.Generator().manual_seed(seed)
    ends = ((-1, 2), (0.5, 1.5))
    mean, spread = (torch.linspace(*each, width, dtype=torch.float64) for each in ends)
    drawn = torch.randn(batches * samples, width, dtype=torch.float64, generator=random)
    return list((mean + spread * drawn).split(samples))


def direct(drop_p=0.5, width=8):
    """Dropout straight before a norm."""
    return nn.Sequential(nn.Dropout(drop_p), nn.BatchNorm1d(width), nn.Linear(width, 3)).double()


def chain(drop_p=0.5, width=16):
    """Noise through weights, and on through a norm."""
    torch.manual_seed(3)
    return nn.Sequential(
        *(nn.Dropout(drop_p), nn.Linear(8, width), nn.BatchNorm1d(width)),
        *(nn.Linear(width, width), nn.BatchNorm1d(width), nn.Linear(width, 3)),
    ).double()
