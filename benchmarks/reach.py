"""How many of the norms that noise reaches directly are predicted from one example, without data.

Library models with fresh weights, statistics settled by passes over normal numbers of 64 × 64, an
example of eight samples of the same.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator

import timm
import torch
import torchvision
from rich.console import Console
from torch import nn

import varshift as vs
from benchmarks.lines import Line, asked

__all__ = ["LIBRARY", "run"]


def _timm(name: str, **options: object) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=10, **options)


def _torchvision(name: str, **options: object) -> Callable[[], nn.Module]:
    return lambda: getattr(torchvision.models, name)(num_classes=10, **options)


LIBRARY: dict[str, Callable[[], nn.Module]] = {
    "torchvision efficientnet_b0": _torchvision("efficientnet_b0"),
    "torchvision densenet121, drop 0.2": _torchvision("densenet121", drop_rate=0.2),
    "torchvision efficientnet_v2_s": _torchvision("efficientnet_v2_s"),
    "timm resnet26, drop path 0.1": _timm("resnet26", drop_path_rate=0.1, zero_init_last=False),
    "timm resnet26, drop block 0.1": _timm("resnet26", drop_block_rate=0.1, zero_init_last=False),
    "timm mobilenetv3_small_100, drop path 0.2": _timm("mobilenetv3_small_100", drop_path_rate=0.2),
    "timm mnasnet_100, drop path 0.2": _timm("mnasnet_100", drop_path_rate=0.2),
    "timm regnety_002, drop path 0.1": _timm("regnety_002", drop_path_rate=0.1),
    "timm efficientnet_lite0, drop path 0.2": _timm("efficientnet_lite0", drop_path_rate=0.2),
    "timm repvgg_a0, drop path 0.1": _timm("repvgg_a0", drop_path_rate=0.1),
}


def run(console: Console, only: str = "") -> Iterator[Line]:
    """One line a model, with why others have no figure."""
    for name, make in LIBRARY.items():
        if asked(name, only):
            yield _line(name, make)


def _line(name: str, make: Callable[[], nn.Module]) -> Line:
    torch.manual_seed(0)
    data = list(torch.randn(24, 3, 64, 64).split(8))
    net = settled(make(), data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = vs.predict(net, example=data[0])
    hit = [norm.path for norm in found.structure.norms if _direct(found, norm.path)]
    why = Counter(
        found.skipped[path].partition(": pass")[0] for path in hit if path in found.skipped
    )
    cells = {
        "hit": str(len(hit)),
        "with a figure": str(sum(path in found.sites for path in hit)),
        "why not": "; ".join(f"{count}: {reason}" for reason, count in why.most_common(2)),
    }
    return Line("", name, cells)


def _direct(found: vs.Prediction, path: str) -> bool:
    return any(route.norm == path for route in found.structure.direct())


def settled(net: nn.Module, data: list[torch.Tensor], rounds: int = 3) -> nn.Module:
    """Statistics that are a plain average over some passes with noise on."""
    net.train()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    with torch.no_grad():
        for _ in range(rounds):
            for batch in data:
                net(batch)
    return net
