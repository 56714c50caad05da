"""Trails are shared between operations; a twin that works out each source by itself agrees."""

from __future__ import annotations

import random

import pytest

from varshift._engine.trace.trails import Reached
from varshift.results import Layer

ORDER = ("a", "b", "through-norm")
STEPS = [
    (Layer("norm", "BatchNorm2d", "norm"), "through-norm"),
    (Layer("conv", "Conv2d", "weights"), "b"),
    (Layer("act", "ReLU", "nonlinear"), "a"),
    (Layer("", "mean", "mixing"), "a"),
    (Layer("", "sum", "mixing"), "a"),
]


def one_step(path, layer, placement):
    """A path is (placement, layers); the last layers of one module are each named once."""
    worse = max(path[0], placement, key=ORDER.index)
    last = []
    for passed in reversed(path[1]):
        if passed.path != layer.path:
            break
        last.append(passed)
    same = worse == path[0] and layer in last
    return path if same else (worse, (*path[1], layer))


def best_of(paths):
    """The first of the shortest of each placement."""
    return [
        min((path for path in paths if path[0] == placement), key=lambda path: len(path[1]))
        for placement in dict.fromkeys(path[0] for path in paths)
    ]


def plain(reached):
    return {
        source: [(trail.placement, trail.layers()) for trail in trails]
        for source, trails in reached.items()
    }


@pytest.mark.parametrize("seed", range(20))
def test_steps_and_unions_are_those_of_each_source_by_itself(seed):
    draw = random.Random(seed)
    shared = [Reached.by([source]) for source in range(4)]
    slow = [{source: [("a", ())]} for source in range(4)]
    for _ in range(40):
        if draw.random() < 0.5:
            at, (layer, placement) = draw.randrange(len(shared)), draw.choice(STEPS)
            shared.append(shared[at].stepped(layer, placement))
            slow.append(
                {
                    source: best_of([one_step(path, layer, placement) for path in paths])
                    for source, paths in slow[at].items()
                }
            )
        else:
            one, other = draw.randrange(len(shared)), draw.randrange(len(shared))
            shared.append(shared[one].united(shared[other]))
            both = [*slow[one], *(source for source in slow[other] if source not in slow[one])]
            slow.append(
                {
                    source: best_of([*slow[one].get(source, []), *slow[other].get(source, [])])
                    for source in both
                }
            )
        assert plain(shared[-1]) == slow[-1]


def test_joining_all_that_came_before_makes_one_union_a_layer(monkeypatch):
    made, union = [], Reached._union
    monkeypatch.setattr(Reached, "_union", lambda *both: made.append(both) or union(*both))
    layers, features = 30, [Reached.by([0])]
    for at in range(1, layers):
        joined = features[0]
        for feature in features[1:]:
            joined = joined.united(feature)
        features.append(joined.stepped(*STEPS[0]).united(Reached.by([at])))
    # One with the layer's own noise, and from the second layer on one with what the last one gave.
    assert len(made) == (layers - 1) + (layers - 2)


def test_sources_that_came_the_same_way_take_a_step_together():
    reached = Reached.by(range(5)).stepped(*STEPS[1])
    assert len({id(trail) for trails in reached.values() for trail in trails}) == 1
