"""Steered norms use what is stored, whatever mode they are in, and the affine map on top."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from problems.noisy_nets import ByHand, Conv, LastDim, Mlp
from varshift._engine.edits import Edit
from varshift._engine.regime import Regime
from varshift._engine.session import session
from varshift._repair.distillation import Affine, scaled


class Low(nn.Module):
    """`torch.batch_norm` itself, with its own order of arguments."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.randn(4))
        self.register_buffer("running_var", torch.rand(4) + 0.5)
        self.weight, self.bias = nn.Parameter(torch.rand(4)), nn.Parameter(torch.rand(4))

    def forward(self, x):
        held = (self.running_mean, self.running_var)
        return torch.batch_norm(x, self.weight, self.bias, *held, self.training, 0.1, 1e-5, False)


INPUTS = {Mlp: (9, 8), Conv: (5, 3, 9, 9), ByHand: (5, 6), Low: (7, 4)}


def still(net):
    """Statistics unlike any batch's, and no noise."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    return net


def steered(net, x, affine=None):
    """What it returns with every flag as it is, its norms steered."""
    flags = [(module, module.training) for module in net.modules()]
    with session(net) as run:
        return run.once(run.example(x), Regime(flags, norms=scaled((affine or {}).get)))


@pytest.mark.parametrize("make", [Mlp, Conv, Low])
def test_in_train_mode_it_is_evaluation_bit_for_bit(make):
    torch.manual_seed(0)
    net, x = still(make()), torch.randn(INPUTS[make])
    before = {name: t.clone() for name, t in net.named_buffers()}
    expected = net.eval()(x)
    assert torch.equal(steered(net.train(), x), expected)
    for name, t in net.named_buffers():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(t, before[name])
    assert not torch.equal(net(x), expected)  # without steering it is another thing


def test_the_affine_map_is_what_new_parameters_would_do():
    torch.manual_seed(0)
    net, x = still(Conv()).eval(), torch.randn(INPUTS[Conv])
    scale, offset = torch.rand(8) + 0.5, torch.randn(8)
    found = steered(net, x, {"second": Affine(scale, offset)})
    edit = Edit(
        {"second.weight": net.second.weight * scale, "second.bias": net.second.bias + offset}
    )
    with edit.standing_in(net):
        torch.testing.assert_close(found, net(x), rtol=1e-6, atol=1e-6)


def test_norms_without_parameters_and_by_hand_are_steered_too():
    torch.manual_seed(0)
    net, x = still(ByHand()).eval(), torch.randn(5, 6)
    plain = net(x)
    affine = Affine(torch.full((6,), 2.0), torch.ones(6))
    assert not torch.allclose(steered(net, x, {"m": affine}), plain)
    bare = nn.Sequential(LastDim(6, affine=False)).eval()
    y = torch.randn(4, 5, 6)
    torch.testing.assert_close(steered(bare, y, {"0": affine}), 2 * bare(y) + 1)
