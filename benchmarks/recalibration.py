"""Recalibrate against a plain evaluation pass, `update_bn` and fvcore: time, and error."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

import varshift as vs
from benchmarks.nets import mlp, resnet18_cifar, resnet50, trained_a_little
from benchmarks.timing import interleaved, ratio
from varshift._engine.sites import norm_handles

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fvcore.nn.precise_bn import update_bn_stats

AIMS = {"ResNet-50 224": 1.25, "ResNet-18 CIFAR": 1.6}


def run(console: Console) -> None:
    """Print one table per network, the MLP of PEERS.md in random and in class-sorted order."""
    torch.manual_seed(0)
    x = torch.randn(8192, 64)
    one(console, "MLP drop 0.5, batch 256", mlp(), list(x.split(256)), rounds=5)
    ordered = x[x[:, 0].argsort()]
    one(console, "MLP drop 0.5, sorted batches", mlp(), list(ordered.split(256)), rounds=3)
    images = torch.randn(512, 3, 32, 32)
    one(console, "ResNet-18 CIFAR", resnet18_cifar(), list(images.split(64)), rounds=3)
    large = torch.randn(64, 3, 224, 224)
    one(console, "ResNet-50 224", resnet50(), list(large.split(8)), rounds=3)


def one(console: Console, title: str, net: nn.Module, data: list[Tensor], rounds: int) -> None:
    """Time every way over the same samples and compare its statistics with the float64 truth."""
    trained_a_little(net, data[:4])
    ways: dict[str, tuple[nn.Module, Callable[[nn.Module], object]]] = {
        "plain evaluation pass": (net, lambda model: _plain(model, data)),
        "torch update_bn (dropout on)": (net, lambda model: update_bn(data, model)),
        "fvcore update_bn_stats, train mode": (net, lambda model: _fvcore(model, data, False)),
        "fvcore update_bn_stats, noise off": (net, lambda model: _fvcore(model, data, True)),
        "varshift.recalibrate": (net, lambda model: vs.recalibrate(model, data)),
    }
    copies = {name: copy.deepcopy(model) for name, (model, _) in ways.items()}
    work = {name: _bound(run_, copies[name]) for name, (_, run_) in ways.items()}
    timings = interleaved(work, rounds)
    truth = _truth(net, data)
    table = Table(
        title=f"{title}: {sum(map(len, data))} samples, {torch.get_num_threads()} threads"
    )
    for heading in ("way", "time", "× plain (min–max)", "worst error", "median error"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for name, model in copies.items():
        middle, low, high = ratio(timings, name, "plain evaluation pass")
        worst, median = ("—", "—") if name.startswith("plain") else _errors(model, truth)
        span = f"{middle:.2f} ({low:.2f}–{high:.2f})"
        table.add_row(name, f"{timings[name].median:.3f} s", span, worst, median)
    console.print(table)
    if title in AIMS:
        console.print(f"aim for recalibrate: ≤ {AIMS[title]:.2f} × plain\n")


def _bound(run: Callable[[nn.Module], object], model: nn.Module) -> Callable[[], object]:
    return lambda: run(model)


def _plain(model: nn.Module, data: list[Tensor]) -> None:
    model.eval()
    with torch.no_grad():
        for batch in data:
            model(batch)
    model.train()


def _fvcore(model: nn.Module, data: list[Tensor], noise_off: bool) -> None:
    model.train()
    for module in model.modules():
        if noise_off and isinstance(module, nn.Dropout):
            module.eval()
    with torch.no_grad():
        update_bn_stats(model, data, num_iters=len(data))
    model.train()


def _truth(net: nn.Module, data: list[Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Float64, evaluation mode, all samples in one batch: each norm is set before it runs."""
    exact = copy.deepcopy(net).double().eval()
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for path, module in exact.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(_setter(path, found))
    with torch.no_grad():
        exact(torch.cat(data).double())
    return found


def _setter(path: str, found: dict[str, tuple[Tensor, Tensor]]) -> Callable[..., None]:
    def set_statistics(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        values = inputs[0].transpose(0, 1).flatten(1)
        found[path] = (values.mean(1), values.var(1))
        norm.running_mean.copy_(found[path][0])
        norm.running_var.copy_(found[path][1])

    return set_statistics


def _errors(model: nn.Module, truth: dict[str, tuple[Tensor, Tensor]]) -> tuple[str, str]:
    """Largest, and median over norms of the largest, relative error of the running variance."""
    handles = norm_handles(model)
    errors = [
        float(((handles[path].running_var - var).abs() / var.clamp(min=1e-12)).max())
        for path, (_, var) in truth.items()
    ]
    return f"{max(errors):.1e}", f"{sorted(errors)[len(errors) // 2]:.1e}"
