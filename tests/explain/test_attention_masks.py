"""Keys that are masked at random are off where their logits go on as they are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs

RATE = 0.4
ALWAYS = torch.eye(6, dtype=torch.bool)  # a token sees itself at least


class Masked(nn.Module):
    """Attention some of whose keys are masked in training, before a norm."""

    def __init__(self, mask):
        super().__init__()
        self.mask = mask
        self.qkv, self.norm = nn.Linear(8, 24), nn.BatchNorm1d(8, momentum=None)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        if self.mask is built_in:
            seen = (torch.rand(len(x), 6, 6) > RATE) | ALWAYS if self.training else None
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        else:
            logits = q @ k.transpose(1, 2)
            mixed = (self.mask(logits) if self.training else logits).softmax(-1) @ v
        return self.norm(mixed.transpose(1, 2))


def added(logits):
    return logits + torch.bernoulli(torch.full_like(logits, RATE)) * -1e12


def filled(logits):
    return logits.masked_fill(torch.rand_like(logits) < RATE, -1e9)


def infinite(logits):
    return logits.masked_fill((torch.rand_like(logits) < RATE) & ~ALWAYS, -math.inf)


def chosen(logits):
    low = torch.full_like(logits, torch.finfo(logits.dtype).min)
    return torch.where(torch.rand_like(logits) < RATE, low, logits)


def weighed(logits):
    mask = torch.bernoulli(torch.full_like(logits, 1 - RATE))
    return logits * mask + (1 - mask) * -1e9


def built_in(logits):
    raise NotImplementedError  # torch masks


def settled(mask):
    torch.manual_seed(0)
    net, data = Masked(mask), [2 * torch.randn(32, 6, 8) for _ in range(8)]
    with torch.no_grad():
        for batch in data * 2:
            net(batch)
    return net, data


def true_shift(net, data):
    """Variance in evaluation ÷ in training, by a plain hook in float64."""
    received = {}
    for training in (True, False):
        got = []
        hook = net.norm.register_forward_pre_hook(
            lambda module, x, got=got: got.append(x[0].double().transpose(1, 2).reshape(-1, 8))
        )
        stored = {key: value.clone() for key, value in net.state_dict().items()}
        with torch.no_grad():
            for batch in data * (20 if training else 1):
                net.train(training)(batch)
        hook.remove()
        net.load_state_dict(stored)
        received[training] = torch.cat(got).var(0)
    net.train()
    return float((received[False] / received[True]).log().mean().exp())


@pytest.mark.parametrize("mask", [added, filled, infinite, chosen, weighed, built_in])
def test_masked_keys_are_off_where_nothing_is_masked(mask):
    net, data = settled(mask)
    x = vs.explain(net, data)
    assert x.blame.silenced == {"(model)": "exactly: it is left out, as in evaluation"}
    assert x.blame.rest["norm"] == vs.Figure(0.0, 0.0)
    assert "No draw explains it" not in x.reason
    shift = x.factors["norm"].alone
    assert shift == pytest.approx(true_shift(net, data), abs=5 * shift.se)
    assert x.blame["(model)", "norm"] == pytest.approx(1 - shift, abs=0.1)
    assert not [finding for finding in vs.check(net, data[0]) if finding.code == "VS108"]
