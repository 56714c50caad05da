"""A repair is kept because it was measured to help on held-out samples, and can be taken back."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import varshift as vs

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
bunch = load_digits()
x, y = torch.tensor(bunch.data) / 16, torch.tensor(bunch.target)
loader = [(x[i : i + 50], y[i : i + 50]) for i in range(0, 1000, 50)]


def trained(drop_p):
    """A perceptron with dropout right before each norm."""
    net = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Dropout(drop_p), nn.BatchNorm1d(64),
        nn.Linear(64, 64), nn.ReLU(), nn.Dropout(drop_p), nn.BatchNorm1d(64), nn.Linear(64, 10),
    )  # fmt: skip
    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    for _ in range(5):
        for images, labels in loader:
            optimiser.zero_grad()
            functional.cross_entropy(net(images), labels).backward()
            optimiser.step()
    return net


for drop_p in (0.75, 0.0):
    net = trained(drop_p)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    repair = vs.repair(net, loader, held_out=[(x[1000:], y[1000:])])
    print(f"drop {drop_p}: accepted {repair.accepted}")
    assert repair.accepted == (drop_p > 0)  # without dropout there is nothing to repair
    if repair.accepted:
        print(f"held-out loss {repair.before.loss:.2f} → {repair.after.loss:.2f}")
        assert repair.after.loss < repair.before.loss
        assert not all(torch.equal(before[k], v) for k, v in net.state_dict().items())
        repair.undo()
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
