"""What each scale trains: which networks, how long, how many."""

from __future__ import annotations

from collections import Counter

import pytest

import varshift as vs
from varshift.reproduce import SCALES, Placing, chosen, of_scale, runs_of, scale_of

CONVERGED = SCALES["converged"]


@pytest.mark.parametrize(("scale", "count"), [("smoke", 21), ("cpu", 125), ("converged", 146)])
def test_the_number_of_networks(scale, count):
    runs = runs_of(chosen("all"), SCALES[scale])
    assert len(runs) == len(set(runs)) == count


def test_a_number_of_seeds_is_the_same_for_all():
    runs = runs_of(chosen("all"), SCALES["cpu"], 2)
    assert {run.seed for run in runs} == {0, 1}
    kinds = Counter((run.shape, run.placing) for run in runs)
    assert set(kinds.values()) == {2}


def test_kinds_that_claims_need_more_of_have_more():
    kinds = Counter(
        (run.shape.family, run.placing)
        for run in runs_of(chosen("all"), SCALES["cpu"])
        if run.shape == SCALES["cpu"].shapes["PreResNet"]
    )
    assert kinds["PreResNet", Placing("b", "dropout", 0.7)] == 22
    assert kinds["PreResNet", Placing("b", "dropout", 0.3)] == 3


def test_the_second_set_is_trained_shorter_by_two_networks_of_one_width():
    runs = [run for run in runs_of(chosen("all"), CONVERGED) if run.images.name == "fashion-mnist"]
    assert {run.shape for run in runs} == {CONVERGED.shapes[f] for f in ("PreResNet", "WRN")}
    assert {run.recipe.epochs for run in runs} == {4}
    first, second = (CONVERGED.recipe("WRN", data) for data in ("C10", "Fashion"))
    share = [drop / first.epochs for drop in first.drops]
    assert [drop / second.epochs for drop in second.drops] == pytest.approx(share)


def test_three_widths_carry_the_seeds_of_their_claim():
    runs = [run for run in runs_of(chosen("fig3"), CONVERGED) if run.shape.family == "WRN"]
    cifar = [run for run in runs if run.images.name == "cifar10"]
    kinds = Counter((run.shape.width, run.placing.place) for run in cifar)
    assert kinds == {(width, place): 5 for width in (1, 2, 3) for place in ("none", "b")}


@pytest.mark.parametrize("scale", ["smoke", "cpu", "converged"])
def test_a_scale_is_known_by_its_records(scale):
    runs = runs_of(chosen("all"), SCALES[scale])
    assert scale_of([{"run": run.to_dict()} for run in runs]) == scale


def test_records_of_several_scales_are_told_apart():
    held = {
        name: [{"run": run.to_dict()} for run in runs_of(chosen("table1"), SCALES[name], 1)]
        for name in ("cpu", "converged")
    }
    mixed = [*held["converged"], *held["cpu"]]
    for name, alone in held.items():
        assert of_scale(mixed, SCALES[name]) == alone
    assert of_scale(mixed, SCALES["paper"]) == []
    with pytest.raises(vs.UsageError, match="of no scale, or of several: say which with --scale"):
        scale_of(mixed)


def test_only_the_converged_scale_chooses_its_precision():
    told = {name: scale.precision for name, scale in SCALES.items()}
    assert told == {"smoke": "fp32", "cpu": "fp32", "converged": "auto", "paper": "fp32"}
