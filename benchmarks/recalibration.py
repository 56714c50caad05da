"""Statistics re-estimated by `vs.recalibrate` and by what people use for it: time and error.

Times are over a plain evaluation pass of the same batches, which no way can do without. Errors are
those of `running_var` against a network that runs in float64, on all samples as one batch, each
norm set before the next: the worst channel of all norms, and the median norm's worst channel. A
deep network in float32 differs from that one by its own rounding. So the last line holds our
statistics against two passes in float64 over the activations that this very network has.

* *torch update_bn*: `torch.optim.swa_utils.update_bn`, with noise on, as it comes.
* *fvcore*: `update_bn_stats` as detectron2 calls it, and with dropout in evaluation mode.
* *AIMET, restated*: `reestimate_bn_stats` as its source has it (aimet_torch,
  `bn_reestimation.py`), for the package itself brings a quantiser along: all is in evaluation mode
  but the norms, at momentum 1, and each norm's batch statistics are averaged over the batches.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

import varshift as vs
from benchmarks.lines import Line, aimed, asked, seconds
from benchmarks.nets import mlp, resnet18_cifar, resnet50, trained_a_little
from benchmarks.stress.truth import passed
from benchmarks.timing import in_turn, ratio

TITLE = "Re-estimating statistics"
QUICK = "MLP"
PLAIN, OURS = "plain evaluation pass", "varshift.recalibrate"
EXACT = 1e-6  # what docs/recalibrate.md promises


@dataclass(frozen=True)
class Trial:
    """A network, its batches, and how often recalibrate may cost the plain pass."""

    make: Callable[[], nn.Module]
    data: Callable[[], list[Tensor]]
    most: float | None
    rounds: int


TRIALS = {
    "MLP with dropout 0.5, 8,192 samples in batches of 256": Trial(
        mlp, lambda: list(torch.randn(8192, 64).split(256)), 1.8, 7
    ),
    "the same MLP, batches sorted by one input": Trial(mlp, lambda: _sorted(), 1.8, 5),
    "ResNet-18 with a CIFAR stem and dropout 0.5, 64 images in batches of 16": Trial(
        resnet18_cifar, lambda: list(torch.randn(64, 3, 32, 32).split(16)), 1.15, 3
    ),
    "ResNet-50 with dropout 0.5, 8 images of 224 × 224 in batches of 4": Trial(
        resnet50, lambda: list(torch.randn(8, 3, 224, 224).split(4)), 1.25, 3
    ),
}


def run(console: Console, only: str = "") -> Iterator[Line]:
    """One table per network."""
    for title, trial in TRIALS.items():
        if asked(title, only):
            torch.manual_seed(0)
            yield from _lines(title, trial)


def _lines(title: str, trial: Trial) -> Iterator[Line]:
    data = trial.data()
    net = trained_a_little(trial.make(), data[:4])
    copies = {name: copy.deepcopy(net) for name in WAYS}
    work = {name: _bound(way, copies[name], data) for name, way in WAYS.items()}
    times = in_turn(work, trial.rounds)
    truth = _truth(net, data)
    for name, model in copies.items():
        cells = {"time": seconds(times[name])}
        if name == PLAIN:
            yield Line(title, name, cells)
            continue
        worst, middle = _errors(model, truth)
        spread = ratio(times, name, PLAIN)
        cells |= {"worst error": _error(worst), "median error": _error(middle)}
        aim = aimed(spread.median, trial.most if name == OURS else None)
        yield Line(title, name, {**cells, "× plain": spread}, **aim)
    own = {path: exact.var for path, exact in passed(copies[OURS], data).items()}
    worst, middle = _errors(copies[OURS], own)
    cells = {"worst error": _error(worst), "median error": _error(middle)}
    yield Line(title, f"{OURS}, of the activations it has", cells, **aimed(worst, EXACT))


def _sorted() -> list[Tensor]:
    x = torch.randn(8192, 64)
    return list(x[x[:, 0].argsort()].split(256))


def _error(value: float) -> str:
    if value > 0.1:
        return f"{100 * value:.0f} %"
    return f"{100 * value:.2g} %" if value > 1e-4 else f"{value:.1e}"


# The ways --------------------------------------------------------------------------------------


def _plain(model: nn.Module, data: list[Tensor]) -> None:
    model.eval()
    with torch.no_grad():
        for batch in data:
            model(batch)
    model.train()


def _fvcore(model: nn.Module, data: list[Tensor], noise_off: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn.precise_bn import update_bn_stats

    model.train()
    for module in model.modules():
        if noise_off and isinstance(module, nn.Dropout):
            module.eval()
    with torch.no_grad():
        update_bn_stats(model, data, num_iters=len(data))
    model.train()


def _aimet(model: nn.Module, data: list[Tensor]) -> None:
    norms = _norms(model)
    momentum = {path: norm.momentum for path, norm in norms.items()}
    sums: dict[str, tuple[Tensor, Tensor]] = {}
    model.eval()
    for norm in norms.values():
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        for batch in data:
            model(batch)
            for path, norm in norms.items():
                mean, var = sums.get(path, (0, 0))
                sums[path] = mean + norm.running_mean, var + norm.running_var
        for path, norm in norms.items():
            norm.running_mean.copy_(sums[path][0] / len(data))
            norm.running_var.copy_(sums[path][1] / len(data))
            norm.momentum = momentum[path]
    model.train()


WAYS: dict[str, Callable[[nn.Module, list[Tensor]], object]] = {
    PLAIN: _plain,
    "torch update_bn": lambda model, data: update_bn(data, model),
    "fvcore, as detectron2 calls it": lambda model, data: _fvcore(model, data, False),
    "fvcore, noise off": lambda model, data: _fvcore(model, data, True),
    "AIMET, restated": _aimet,
    OURS: lambda model, data: vs.recalibrate(model, data),
}


def _bound(
    way: Callable[[nn.Module, list[Tensor]], object], model: nn.Module, data: list[Tensor]
) -> Callable[[], object]:
    return lambda: way(model, data)


# The truth -------------------------------------------------------------------------------------


def _norms(model: nn.Module) -> dict[str, nn.modules.batchnorm._BatchNorm]:
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    }


def _truth(net: nn.Module, data: list[Tensor]) -> dict[str, Tensor]:
    """Variances in float64, evaluation mode, all samples in one batch."""
    exact = copy.deepcopy(net).double().eval()
    found: dict[str, Tensor] = {}
    for path, module in _norms(exact).items():
        module.register_forward_pre_hook(_setter(path, found))
    with torch.no_grad():
        exact(torch.cat(data).double())
    return found


def _setter(path: str, found: dict[str, Tensor]) -> Callable[..., None]:
    def set_statistics(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        values = inputs[0].transpose(0, 1).flatten(1)
        found[path] = values.var(1)
        norm.running_mean.copy_(values.mean(1))
        norm.running_var.copy_(found[path])

    return set_statistics


def _errors(model: nn.Module, truth: dict[str, Tensor]) -> tuple[float, float]:
    """Largest, and median over norms of the largest, relative error of the running variance."""
    norms = _norms(model)
    errors = sorted(
        float(((norms[path].running_var - var).abs() / var.clamp(min=1e-12)).max())
        for path, var in truth.items()
    )
    return errors[-1], errors[len(errors) // 2]
