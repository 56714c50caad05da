"""The smallest runs there are: seconds on one core, on images that scikit-learn brings."""

from __future__ import annotations

from dataclasses import replace

from varshift.reproduce.images import Pixels, pixels
from varshift.reproduce.nets import Placing, Shape
from varshift.reproduce.recipe import Recipe
from varshift.reproduce.run import Images, Run
from varshift.reproduce.scales import Budget

RECIPE = Recipe(2, (1.0,), 0.1, 1e-4, batch_size=32, pad=1)
PLAIN = Run(Shape("WRN", 1, 1), Placing(), Images("digits", 8, 128, 64), RECIPE, 0)
DROPPED = replace(PLAIN, placing=Placing("a", "dropout", 0.5))
LITTLE = Budget(train=128, shift=64, repair=64, footprint=0, noisy=2)  # which takes longest


def few() -> Pixels:
    """The images of both runs."""
    return pixels(PLAIN.images)
