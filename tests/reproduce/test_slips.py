"""Slips of the paper, each worked out a second time from nothing but what was printed."""

from __future__ import annotations

import math
import re
import statistics
from fractions import Fraction

import pytest
import torch
from scipy import stats

from varshift.reproduce.experiments.figure4 import PRINTED as FIGURE_4
from varshift.reproduce.experiments.figure4_claims import RATES
from varshift.reproduce.experiments.table3 import PRINTED as TABLE_3
from varshift.reproduce.experiments.table4 import PRINTED as TABLE_4
from varshift.reproduce.experiments.table6 import PRINTED as TABLE_6
from varshift.reproduce.nets import PAPER, Placing, build
from varshift.reproduce.slips import run_deviation, slip_table, slips

PRINTED_3 = """
C10 PreResNet 5.02 8.42 6.42 5.85 5.77
C10 ResNeXt 3.77 4.43 3.96 4.09 3.93
C10 WRN 3.97 4.59 4.20 3.81 3.71
C10 DenseNet 4.72 8.70 6.82 5.63 5.29
C100 PreResNet 23.73 32.45 26.57 25.50 25.20
C100 ResNeXt 17.78 19.04 18.24 19.33 19.09
C100 WRN 19.17 21.08 20.70 19.48 19.15
C100 DenseNet 22.58 31.45 26.98 25.00 23.92
"""
PRINTED_4 = """
C10 PreResNet 5.02 4.96 5.01 4.94 5.03
C10 ResNeXt 3.77 3.89 3.69 3.78 3.78
C10 WRN 3.97 3.90 4.00 3.93 3.84
C10 DenseNet 4.72 4.67 4.73 4.75 4.87
C100 PreResNet 23.73 23.43 23.65 23.45 23.76
C100 ResNeXt 17.78 17.77 17.99 17.97 18.26
C100 WRN 19.17 19.17 19.23 19.19 19.25
C100 DenseNet 22.58 21.86 22.41 22.41 23.49
"""
PRINTED_6 = """
C10 PreResNet 5.02 5.02 4.85 4.98 4.97
C10 ResNeXt 3.77 3.84 3.83 3.75 3.79
C10 WRN 3.97 3.96 3.80 3.90 3.84
C10 DenseNet 4.72 4.70 4.64 4.68 4.61
C100 PreResNet 23.73 23.73 23.62 23.53 23.77
C100 ResNeXt 17.78 17.74 17.77 17.83 17.86
C100 WRN 19.17 19.07 18.98 18.95 18.87
C100 DenseNet 22.58 22.39 22.57 22.35 22.30
"""


def table(text):
    """Errors by data and network, in exact hundredths."""
    rows = [line.split() for line in text.strip().splitlines()]
    return {(data, net): [Fraction(value) for value in rest] for data, net, *rest in rows}


@pytest.fixture(scope="module")
def told():
    return list(slips())


def found(told, where, word):
    """The one slip that stands there and says so."""
    (one,) = [slip for slip in told if where in slip.where and word in slip.said + slip.found]
    return one


@pytest.mark.parametrize(
    ("text", "held"), [(PRINTED_3, TABLE_3), (PRINTED_4, TABLE_4), (PRINTED_6, TABLE_6)]
)
def test_the_tables_are_as_printed(text, held):
    assert {key: list(map(float, row)) for key, row in table(text).items()} == {
        key: list(row) for key, row in held.items()
    }


def test_beta_of_the_note(told):
    assert 3 / (3 + Fraction(1, 100) ** 2) == Fraction(30000, 30001)
    assert 3 / (3 + Fraction(1, 10) ** 2) == Fraction(300, 301)
    slip = found(told, "note, last line", "300/301")
    assert f"{30000 / 30001:.7f} = 30000/30001 at β = 0.01" in slip.found
    assert f"300/301 = {300 / 301:.7f} belongs to β = 0.1" in slip.found


def test_uout_with_a_mean(told):
    """c² = v = 1, β = 1: 1/(1 + 2/3), not 3/4."""
    slip = found(told, "eq. for Uout", "needs mean c = 0")
    assert "that is 0.600, not 0.750" in slip.found


def test_random_filters_do_not_grow(told):
    """cos²θ ~ Beta(1/2, (d−1)/2); a mean over 4,096 of them is known to one hundredth each."""
    slip = found(told, "d·cos²θ", "orthogonal")
    assert "E[d·cos²θ] = 1 at every d" in slip.found
    means = list(map(float, re.search(r"give ([\d., ]+)\. Growth", slip.found)[1].split(", ")))
    for d, mean in zip((16, 256, 4096), means, strict=True):
        law = stats.beta(0.5, (d - 1) / 2)
        assert d * law.mean() == pytest.approx(1, rel=1e-12)
        assert abs(mean - 1) < 5 * d * law.std() / 4096**0.5 + 0.005


def test_width_alone_does_not_bring_the_ratio_to_one(told):
    """c = 0.4, v = 0.34, τ = 1, ρ = 0.1, d·cos²θ = 0.0214d − 1.9, in exact arithmetic."""
    second, var, rho = Fraction(16 + 34, 100), Fraction(34, 100), Fraction(1, 10)

    def ratio(rho, d_cos2):
        signal = var * (1 + rho * (d_cos2 - 1))
        return signal / (signal + second)

    def fit(d):
        return Fraction(214, 10_000) * d - Fraction(19, 10)

    slip = found(told, "Δ(p, d)", "as wide as possible")
    alone = f"{float(ratio(0, fit(4096))):.3f}"
    assert alone == f"{float(ratio(rho, 1)):.3f}" == f"{34 / 84:.3f}"
    told_twice = f"it is {alone} at every width if ρ = 0, and {alone} where d·cos²θ = 1"
    assert told_twice in slip.found
    assert ratio(rho, fit(12_725)) >= Fraction(95, 100) > ratio(rho, fit(12_724))
    assert "Δ ≥ 0.95 takes d = 12,725" in slip.found
    widest = 64 * 10 * 3 * 3  # the last stage of WRN-28-10, 3×3 kernels
    assert (
        f"widest filters have {widest:,} and Δ = {float(ratio(rho, fit(widest))):.3f}" in slip.found
    )
    assert "PreResNet is flat" in slip.found


def test_one_tau_gives_one_shift(told):
    """τ = 1/3, c = ½, v = 1: 1/(1 + (¼ + 1)/3) = 12/17."""
    slip = found(told, "on Uout", "variance-stable")
    assert f"Δ = {12 / 17:.4f} and {12 / 17:.4f}" in slip.found


def test_betas_and_the_drop_rates_they_match(told):
    slip = found(told, "Table 6", "equal τ")
    matched = {}
    for beta in ("0.1", "0.2", "0.3", "0.5", "1"):
        tau = Fraction(beta) ** 2 / 3  # drop_p/(1 − drop_p) = τ
        matched[beta] = float(tau / (1 + tau))
    expected = {"0.1": 0.0033, "0.2": 0.013, "0.3": 0.029, "0.5": 0.077, "1": 0.25}
    for beta, drop_p in expected.items():
        assert matched[beta] == pytest.approx(drop_p, rel=0.02)
        assert f"{beta} ↔ {drop_p:g}" in slip.found


def test_parameters_of_preresnet(told):
    """Counted by the formula of its blocks, not by building it."""
    count = 3 * 16 * 9
    wide = 16
    for inner in (16, 32, 64):
        for index in range(18):
            count += 2 * wide + wide * inner  # norm and 1×1
            count += 2 * inner + 9 * inner * inner  # norm and 3×3
            count += 2 * inner + 4 * inner * inner  # norm and 1×1
            count += 4 * wide * inner if index == 0 else 0
            wide = 4 * inner
    count += 2 * wide
    assert (count + 257 * 100) / 1e6 == pytest.approx(1.726, abs=5e-4)
    with torch.device("meta"):
        net = build(PAPER["PreResNet"], Placing(), channels=3, classes=100, seed=0)
    assert sum(weight.numel() for weight in net.parameters()) == count + 257 * 100
    slip = found(told, "Table 2", "1.77 M")
    assert slip.found.startswith("1.726 M")
    assert f"90·(256 + 1) = {90 * 257 / 1e6:.3f} M" in slip.found


def test_layers_of_preresnet(told):
    slip = found(told, "its networks", "PreResNet-110")
    depth, norms = 1 + 54 * 3 + 1, 54 * 3 + 1
    assert (depth, norms) == (164, 163)
    assert f"{depth} layers deep and have {norms} norms" in slip.found


def test_wrn_does_not_outperform_at_half(told):
    slip = found(told, "on Figure 4", "outperforms")
    assert "19.48 % against 19.18 %" in slip.found
    assert FIGURE_4["C100", "WRN", "b"][0][RATES.index(0.5)] == 19.48


def test_two_baselines_of_one_network(told):
    """The two panels show the same networks at drop 0, so that they may only differ by chance."""
    slip = found(told, "Figure 4", "it is the same network")
    for data in ("C10", "C100"):
        gaps = [
            FIGURE_4[data, net, "a"][0][0] - FIGURE_4[data, net, "b"][0][0]
            for net in ("PreResNet", "ResNeXt", "WRN", "DenseNet")
        ]
        # Var(gap) = 2σ²/5 for two means of five runs.
        sigma = math.sqrt(sum(gap**2 for gap in gaps) / 4 * 5 / 2)
        assert f"{sigma:.2f} ({data})" in slip.found
    assert slip.said == "PreResNet without dropout on CIFAR-10: 4.91 % in (a), 5.10 % in (b)"


def deviation(data):
    """σ of one run from four pairs of five-run means of one network: Var(gap) = 2σ²/5."""
    gaps = [
        FIGURE_4[data, net, "a"][0][0] - FIGURE_4[data, net, "b"][0][0]
        for net in ("PreResNet", "ResNeXt", "WRN", "DenseNet")
    ]
    return math.sqrt(sum(gap**2 for gap in gaps) / 4 * 5 / 2)


@pytest.mark.parametrize(
    ("name", "text", "better", "clear"),
    [("Table 4", PRINTED_4, 15, 1), ("Table 6", PRINTED_6, 24, 0)],
)
def test_few_gains_are_beyond_chance(told, name, text, better, clear):
    gains = [
        (float(row[0] - error), deviation(data))
        for (data, _), row in table(text).items()
        for error in row[1:]
    ]
    assert len(gains) == 32
    assert sum(gain > 0 for gain, _ in gains) == better
    # Two standard errors of a difference between two means of five: gain² > 4·σ²·2/5.
    assert sum(gain > 0 and gain**2 > 4 * s**2 * 2 / 5 for gain, s in gains) == clear
    slip = found(told, name, "improves on the baseline")
    assert slip.found.startswith(f"{better} of 32 entries do, {clear} by more than two standard")
    assert run_deviation("C10") == pytest.approx(deviation("C10"), rel=1e-12)


def test_what_adjusting_wins_back(told):
    rows = table(PRINTED_3)
    direct = [(a - after) / (a - base) for base, a, after, _, _ in rows.values()]
    indirect = [
        (b - after) / (b - base)
        for (_, net), (base, _, _, b, after) in rows.items()
        if net != "WRN"
    ]
    assert [round(100 * f(direct)) for f in (min, max)] == [20, 71]
    assert [round(100 * f(indirect)) for f in (min, max)] == [10, 50]
    assert all(after < noisy for _, noisy, after, _, _ in rows.values())
    assert all(after < noisy for _, _, _, noisy, after in rows.values())
    slip = found(told, "Table 3", "adjusting helps")
    middle = round(100 * statistics.median(map(float, direct)))
    assert f"wins back 20 to 71 % (median {middle} %)" in slip.found
    assert "10 to 50 % of (b) outside WRN" in slip.found


def test_the_table_has_every_slip(told):
    rows = [tuple(map(str, row.cells)) for row in slip_table().rows]
    assert rows == [(one.where, one.said, one.found) for one in told]
    assert len(told) == 13
