"""The model comes back as it was lent, whatever the rules had to run."""

from __future__ import annotations

import pytest
import torch

import varshift as vs
from problems.noisy_nets import Conv, Mlp
from problems.settling import settled


def state(net):
    return (
        [module.training for module in net.modules()],
        [getattr(module, "momentum", None) for module in net.modules()],
        [(id(b), b.data_ptr(), b.tolist()) for b in net.buffers()],
        [(id(p), p.tolist(), p.requires_grad) for p in net.parameters()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
        torch.get_rng_state().tolist(),
        torch.is_grad_enabled(),
    )


def nets():
    x = [torch.randn(32, 8) for _ in range(2)]
    frozen = settled(Mlp(), x, 3)
    frozen.body[5].eval()
    frozen.body[5].momentum = None
    return {"fresh": Mlp(), "frozen": frozen, "eval": settled(Mlp(), x, 3).eval()}


@pytest.mark.parametrize("name", ["fresh", "frozen", "eval"])
@pytest.mark.parametrize("real", [False, True])
def test_success_leaves_no_trace(name, real):
    net = nets()[name]
    x = torch.randn(64, 8)
    before = state(net)
    found = vs.check(net, data=[x, x + 1]) if real else vs.check(net, x)
    assert found
    assert state(net) == before


class Breaks(Mlp):
    """Raises in the pass of that number."""

    calls, at = 0, 0

    def forward(self, x):
        type(self).calls += 1
        if self.calls == self.at:
            raise RuntimeError("disk gone")
        return super().forward(x)


@pytest.mark.parametrize("at", [1, 2, 5, 6, 9])
def test_a_failure_leaves_no_trace(at):
    net, x = Breaks(), torch.randn(64, 8)
    Breaks.calls, Breaks.at = 0, at
    before = state(net)
    with pytest.raises(vs.ModelError, match="disk gone"):
        vs.check(net, x)
    assert state(net) == before


def test_a_failing_loader_leaves_no_trace():
    def loader():
        yield torch.randn(16, 8)
        raise OSError("no route to host")

    net = Mlp()
    torch.manual_seed(3)
    flags = [module.training for module in net.modules()]
    buffers = [b.clone() for b in net.buffers()]
    with pytest.raises(OSError, match="no route"):
        vs.check(net, data=loader)
    assert [module.training for module in net.modules()] == flags
    assert all(torch.equal(a, b) for a, b in zip(buffers, net.buffers(), strict=True))


def test_the_example_is_borrowed_too():
    x = torch.randn(8, 3, 12, 12)
    kept = x.clone()
    vs.check(Conv(), x)
    assert torch.equal(x, kept)
