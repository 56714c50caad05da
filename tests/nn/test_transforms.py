"""Gradients of both orders, `torch.func`, autocast, number formats, memory kept."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, jvp, vjp, vmap

import varshift as vs

# Forward-mode gradients script torch's own formulas, which torch itself warns about.
forward_mode = pytest.mark.filterwarnings(r"ignore:`torch\.jit\.script` is:FutureWarning")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_number_format_stays(layer, dtype):
    x = torch.randn(2, 3, 4, 4, dtype=dtype, requires_grad=True)
    noisy = layer(x)
    noisy.sum().backward()
    assert noisy.dtype == x.grad.dtype == dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == dtype


def test_the_memory_format_stays(layer):
    x = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    assert layer(x).is_contiguous(memory_format=torch.channels_last)


@forward_mode
def test_gradients_of_both_orders(seeded):
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(seeded, x, check_forward_ad=True)
    assert gradgradcheck(seeded, x)
    # linear in x, so the check of the second order needs something that is not
    assert gradgradcheck(lambda y: seeded(y).square() * y, x)


@forward_mode
def test_func_grad_vjp_and_jvp(seeded):
    x, direction = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64)
    factor = seeded(torch.ones_like(x))
    torch.testing.assert_close(grad(lambda y: seeded(y).sum())(x), factor)
    (back,) = vjp(seeded, x)[1](direction)
    torch.testing.assert_close(back, factor * direction)
    out, along = jvp(seeded, (x,), (direction,))
    torch.testing.assert_close(out, factor * x)
    torch.testing.assert_close(along, factor * direction)


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_vmap(layer, randomness):
    """One input per row, or one for all rows, as in an ensemble of weights."""
    ones = torch.ones(2, 3, 4, 4)
    rows = vmap(layer, randomness=randomness)(ones.expand(5, 2, 3, 4, 4))
    shared = vmap(lambda i: layer(ones) * i, randomness=randomness)(torch.ones(5))
    for out in (rows, shared):
        assert out.shape == (5, 2, 3, 4, 4)
        assert len(out[:, 0, 0, 0, 0].unique()) == (1 if randomness == "same" else 5)


def test_an_ensemble_over_one_input():
    net = nn.Sequential(vs.nn.GaussianDropout(0.5), nn.Linear(4, 2, bias=False))
    weights = {"1.weight": torch.ones(3, 2, 4)}
    x = torch.ones(7, 4)
    out = vmap(lambda w: functional_call(net, w, x), randomness="different")(weights)
    assert len(out[:, 0, 0].unique()) == 3


def saved_bytes(layer, x):
    """Bytes of the distinct storages that the forward pass keeps for the backward pass."""
    kept = {}

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = layer(x)
    del out
    return sum(kept.values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_no_more_is_kept_than_by_torch(layer, dtype):
    """The factors, at the width of the input, and never the input or a factor expanded."""
    x = torch.randn(16, 8, 4, 4, dtype=dtype, requires_grad=True)
    factors = {"element": 16 * 8 * 16, "channel": 16 * 8, "sample": 16}[layer.sharing]
    theirs = nn.Dropout2d(0.5) if layer.sharing == "channel" else nn.Dropout(0.5)
    assert saved_bytes(layer, x) == factors * dtype.itemsize <= saved_bytes(theirs, x)
