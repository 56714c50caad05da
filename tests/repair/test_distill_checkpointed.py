"""Distil networks that compute blocks again on the way back, as large ones do to save memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import varshift as vs


class Blocks(nn.Module):
    """Two blocks with noise; each is run again for its gradients where `again`."""

    def __init__(self, again):
        super().__init__()
        torch.manual_seed(0)
        self.again = again
        self.one = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.BatchNorm1d(16), nn.ReLU())
        self.two = nn.Sequential(nn.Linear(16, 16), nn.Dropout(0.5), nn.BatchNorm1d(16), nn.ReLU())
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        for block in (self.one, self.two):
            x = checkpoint(block, x, use_reentrant=False) if self.again else block(x)
        return self.head(x)


class ItsOwnWay(Blocks):
    """Evaluation does more than set flags: it halves what the head gives."""

    def __init__(self, again):
        super().__init__(again)
        self.factor = torch.ones(())

    def train(self, mode=True):
        self.factor = torch.ones(()) if mode else torch.full((), 0.5)
        return super().train(mode)

    def forward(self, x):
        return self.factor * super().forward(x)


def distilled(kind, again):
    """How the candidate scores, and what it would write."""
    net = kind(again)
    torch.manual_seed(1)
    for _ in range(40):
        net(torch.randn(64, 4))
    data = [torch.randn(32, 4) for _ in range(8)]
    found = vs.repair(net, data, method="distill", kind="logits")["distill"]
    assert found.score is not None, found.reason
    return found.score, found.trial, found.tensors


@pytest.mark.parametrize("kind", [Blocks, ItsOwnWay])
def test_blocks_that_run_again_are_fitted_as_others_are(kind):
    assert distilled(kind, True) == distilled(kind, False)
