"""PyTorch Geometric: models, convolutions and norms that hold batch norms, on a random graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric import nn as pyg
from torch_geometric.nn.models import (
    GNNFF,
    GPSE,
    LINKX,
    MLP,
    PMLP,
    DeepGCNLayer,
    GroupAddRev,
    Polynormer,
    SGFormer,
)

from benchmarks.zoo.specimen import Specimen, revived, tested

__all__ = ["families", "make"]

WIDTH, NODES = 16, 12  # features of a node, nodes of a graph

Forward = Callable[[nn.Module, Any], Any]


def _plain(model: nn.Module, graph: dict[str, Tensor]) -> Any:
    return model(graph["x"], graph["edge_index"])


def _spent(model: nn.Module, graph: dict[str, Tensor]) -> Any:
    """A reversible network frees its input, since it can make it again."""
    return model(graph["x"].clone(), graph["edge_index"])


def _nodes(model: nn.Module, graph: dict[str, Tensor]) -> Any:
    return model(graph["x"])


def _linked(model: nn.Module, graph: dict[str, Tensor]) -> Any:
    return model(graph["x"], graph["edge_index"], graph["edge_attr"])


def _batched(model: nn.Module, graph: dict[str, Tensor]) -> Any:
    return model(graph["x"], graph["edge_index"], graph["batch"])


def _typed(model: nn.Module, graph: dict[str, Tensor]) -> Any:
    return model(graph["x"], graph["batch"] % 2)


def _gpse(model: nn.Module, graph: dict[str, Tensor]) -> Any:
    from torch_geometric.data import Data

    return model(Data(**graph, y=graph["x"][:, :4], y_graph=torch.zeros(1, 11)))


def _placed(model: nn.Module, graph: dict[str, Tensor]) -> Any:
    return model(graph["x"], graph["pos"], graph["batch"])


def _pointed(model: nn.Module, graph: dict[str, Tensor]) -> Any:
    return model(graph["x"], graph["pos"], graph["edge_index"])


def _forces(model: nn.Module, graph: dict[str, Tensor]) -> Any:
    return model(graph["z"], graph["pos"], graph["batch"])


class Stack(nn.Module):
    """Graph layers in a row."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Each on what the one before gave."""
        for layer in self.layers:
            x = layer(x, edges)
        return x


class Noisy(nn.Module):
    """Dropout before a norm that a graph network would hold."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.drop, self.linear, self.norm = nn.Dropout(0.3), nn.Linear(WIDTH, WIDTH), norm

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """Dropout, weights, norm."""
        return self.norm(self.linear(self.drop(x)), *more)


def _basic(kind: str, jump: str | None = None, **options: Any) -> Callable[[], nn.Module]:
    return lambda: getattr(pyg, kind)(
        *(WIDTH, WIDTH, 4, 4), norm="batch_norm", dropout=0.3, jk=jump, **options
    )


def _pna() -> nn.Module:
    options = {"aggregators": ["mean", "max"], "scalers": ["identity", "amplification"]}
    return _basic("PNA", deg=torch.tensor([0, 4, 8, 4]), **options)()


def _deep(block: str) -> Callable[[], nn.Module]:
    return lambda: Stack(
        *(
            DeepGCNLayer(
                pyg.GENConv(WIDTH, WIDTH, norm="batch", num_layers=2),
                nn.BatchNorm1d(WIDTH),
                nn.ReLU(),
                block=block,
                dropout=0.3,
            )
            for _ in range(3)
        )
    )


def _reversible() -> nn.Module:
    inner = DeepGCNLayer(
        pyg.SAGEConv(8, 8), nn.BatchNorm1d(8), nn.ReLU(), block="res+", dropout=0.3
    )
    return Stack(GroupAddRev(inner, num_groups=2))


def _transformer(attention: str) -> Callable[[], nn.Module]:
    return lambda: Stack(
        *(
            pyg.GPSConv(WIDTH, pyg.GCNConv(WIDTH, WIDTH), 2, 0.3, norm="batch_norm", attn_type=kind)
            for kind in (attention, attention)
        )
    )


NETS: dict[str, tuple[Callable[[], nn.Module], Forward]] = {
    **{
        f"{kind}{', jump ' + jump if jump else ''}": (_basic(kind, jump), _plain)
        for kind in ("GCN", "GraphSAGE", "GIN", "GAT", "EdgeCNN")
        for jump in (None, "cat", "max", "lstm")
    },
    "GAT, version 2": (_basic("GAT", v2=True), _plain),
    "GCN, norm after activation": (_basic("GCN", act_first=True), _plain),
    "PNA": (_pna, _plain),
    "MLP": (lambda: MLP([WIDTH, 32, 32, 4], dropout=0.3), _nodes),
    "MLP, bias, norm last": (
        lambda: MLP([WIDTH, 32, 32, 4], dropout=[0.1, 0.2, 0.3], act_first=True, plain_last=False),
        _nodes,
    ),
    "PMLP": (lambda: PMLP(WIDTH, 16, 4, 4, dropout=0.3), _plain),
    "LINKX": (
        lambda: LINKX(4 * NODES, WIDTH, 16, 4, 3, num_edge_layers=2, dropout=0.3),
        _plain,
    ),
    "Polynormer": (
        lambda: Polynormer(WIDTH, 16, 4, local_layers=3, global_layers=2, post_bn=True),
        _batched,
    ),
    "SGFormer": (lambda: SGFormer(WIDTH, 16, 4, gnn_num_layers=3), _batched),
    "GPSE": (lambda: GPSE(dim_in=WIDTH, dim_inner=16, dropout=0.3, num_node_targets=4), _gpse),
    **{f"DeepGCN {block}": (_deep(block), _plain) for block in ("res+", "res", "plain")},
    "reversible": (_reversible, _spent),
    **{
        f"graph transformer, {kind}": (_transformer(kind), _plain)
        for kind in ("multihead", "performer")
    },
    "CGConv": (
        lambda: Stack(*(pyg.CGConv(WIDTH, batch_norm=True) for _ in range(3))),
        _plain,
    ),
    "BatchNorm": (lambda: Noisy(pyg.BatchNorm(WIDTH)), _nodes),
    "HeteroBatchNorm": (lambda: Noisy(pyg.HeteroBatchNorm(WIDTH, 2)), _typed),
    "DiffGroupNorm": (lambda: Noisy(pyg.DiffGroupNorm(WIDTH, 3)), _nodes),
    "InstanceNorm": (lambda: Noisy(pyg.InstanceNorm(WIDTH, track_running_stats=True)), _nodes),
    "XConv": (lambda: pyg.XConv(WIDTH, WIDTH, dim=3, kernel_size=4), _placed),
    "PointNetConv": (
        lambda: pyg.PointNetConv(
            MLP([WIDTH + 3, 16, 16], dropout=0.3), MLP([16, 16, 16], dropout=0.3)
        ),
        _pointed,
    ),
    "DynamicEdgeConv": (
        lambda: pyg.DynamicEdgeConv(MLP([2 * WIDTH, 16, 16], dropout=0.3), k=4),
        _nodes,
    ),
    "GNNFF": (lambda: GNNFF(8, 8, 2), _forces),
}


def families() -> dict[str, str]:
    """By name, the class: what is before the comma."""
    return {name: name.partition(",")[0] for name in NETS}


def make(name: str) -> Specimen:
    """With dropout of 0.3 wherever it is taken."""
    build, forward = NETS[name]
    told = f"4 graphs of {NODES} nodes"
    return tested(Specimen(revived(build()), graphs, forward, told))


def graphs(count: int) -> dict[str, Tensor]:
    """So many random graphs as one; each node has its four nearest in a ring as neighbours."""
    nodes = torch.arange(NODES)
    ring = torch.stack([torch.stack([nodes, (nodes + k) % NODES]) for k in (1, 2, -1, -2)], 1)
    edges = torch.cat([ring.reshape(2, -1) + NODES * graph for graph in range(count)], 1)
    total = NODES * count
    return {
        "x": torch.randn(total, WIDTH),
        "z": torch.randint(1, 9, (total,)),
        "pos": torch.randn(total, 3),
        "edge_index": edges,
        "edge_attr": torch.randn(edges.shape[1], 4),
        "batch": torch.arange(count).repeat_interleave(NODES),
    }
