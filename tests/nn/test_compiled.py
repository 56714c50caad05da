"""`torch.compile`, TorchScript and `torch.export`: noise in training, nothing in evaluation."""

from __future__ import annotations

import io
import shutil

import pytest
import torch
from torch import nn

import varshift as vs

# torch deprecates TorchScript as a whole; people still ship it.
scripted = pytest.mark.filterwarnings(
    r"ignore:`?torch\.jit:DeprecationWarning", r"ignore:`?torch\.jit:FutureWarning"
)


def noisy_as_shared(layer, out):
    """Whether the result on ones is noise with the sharing of the layer."""
    draws = {"element": 2 * 3 * 16, "channel": 6, "sample": 2}[layer.sharing]
    return len(out.unique()) == draws and bool(torch.isfinite(out).all())


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_whole(layer, seeded, backend):
    torch._dynamo.reset()
    ones = torch.ones(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    torch.manual_seed(0)
    noisy = compiled(ones)
    torch.testing.assert_close(noisy, seeded(ones))
    (grad,) = torch.autograd.grad(noisy.sum(), ones)
    torch.testing.assert_close(grad, noisy)
    layer.eval()
    assert torch.equal(compiled(ones), ones)


def test_compiled_with_sizes_and_rates_that_change(layer):
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    rate = "beta" if isinstance(layer, vs.nn.Uout) else "sigma"
    for size, value in ((2, 0.1), (3, 0.2), (5, 0.3), (7, 0.0)):
        setattr(layer, rate, value)
        noisy = compiled(torch.ones(size, 3, 4, size))
        assert noisy.shape == (size, 3, 4, size)
        assert bool((noisy != 1).any()) == bool(value)
        assert float((noisy - 1).abs().max()) <= (value if rate == "beta" else 6 * value) + 1e-6


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler; apt-get install g++")
@pytest.mark.filterwarnings("ignore")  # inductor's own, about the machine it runs on
@pytest.mark.parametrize("make", [vs.nn.Uout, vs.nn.GaussianDropout2d])
def test_compiled_by_inductor(make):
    torch._dynamo.reset()
    layer = make(0.5)
    ones = torch.ones(2, 3, 4, 4, requires_grad=True)
    noisy = torch.compile(layer, fullgraph=True)(ones)
    assert noisy_as_shared(layer, noisy)
    (grad,) = torch.autograd.grad(noisy.sum(), ones)
    torch.testing.assert_close(grad, noisy.detach())


@scripted
def test_scripted_in_training(layer):
    module = torch.jit.script(layer)
    ones = torch.ones(2, 3, 4, 4)
    assert noisy_as_shared(layer, module(ones))
    layer.inplace = True
    assert noisy_as_shared(layer, torch.jit.script(layer)(ones.clone()))
    module.eval()
    assert torch.equal(module(ones), ones)


@scripted
def test_scripted_training_refuses_the_wrong_rank():
    module = torch.jit.script(vs.nn.Uout2d(0.5))
    with pytest.raises(torch.jit.Error, match="x has 2 dimensions; pass"):
        module(torch.ones(2, 3))


@scripted
def test_scripted_and_frozen_it_vanishes(layer):
    frozen = torch.jit.freeze(torch.jit.script(layer.eval()))
    assert not list(frozen.graph.nodes())
    net = nn.Sequential(nn.Conv2d(3, 2, 1), layer, nn.ReLU()).eval()
    kinds = [node.kind() for node in torch.jit.freeze(torch.jit.script(net)).graph.nodes()]
    assert [kind for kind in kinds if kind != "prim::Constant"] == ["aten::conv2d", "aten::relu"]


@scripted
def test_traced_it_vanishes(layer):
    traced = torch.jit.trace(layer.eval(), torch.ones(2, 3, 4, 4))
    assert not list(traced.graph.nodes())


def test_exported_it_vanishes(layer):
    program = torch.export.export(layer.eval(), (torch.ones(2, 3, 4, 4),))
    assert [node.op for node in program.graph.nodes] == ["placeholder", "output"]


def test_saved_and_loaded(layer, seeded):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    x = torch.randn(2, 3, 4, 4)
    expected = seeded(x)
    torch.manual_seed(0)
    assert torch.equal(loaded(x), expected)
    assert str(loaded) == str(layer)
