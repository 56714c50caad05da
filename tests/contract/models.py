"""A dozen small models with noise before their norms, each written as users write them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "MODULES",
    "Depth",
    "Dicts",
    "DropPath",
    "Functional",
    "Graph",
    "GraphNet",
    "Mask",
    "Residual",
    "Reused",
    "frozen",
]


class DropPath(nn.Module):
    """One draw for a whole sample, by hand."""

    def __init__(self, drop_p: float) -> None:
        super().__init__()
        self.drop_p = drop_p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep_p = 1 - self.drop_p
        kept = x.new_empty(len(x), *(1,) * (x.ndim - 1)).bernoulli_(keep_p)
        return x * kept / keep_p


class Residual(nn.Module):
    """Sample noise on a branch, with weights on the way to the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.branch, self.path = nn.Linear(6, 6), DropPath(0.3)
        self.linear, self.norm, self.head = nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.linear(x + self.path(self.branch(x)))))


class Reused(nn.Module):
    """One norm, run twice a pass."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.linear = nn.Dropout(0.3), nn.Linear(4, 4)
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.linear(self.norm(self.drop(x)))))


class Functional(nn.Module):
    """Noise and norm as functions, on buffers that have names of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("m", torch.zeros(4))
        self.register_buffer("v", torch.ones(4))
        self.linear, self.tap, self.head = nn.Linear(6, 4), nn.Identity(), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tap(self.linear(functional.dropout(x, 0.3, self.training)))
        return self.head(functional.batch_norm(x, self.m, self.v, training=self.training))


class Mask(nn.Module):
    """Dropout by hand, from uniform numbers and a comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x * (torch.rand_like(x) > 0.3) / 0.7
        return self.head(self.norm(x))


class Depth(nn.Module):
    """Stochastic depth that decides in Python, a whole batch at once."""

    def __init__(self) -> None:
        super().__init__()
        self.branch, self.norm, self.head = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or torch.rand(()).item() > 0.5:
            x = x + 3 * self.branch(x)
        return self.head(self.norm(x))


class Dicts(nn.Module):
    """Takes its inputs by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.linear = nn.Dropout(0.3), nn.Linear(6, 4)
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, values: Tensor, gain: Tensor) -> Tensor:
        return self.head(self.norm(self.linear(self.drop(values * gain))))


class Graph:
    """Node values and edges in one object, with the methods that PyG's Data has."""

    def __init__(self, x: Tensor, edges: Tensor) -> None:
        self.x, self.edges = x, edges

    def to_dict(self) -> dict[str, Tensor]:
        return {"x": self.x, "edges": self.edges}

    def to(self, device: Any) -> Graph:
        return Graph(self.x.to(device), self.edges.to(device))

    def clone(self) -> Graph:
        return Graph(self.x.clone(), self.edges.clone())


class GraphNet(nn.Module):
    """Each node adds up its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.linear = nn.Dropout(0.3), nn.Linear(6, 4)
        self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, graph: Graph) -> Tensor:
        source, target = graph.edges
        x = self.drop(graph.x)
        return self.head(self.norm(self.linear(x.index_add(0, target, x[source]))))


def frozen() -> nn.Module:
    """A model in training whose first norm is kept in eval mode."""
    net = nn.Sequential(
        *(nn.Dropout(0.3), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU()),
        *(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)),
    )
    net[2].eval()
    return net


def _convolution(noise: nn.Module) -> nn.Module:
    convolution = nn.Conv2d(2, 4, 3, stride=2, padding=1)
    return nn.Sequential(
        *(noise, convolution, nn.BatchNorm2d(4)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    )


MODULES = {
    "direct": lambda: nn.Sequential(nn.Dropout(0.4), nn.BatchNorm1d(4), nn.Linear(4, 3)),
    "linear": lambda: nn.Sequential(
        nn.Dropout(0.3), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
    ),
    "conv": lambda: _convolution(nn.Dropout(0.3)),
    "channel": lambda: _convolution(nn.Dropout2d(0.3)),
    "sample": Residual,
    "through": lambda: nn.Sequential(
        *(nn.Dropout(0.5), nn.BatchNorm1d(4), nn.ReLU()),
        *(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)),
    ),
    "frozen": frozen,
    "reused": Reused,
    "functional": Functional,
    "graph": GraphNet,
    "dicts": Dicts,
    "mask": Mask,
    "depth": Depth,
    "several": lambda: nn.Sequential(
        *(nn.Dropout(0.2), nn.Linear(6, 4), nn.Dropout(0.3)),
        *(nn.BatchNorm1d(4), nn.Linear(4, 3)),
    ),
}
