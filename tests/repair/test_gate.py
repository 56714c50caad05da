"""The gate: how often it lets a useless repair through, and what it asks of accuracy."""

from __future__ import annotations

import pickle

import torch

from varshift._repair.gate import joined, score_of, tried
from varshift._repair.losses import Losses


def losses(rows, right=None):
    return Losses(rows.double(), right)


def test_a_useless_repair_passes_as_rarely_as_it_says():
    # n fixed: 4000 trials of 200 samples whose loss changes by chance alone. The test has two
    # sides and only one of them accepts: 0.025 with five standard errors of room.
    draws = torch.Generator().manual_seed(0)
    passed = 0
    for _ in range(4000):
        before = torch.randn(200, generator=draws).square()
        change = 0.1 * torch.randn(200, generator=draws)
        passed += tried(losses(before), losses(before + change)).passes(0.05, 1)
    assert passed / 4000 < 0.025 + 5 * (0.025 * 0.975 / 4000) ** 0.5
    assert passed > 0  # or it would let nothing through


def test_many_candidates_share_the_chance():
    before, draws = torch.zeros(100), torch.Generator().manual_seed(1)
    change = torch.randn(100, generator=draws)
    change = change - change.mean() - 0.22  # p is about 0.03
    trial = tried(losses(before), losses(change))
    assert 0.0125 < trial.loss.p_value < 0.05
    assert trial.passes(0.05, 1)
    assert not trial.passes(0.05, 4)


def test_a_lower_loss_that_costs_accuracy_does_not_pass():
    before = losses(torch.full((400,), 1.0), torch.ones(400).double())
    fewer = torch.ones(400).double()
    fewer[:40] = 0
    noise = 0.01 * torch.randn(400, generator=torch.Generator().manual_seed(0))
    after = losses(0.5 + noise, fewer)
    assert not tried(before, after).passes(0.05, 1)
    assert tried(before, losses(0.5 + noise, torch.ones(400).double())).passes(0.05, 1)


def test_nothing_that_changes_nothing_passes():
    rows = torch.rand(50)
    assert not tried(losses(rows), losses(rows)).passes(0.05, 1)
    assert not tried(losses(rows), losses(rows * float("nan"))).passes(0.05, 1)


def test_scores_carry_their_errors():
    rows = torch.tensor([1.0, 2.0, 3.0, 6.0])
    score = score_of(joined([losses(rows[:1]), losses(rows[1:])]))
    assert (score, score.loss, score.samples) == (3.0, 3.0, 4)
    assert score < 3.5
    again = pickle.loads(pickle.dumps(score))
    assert again.to_dict() == score.to_dict()
    assert score.to_dict()["accuracy"] is None
    assert abs(score.loss_se - float(rows.double().std()) / 2) < 1e-12
    assert score.accuracy is None


def test_each_verdict_says_what_kept_a_repair_out():
    before = losses(torch.full((400,), 1.0), torch.ones(400).double())
    noise = 0.01 * torch.randn(400, generator=torch.Generator().manual_seed(0))
    fewer = torch.ones(400).double()
    fewer[:40] = 0
    right = torch.ones(400).double()
    cases = {
        "passed": losses(0.5 + noise, right),
        "worse": losses(1.5 + noise, right),
        "no better": losses(torch.full((400,), 1.0), right),
        "not better beyond chance": losses(1 + noise - noise.mean() - 1e-5, right),
        "accuracy fell": losses(0.5 + noise, fewer),
        "not finite": losses(torch.full((400,), float("nan")), right),
    }
    for verdict, after in cases.items():
        trial = tried(before, after)
        assert trial.verdict(0.05, 1) == verdict
        assert trial.passes(0.05, 1) == (verdict == "passed")
