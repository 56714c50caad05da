"""A run is named by everything that decides it, and draws from its seed alone."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from reproduce.small import DROPPED, PLAIN
from varshift.reproduce.nets import Placing, Shape
from varshift.reproduce.recipe import Recipe
from varshift.reproduce.run import Images, Run

FIXED = Run(
    Shape("ResNeXt", 1, 4, 2),
    Placing("a", "dropout", 0.5),
    Images("digits", 8, 128, 64),
    Recipe(2, (1.0,), 0.1, 1e-4, batch_size=32, pad=1),
    0,
)
# Another value of every field of every part.
OTHERS = {
    "shape": {"family": "WRN", "blocks": 2, "width": 5, "groups": 3},
    "placing": {"place": "b", "kind": "uout", "amount": 0.3},
    "images": {"name": "cifar10", "side": 16, "train": 127, "test": None},
    "recipe": {
        "epochs": 3,
        "drops": (1.5,),
        "factor": 0.2,
        "weight_decay": 5e-4,
        "batch_size": 16,
        "rate": 0.2,
        "momentum": 0.8,
        "pad": 2,
        "flip": False,
        "rise": None,  # does not go with drops: below
    },
}


def test_the_id_of_a_configuration_never_changes():
    """If this fails, records on disk are orphaned: raise FORMAT on purpose, or undo the change."""
    assert FIXED.id == "8efb584f41eb"


@pytest.mark.parametrize(
    ("part", "name"),
    [(part, name) for part, names in OTHERS.items() for name in names if name != "rise"],
)
def test_every_field_changes_the_id(part, name):
    changed = replace(getattr(FIXED, part), **{name: OTHERS[part][name]})
    assert replace(FIXED, **{part: changed}).id != FIXED.id


def test_a_rise_changes_the_id_and_is_told_where_there_is_one():
    without = replace(FIXED, recipe=replace(FIXED.recipe, drops=()))
    runs = [without, *(replace(FIXED, recipe=cycled(rise)) for rise in (0.2, 0.3))]
    assert len({run.id for run in runs}) == 3
    assert [run.to_dict()["recipe"].get("rise") for run in runs] == [None, 0.2, 0.3]
    assert "rise" not in without.to_dict()["recipe"]


def cycled(rise):
    return FIXED.recipe.cycled(2, rise=rise, batch_size=32)


def test_no_field_is_forgotten_above():
    for part, names in OTHERS.items():
        assert [one.name for one in fields(getattr(FIXED, part))] == list(names)
    assert [one.name for one in fields(Run)] == [*OTHERS, "seed"]


def test_the_seed_changes_the_id():
    assert len({replace(FIXED, seed=seed).id for seed in range(20)}) == 20


def test_a_run_survives_json():
    held = json.loads(json.dumps(FIXED.to_dict()))
    assert Placing(**held["placing"]) == FIXED.placing
    assert Shape(**held["shape"]) == FIXED.shape
    assert Images(**held["images"]) == FIXED.images
    assert held["seed"] == 0


def test_dice_follow_from_seed_purpose_and_number():
    cells = [(seed, what, n) for seed in (0, 1) for what in ("order", "noise") for n in range(50)]
    drawn = [replace(FIXED, seed=seed).dice(what, n) for seed, what, n in cells]
    assert len(set(drawn)) == len(cells)
    assert all(0 <= one < 2**63 for one in drawn)
    assert drawn == [replace(FIXED, seed=seed).dice(what, n) for seed, what, n in cells]
    assert FIXED.dice("order", 1) == 4489457307835839548  # on every machine


def test_runs_that_differ_in_noise_alone_draw_the_same():
    """Weights, order and crops are shared, so that differences between runs are paired."""
    assert PLAIN.dice("weights") == DROPPED.dice("weights")
    assert PLAIN.dice("augment", 7) == DROPPED.dice("augment", 7)


@pytest.mark.parametrize(
    ("run", "label"),
    [
        (PLAIN, "WRN 1×1, no noise, seed 0"),
        (FIXED, "ResNeXt 1×4×2, dropout 0.5 at (a), seed 0"),
        (
            replace(FIXED, placing=Placing("last", "dropout", 0.2), seed=3),
            "ResNeXt 1×4×2, dropout 0.2 at the head, seed 3",
        ),
        (
            replace(PLAIN, placing=Placing("b", "uout", 0.1)),
            "WRN 1×1, uout 0.1 at (b), seed 0",
        ),
    ],
)
def test_labels_are_for_people(run, label):
    assert run.label == label
