"""Slips in the paper and in the note this project starts from, each with its calculation.

Nothing here was trained: every figure follows from what was printed, or from a closed form.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from varshift._draw.document import Table
from varshift.reproduce.experiments import figure4, table3, table4, table6
from varshift.reproduce.experiments.figure4_claims import RATES
from varshift.reproduce.nets import PAPER, Placing, build
from varshift.reproduce.tables import table
from varshift.theory import (
    d_cos2,
    d_cos2_mean,
    d_cos2_of_width,
    dropout_ratio,
    min_width,
    tau_of,
    tau_of_beta,
    uout_ratio,
    width_ratio,
)

__all__ = ["Slip", "run_deviation", "slip_table", "slips"]

RUNS = 5
# d·cos²θ = 0.0214d − 1.9 of WRN on CIFAR-10, read from the paper's Figure 3.
WRN_FIT = (0.0214, -1.9)
FIGURE_4, TABLE_3 = figure4.PRINTED, table3.PRINTED
# Millions of parameters.
TABLE_2 = {
    ("C10", "PreResNet"): 1.70,
    ("C10", "ResNeXt"): 34.43,
    ("C10", "WRN"): 36.48,
    ("C10", "DenseNet"): 0.77,
    ("C100", "PreResNet"): 1.77,
    ("C100", "ResNeXt"): 34.52,
    ("C100", "WRN"): 36.54,
    ("C100", "DenseNet"): 0.80,
}


@dataclass(frozen=True)
class Slip:
    """Where it stands, what is said there, and what the calculation gives."""

    where: str
    said: str
    found: str


def slips() -> Iterator[Slip]:
    """All of them; takes a second or two, for the paper's networks are built and counted."""
    yield _beta()
    yield _centred()
    yield _orthogonal()
    yield _wide()
    yield _shape()
    yield _matched()
    yield _parameters()
    yield _layers()
    yield _outperform()
    yield _two_baselines()
    yield from _within_noise()
    yield _recovered()


def _ratio(beta: float) -> float:
    return float(uout_ratio(torch.zeros(1).double(), torch.ones(1).double(), beta))


def _beta() -> Slip:
    return Slip(
        "note, last line",
        "β = 0.01 gives 300/301 = 0.9966777",
        f"3/(3 + β²) is {_ratio(0.01):.7f} = 30000/30001 at β = 0.01; 300/301 = {_ratio(0.1):.7f} "
        "belongs to β = 0.1",
    )


def _centred() -> Slip:
    ratio = float(uout_ratio(torch.ones(1), torch.ones(1), 1.0))
    return Slip(
        "paper, eq. for Uout; note",
        "Uout shifts by 3/(3 + β²)",
        "Var(X) is put in place of E[X²], so this needs mean c = 0. With the mean it is "
        f"v/(v + (c² + v)β²/3): at c² = v, β = 1 that is {ratio:.3f}, not {_ratio(1.0):.3f}",
    )


def _orthogonal() -> Slip:
    random = [
        float(d_cos2(torch.randn(4096, d, generator=torch.Generator().manual_seed(d))).mean())
        for d in (16, 256, 4096)
    ]
    told = ", ".join(f"{value:.2f}" for value in random)
    return Slip(
        "note, on d·cos²θ",
        "random directions are nearly orthogonal in many dimensions, hence d·cos²θ grows with d",
        f"E[d·cos²θ] = {d_cos2_mean(4096):g} at every d: cos²θ falls as 1/d. 4,096 random filters "
        f"of d = 16, 256, 4096 give {told}. Growth belongs to trained filters (Figure 3)",
    )


def _wide() -> Slip:
    mean, var, rho, tau = 0.4, 0.34, 0.1, tau_of(0.5)  # c and v about those of a ReLU on N(0, 1)

    def ratio(rho: float, of_filters: float) -> str:
        return f"{width_ratio(mean, var, rho, tau, of_filters):.3f}"

    alone = {ratio(0.0, d_cos2_of_width(d, *WRN_FIT)) for d in (64, 4096, 10**9)}
    random = {ratio(rho, d_cos2_mean(d)) for d in (64, 4096, 10**9)}
    needed = min_width(mean, var, rho, tau, *WRN_FIT, 0.95)
    with torch.device("meta"):
        net = build(PAPER["WRN"], Placing(), channels=3, classes=10, seed=0)
    widest = max(layer.weight[0].numel() for layer in net.modules() if isinstance(layer, nn.Conv2d))
    return Slip(
        "paper, on Δ(p, d); note",
        "d → ∞ makes Δ → 1: the network is to be as wide as possible",
        "Δ depends on d through ρ(d·cos²θ − 1) alone. At c = 0.4, v = 0.34, drop 0.5 it is "
        f"{' … '.join(sorted(alone))} at every width if ρ = 0, and {' … '.join(sorted(random))} "
        "where d·cos²θ = 1, the average of random filters. By the paper's own Figure 3 PreResNet "
        "is flat. With WRN's fit, "
        f"{WRN_FIT[0]}d − {-WRN_FIT[1]}, and ρ = {rho}, Δ ≥ 0.95 takes d = {needed:,.0f}; its "
        f"widest filters have {widest:,} and Δ = {ratio(rho, d_cos2_of_width(widest, *WRN_FIT))}",
    )


def _shape() -> Slip:
    mean, var = torch.tensor([0.5]), torch.tensor([1.0])
    ratio = float(dropout_ratio(mean, var, tau_of(0.25)))
    same = float(uout_ratio(mean, var, 1.0))
    return Slip(
        "paper, on Uout; note",
        "Uout and Gaussian dropout are variance-stable, dropout is not",
        f"the shift knows τ alone: dropout 0.25 and Uout β = 1 both have τ = 1/3 and both give "
        f"Δ = {ratio:.4f} and {same:.4f} at c = 0.5, v = 1. Less noise shifts less",
    )


def _matched() -> Slip:
    told = ", ".join(
        f"{beta:g} ↔ {tau_of_beta(beta) / (1 + tau_of_beta(beta)):.2g}"
        for beta in (0.1, 0.2, 0.3, 0.5, 1.0)
    )
    return Slip(
        "paper, Table 6",
        "Uout with β = 0.1 … 0.5 beside dropout with drop 0.1 … 0.5",
        f"β carries as much noise as the drop_p of equal τ = β²/3: {told}",
    )


def _parameters() -> Slip:
    net = build(PAPER["PreResNet"], Placing(), channels=3, classes=100, seed=0)
    count = sum(weight.numel() for weight in net.parameters()) / 1e6
    ten, hundred = (TABLE_2[data, "PreResNet"] for data in ("C10", "C100"))
    return Slip(
        "paper, Table 2",
        f"PreResNet has {hundred} M parameters on CIFAR-100",
        f"{count:.3f} M: 90 more classes cost 90·(256 + 1) = 0.023 M beside {ten:.2f} M. The other "
        "seven entries agree within 1 %",
    )


def _layers() -> Slip:
    net = build(PAPER["PreResNet"], Placing(), channels=3, classes=10, seed=0)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    in_line = 1 + 3 * 3 * PAPER["PreResNet"].blocks + 1
    return Slip(
        "paper, its networks",
        "PreResNet-110",
        f"54 bottlenecks are {in_line} layers deep and have {norms} norms; 110 would be 54 blocks "
        "of two convolutions",
    )


def _outperform() -> Slip:
    errors = FIGURE_4["C100", "WRN", "b"][0]
    at = dict(zip(RATES, errors, strict=True))
    return Slip(
        "paper, on Figure 4; note",
        "WRN with Dropout-(b) outperforms its baseline at every rate up to 0.5",
        f"on CIFAR-100 at 0.5 it does not: {at[0.5]:.2f} % against {at[0.0]:.2f} % without",
    )


def _two_baselines() -> Slip:
    gaps = _baseline_gaps()
    data, net = max((key for key in gaps if key[0] == "C10"), key=lambda key: gaps[key])
    (first, *_), (second, *_) = (FIGURE_4[data, net, place][0] for place in ("a", "b"))
    told = ", ".join(f"{run_deviation(data):.2f} ({data})" for data in ("C10", "C100"))
    return Slip(
        "paper, Figure 4",
        f"{net} without dropout on CIFAR-10: {first:.2f} % in (a), {second:.2f} % in (b)",
        f"it is the same network: Table 3 has {TABLE_3['C10', net][0]:.2f} %. Such pairs of "
        f"{RUNS}-run means put the deviation of one run at {told} points",
    )


def _baseline_gaps() -> dict[tuple[str, str], float]:
    """By data and network: how far the two panels' errors without dropout lie apart."""
    return {
        (data, net): abs(errors[0] - FIGURE_4[data, net, "b"][0][0])
        for (data, net, place), (errors, _) in FIGURE_4.items()
        if place == "a"
    }


def run_deviation(data: str) -> float:
    """Of one run's test error, in points: from pairs of means of RUNS runs of one network."""
    gaps = [gap for (there, _), gap in _baseline_gaps().items() if there == data]
    return math.sqrt(statistics.fmean(gap * gap for gap in gaps) / (2 / RUNS))


def _within_noise() -> Iterator[Slip]:
    for name, printed, what in (
        ("Table 4", table4.PRINTED, "dropout before the classifier"),
        ("Table 6", table6.PRINTED, "Uout"),
    ):
        better, clear, total = 0, 0, 0
        for (data, _), errors in printed.items():
            # Two means of RUNS runs each: the error of their difference, and two of these.
            bound = 2 * run_deviation(data) * math.sqrt(2 / RUNS)
            gains = [errors[0] - error for error in errors[1:]]
            total += len(gains)
            better += sum(gain > 0 for gain in gains)
            clear += sum(gain > bound for gain in gains)
        yield Slip(
            f"paper, {name}",
            f"{what} improves on the baseline",
            f"{better} of {total} entries do, {clear} by more than two standard errors of two "
            f"means of {RUNS} runs (deviation of a run from Figure 4, as above)",
        )


def _recovered() -> Slip:
    shares = [
        (noisy - adjusted) / (noisy - base) for base, noisy, adjusted, _, _ in TABLE_3.values()
    ]
    beside = [
        (noisy - adjusted) / (noisy - base)
        for (_, net), (base, _, _, noisy, adjusted) in TABLE_3.items()
        if net != "WRN"
    ]
    return Slip(
        "paper, Table 3",
        "adjusting helps (no share is given)",
        f"in all 16 cases; it wins back {100 * min(shares):.0f} to {100 * max(shares):.0f} % "
        f"(median {100 * statistics.median(shares):.0f} %) of what (a) lost, and "
        f"{100 * min(beside):.0f} to {100 * max(beside):.0f} % of (b) outside WRN",
    )


def slip_table(*, wide: bool = False) -> Table:
    """All slips as a table; needs no records."""
    rows = [(slip.where, slip.said, slip.found) for slip in slips()]
    return table("Slips, recalculated", ("where", "said", "calculation"), rows, wide=wide)
