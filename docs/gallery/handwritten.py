"""Noise written by hand has no class name to look for; it is found by the numbers it draws."""

import torch
from torch import nn

import varshift as vs


class ByHand(nn.Module):
    """A mask from `torch.rand`, and no dropout layer anywhere."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(8, 32), nn.BatchNorm1d(32)
        self.second, self.last = nn.Linear(32, 32), nn.BatchNorm1d(32)

    def forward(self, x):
        """One route to `last` through weights; `norm` is clean."""
        x = self.norm(self.first(x)).relu()
        if self.training:
            x = x * (torch.rand_like(x) < 0.8) / 0.8
        return self.last(self.second(x))


torch.manual_seed(0)
net, example = ByHand(), torch.randn(64, 8)
structure = vs.inspect(net, example)
(noise,) = [noise for noise in structure.noises if noise.active]
(route,) = structure.routes
print(f"drop_p {noise.drop_p:.2f}, τ {noise.tau:.2f}, → {route.norm} ({route.placement})")
assert abs(noise.drop_p - 0.2) < 1e-6
assert abs(noise.tau - 0.25) < 1e-6
assert (route.norm, route.placement) == ("last", "b")
assert structure.prove(route).moved  # reseed that one operation, and the norm's input moves

assert not [m for m in net.modules() if "drop" in type(m).__name__.lower()]
