"""d·cos²θ of random filters averages 1 at every d; filters that were trained leave that null."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from varshift.theory import d_cos2, d_cos2_mean, null_band_of_mean

# Random directions: the angle falls as 1/d, and d·cos²θ does not grow.
for d in (16, 256, 4096):
    filters = torch.randn(2000, d, generator=torch.Generator().manual_seed(d))
    average = d_cos2(filters).mean().item()
    low, high = null_band_of_mean(d, filters=2000, level=0.9999)
    print(f"random, d {d:4}: {average:.3f} in [{low:.3f}, {high:.3f}]")
    assert low < average < high
    assert d_cos2_mean(d) == 1

# Trained: a perceptron on the digits. Its second layer reads ReLU outputs, which are correlated.
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
bunch = load_digits()
x, y = torch.tensor(bunch.data) / 16, torch.tensor(bunch.target)
net = nn.Sequential(
    nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
)
before = d_cos2(net[2].weight).mean().item()
optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
for _ in range(8):
    for chosen in torch.randperm(len(x)).split(128):
        optimiser.zero_grad()
        functional.cross_entropy(net(x[chosen]), y[chosen]).backward()
        optimiser.step()
after = d_cos2(net[2].weight).mean().item()
low, high = null_band_of_mean(256, filters=256, level=0.9999)
print(f"second layer, d 256: fresh {before:.2f}, trained {after:.2f}, null [{low:.2f}, {high:.2f}]")
assert low < before < high
assert after > high
