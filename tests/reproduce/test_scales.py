"""What each scale trains: which networks, how long, how many."""

from __future__ import annotations

from collections import Counter

import pytest

import varshift as vs
from varshift.reproduce import SCALES, Placing, chosen, narrowed, of_scale, runs_of, scale_of

CONVERGED = SCALES["converged"]


@pytest.mark.parametrize(("scale", "count"), [("smoke", 21), ("cpu", 125), ("converged", 131)])
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


def test_the_second_set_is_trained_shorter_by_one_network_of_one_width():
    runs = [run for run in runs_of(chosen("all"), CONVERGED) if run.images.name == "fashion-mnist"]
    assert {run.shape for run in runs} == {CONVERGED.shapes["WRN"]}
    assert {run.recipe.epochs for run in runs} == {7}
    first, second = (CONVERGED.recipe("WRN", data) for data in ("C10", "Fashion"))
    assert first.rise == second.rise == 0.2


def test_three_widths_carry_the_seeds_of_their_claim():
    runs = [run for run in runs_of(chosen("fig3"), CONVERGED) if run.shape.family == "WRN"]
    cifar = [run for run in runs if run.images.name == "cifar10"]
    kinds = Counter((run.shape.width, run.placing.place) for run in cifar)
    assert kinds == {(width, place): 5 for width in (1, 2, 3) for place in ("none", "b")}


@pytest.mark.parametrize("network", [None, "WRN"])
@pytest.mark.parametrize("data", [None, "cifar10"])
def test_runs_are_narrowed_to_a_network_and_to_images(network, data):
    runs = runs_of(chosen("all"), CONVERGED)
    kept = narrowed(runs, network=network, data=data)
    assert kept == [
        run
        for run in runs
        if (network is None or run.shape.family == network)
        and (data is None or run.images.name == data)
    ]
    assert (
        len(kept)
        == {
            (None, None): 131,
            ("WRN", None): 92,
            (None, "cifar10"): 95,
            ("WRN", "cifar10"): 56,
        }[network, data]
    )


@pytest.mark.parametrize(
    ("network", "data", "sentence"),
    [
        ("VGG", None, "--network 'VGG' is none of those to be run: DenseNet, PreResNet"),
        (None, "C10", "--data 'C10' is none of those to be run: cifar10, fashion-mnist"),
        ("DenseNet", "fashion-mnist", "--data 'fashion-mnist' is none of those to be run: cifar10"),
    ],
)
def test_nothing_to_run_is_refused(network, data, sentence):
    with pytest.raises(vs.UsageError, match=sentence):
        narrowed(runs_of(chosen("all"), CONVERGED), network=network, data=data)


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
