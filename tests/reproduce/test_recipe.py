"""Rates at the epochs the paper prints, and the same shape in less time."""

from __future__ import annotations

from collections import Counter

import pytest

import varshift as vs
from varshift._counting import counted
from varshift.reproduce.recipe import PAPER_RECIPES, Recipe

IMAGES = 50_000
# Epochs, drops, factor, weight decay, batch size, as printed.
PRINTED = {
    "PreResNet": (164, (81, 122), 0.1, 1e-4, 128),
    "ResNeXt": (300, (150, 225), 0.1, 5e-4, 128),
    "WRN": (200, (60, 120, 160), 0.2, 5e-4, 128),
    "DenseNet": (300, (150, 225), 0.1, 1e-4, 64),
}


@pytest.mark.parametrize("family", PRINTED)
def test_recipes_are_the_papers(family):
    recipe = PAPER_RECIPES[family]
    told = (recipe.epochs, recipe.drops, recipe.factor, recipe.weight_decay, recipe.batch_size)
    assert told == PRINTED[family]
    assert (recipe.rate, recipe.momentum, recipe.pad, recipe.flip) == (0.1, 0.9, 4, True)


@pytest.mark.parametrize("family", PRINTED)
def test_the_rate_falls_at_the_first_step_of_its_epochs(family):
    epochs, drops, factor, _, batch = PRINTED[family]
    recipe, per_epoch = PAPER_RECIPES[family], IMAGES // batch
    rate = 0.1
    assert recipe.rate_at(0, IMAGES) == rate
    for drop in drops:
        assert recipe.rate_at(drop * per_epoch - 1, IMAGES) == pytest.approx(rate, rel=1e-12)
        rate *= factor
        assert recipe.rate_at(drop * per_epoch, IMAGES) == pytest.approx(rate, rel=1e-12)
    assert recipe.rate_at(epochs * per_epoch - 1, IMAGES) == pytest.approx(rate, rel=1e-12)


def test_steps_are_whole_batches():
    recipe = PAPER_RECIPES["WRN"]
    assert recipe.steps_per_epoch(IMAGES) == 390  # 390·128 = 49,920; the ragged 80 are left out
    assert recipe.steps(IMAGES) == 200 * 390
    assert recipe.steps_per_epoch(5) == 1


@pytest.mark.parametrize("family", PRINTED)
@pytest.mark.parametrize("epochs", [1, 2, 7, 1000])
def test_a_shrunk_recipe_keeps_its_shares(family, epochs):
    recipe = PAPER_RECIPES[family]
    short = recipe.shrunk(epochs, batch_size=16, pad=1)
    assert (short.epochs, short.batch_size, short.pad) == (epochs, 16, 1)
    for drop, was in zip(short.drops, recipe.drops, strict=True):
        assert drop / epochs == pytest.approx(was / recipe.epochs, rel=1e-12)
    for name in ("factor", "weight_decay", "rate", "momentum", "flip"):
        assert getattr(short, name) == getattr(recipe, name)


@pytest.mark.parametrize("family", PRINTED)
def test_a_shrunk_recipe_spends_its_steps_like_the_whole(family):
    """Share of steps at each rate, over 1,000 steps an epoch: equal within one step per drop."""
    recipe = PAPER_RECIPES[family]
    short, images = recipe.shrunk(3), 1000 * recipe.batch_size

    def shares(one):
        steps = one.steps(images)
        counts = Counter(round(one.rate_at(step, images), 9) for step in range(steps))
        return {rate: count / steps for rate, count in counts.items()}

    whole, less = shares(recipe), shares(short)
    assert list(whole) == list(less)
    for rate, share in whole.items():
        assert less[rate] == pytest.approx(share, abs=2 / 3000)


def test_a_shrunk_recipe_keeps_its_batches_unless_told():
    assert PAPER_RECIPES["DenseNet"].shrunk(2).batch_size == 64


@pytest.mark.parametrize(("epochs", "batch"), [(0, 128), (2, 1)])
def test_a_recipe_that_cannot_train_is_refused(epochs, batch):
    match = f"a recipe of {counted(epochs, 'epoch')} and batches of {batch}: at least one"
    with pytest.raises(vs.UsageError, match=match):
        Recipe(epochs, (), 0.1, 1e-4, batch_size=batch)


@pytest.mark.parametrize("rise", [0.05, 0.2, 0.5])
def test_a_cycled_rate_rises_to_the_recipes_and_falls_to_nothing(rise):
    """A triangle: half the recipe's rate on average, its tip where the rise ends."""
    recipe = PAPER_RECIPES["WRN"].cycled(10, rise=rise, batch_size=50)
    steps = recipe.steps(IMAGES)
    rates = [recipe.rate_at(step, IMAGES) for step in range(steps)]
    tip = round(rise * steps)
    assert steps == 10_000
    assert sum(rates) / steps == pytest.approx(0.05, rel=1e-3)
    assert rates[:tip] == sorted(rates[:tip])
    assert rates[tip:] == sorted(rates[tip:], reverse=True)
    assert max(rates) == pytest.approx(0.1, rel=2e-3)
    assert rates[0] == pytest.approx(0.1 * 0.5 / tip, rel=1e-9)
    assert 0 < rates[-1] == pytest.approx(0.1 * 0.5 / (steps - tip), rel=1e-6)


def test_a_cycled_recipe_keeps_the_rest_and_can_be_shortened():
    was = PAPER_RECIPES["PreResNet"]
    recipe = was.cycled(20, rise=0.2, batch_size=64).shrunk(5)
    assert (recipe.epochs, recipe.drops, recipe.rise, recipe.batch_size) == (5, (), 0.2, 64)
    for name in ("weight_decay", "rate", "momentum", "pad", "flip"):
        assert getattr(recipe, name) == getattr(was, name)


@pytest.mark.parametrize(("rise", "drops"), [(0.0, ()), (1.0, ()), (1.5, ()), (0.2, (1.0,))])
def test_a_rise_that_makes_no_rate_is_refused(rise, drops):
    with pytest.raises(vs.UsageError, match="rises for a share between 0 and 1, and then falls"):
        Recipe(2, drops, 0.1, 1e-4, rise=rise)
