"""The gate: how often it lets a useless repair through, and what it asks of accuracy."""

from __future__ import annotations

import math
import pickle
from math import inf

import pytest
import torch

from varshift._repair.gate import joined, score_of, tried
from varshift._repair.losses import Losses
from varshift.results import Trial
from varshift.theory.paired import Paired


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


def change(mean, p_value=0.0, low=-2.0):
    return Paired(mean, 0.1, low, 2.0, p_value, 100)


# Asked of each of 4 candidates at level 0.2 is 0.05; what stands on a border does not pass it.
@pytest.mark.parametrize(
    ("loss", "accuracy", "verdict"),
    [
        (change(-1.0, 0.049), None, "passed"),
        (change(-1.0, 0.05), None, "not better beyond chance"),
        (change(-1.0, 0.19), None, "not better beyond chance"),
        (change(0.0), None, "no better"),
        (change(1.0, low=0.0), None, "no better"),
        (change(1.0, low=0.1), None, "worse"),
        (change(inf), None, "not finite"),
        (change(-inf), None, "not finite"),
        (change(-1.0), change(-0.1, 0.049), "accuracy fell"),
        (change(-1.0), change(-0.1, 0.05), "passed"),
        (change(-1.0), change(-0.1, 0.19), "passed"),
        (change(-1.0), change(0.1, 0.0), "passed"),
        (change(-1.0), change(0.0, 0.0), "passed"),
        (change(-1.0, 0.05), change(-0.1), "not better beyond chance"),
    ],
)
def test_the_borders_of_the_gate(loss, accuracy, verdict):
    assert Trial(loss, accuracy).verdict(0.2, 4) == verdict
    assert Trial(loss, accuracy).passes(0.2, 4) == (verdict == "passed")


def test_accuracy_is_compared_where_both_can_say_it():
    rows, right = torch.arange(4.0), torch.tensor([1.0, 1.0, 0.0, 1.0]).double()
    fewer = right.clone()
    fewer[0] = 0
    fell = tried(losses(rows, right), losses(rows, fewer)).accuracy
    assert (fell.mean, fell.samples) == (-0.25, 4)
    assert tried(losses(rows, right), losses(rows)).accuracy is None
    assert tried(losses(rows), losses(rows, right)).accuracy is None
    assert tried(losses(rows), losses(rows + 1)).loss.mean == 1  # after − before
    score = score_of(losses(rows, right))
    assert score.accuracy == 0.75
    assert score.accuracy_se == pytest.approx(0.25)  # s = √(3/4·1/4·4/3) = 1/2, over √4


def test_one_sample_has_no_error_and_two_have():
    assert math.isnan(score_of(losses(torch.ones(1))).loss_se)
    assert score_of(losses(torch.tensor([1.0, 3.0]))).loss_se == pytest.approx(1.0)


def test_batches_are_joined_with_all_that_is_known_of_them():
    right = torch.ones(2).double()
    one = Losses(torch.ones(2).double(), right, ignored=3)
    two = Losses(torch.zeros(1).double(), right[:1], ignored=4)
    both = joined([one, two])
    assert (both.loss.tolist(), both.right.tolist(), both.ignored) == ([1, 1, 0], [1, 1, 1], 7)
    assert joined([one, losses(torch.zeros(1))]).right is None
    assert joined([losses(torch.zeros(1))]).right is None
