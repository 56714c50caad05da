"""How the paper trains, the same shape of training in less time, and a shape made to be short."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from varshift._counting import counted
from varshift.errors import UsageError

__all__ = ["PAPER_RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum, a learning rate that falls by `factor` at each of `drops`.

    Attributes:
        epochs: passes over the training images.
        drops: when the rate falls, in epochs; fractions are allowed.
        factor: by what it falls.
        weight_decay: on every parameter, as the paper's implementations have it.
        batch_size: images per step.
        rate: the first learning rate.
        momentum: of SGD.
        pad: zero pixels on each side before the random crop; 0 for no crop.
        flip: whether images are mirrored at random.
        rise: where the rate does not fall at `drops`: the share of the training in which it rises
            from 0 in a straight line, to fall in another to 0 at the end.
    """

    epochs: int
    drops: tuple[float, ...]
    factor: float
    weight_decay: float
    batch_size: int = 128
    rate: float = 0.1
    momentum: float = 0.9
    pad: int = 4
    flip: bool = True
    rise: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "drops", tuple(map(float, self.drops)))
        if self.epochs < 1 or self.batch_size < 2:
            raise UsageError(
                f"a recipe of {counted(self.epochs, 'epoch')} and batches of {self.batch_size}: at "
                "least one epoch, and two images for a batch variance"
            )
        if self.rise is not None and (self.drops or not 0 < self.rise < 1):
            raise UsageError(
                f"a rate that rises for {self.rise:g} of the training and falls at {self.drops}: "
                "it rises for a share between 0 and 1, and then falls at no other place"
            )

    def steps_per_epoch(self, images: int) -> int:
        """Whole batches in one epoch; a ragged rest is left out, its variance being noisier."""
        return max(1, images // self.batch_size)

    def steps(self, images: int) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps_per_epoch(images)

    def rate_at(self, step: int, images: int) -> float:
        """The learning rate of a step, counted from 0.

        >>> recipe = Recipe(epochs=4, drops=(2, 3), factor=0.1, weight_decay=0, batch_size=10)
        >>> [round(recipe.rate_at(step, images=20), 4) for step in (0, 3, 4, 6)]
        [0.1, 0.1, 0.01, 0.001]
        """
        epoch = step / self.steps_per_epoch(images)
        if self.rise is None:
            return self.rate * self.factor ** sum(epoch >= drop for drop in self.drops)
        # In the middle of a step, so that neither the first nor the last one stands still.
        share = (step + 0.5) / self.steps(images)
        return self.rate * min(share / self.rise, (1 - share) / (1 - self.rise))

    def shrunk(
        self, epochs: int, *, batch_size: int | None = None, pad: int | None = None
    ) -> Recipe:
        """The same shape in `epochs` epochs: the drops stay where they are, as shares of it."""
        drops = tuple(drop * epochs / self.epochs for drop in self.drops)
        return replace(
            self,
            epochs=epochs,
            drops=drops,
            batch_size=self.batch_size if batch_size is None else batch_size,
            pad=self.pad if pad is None else pad,
        )

    def cycled(self, epochs: int, *, rise: float, batch_size: int) -> Recipe:
        """One rise and one fall of the rate in place of its drops, for short trainings.

        >>> recipe = Recipe(epochs=9, drops=(3, 6), factor=0.1, weight_decay=0)
        >>> short = recipe.cycled(1, rise=0.2, batch_size=10)
        >>> [round(short.rate_at(step, images=50), 4) for step in range(5)]
        [0.05, 0.0875, 0.0625, 0.0375, 0.0125]
        """
        return replace(self, epochs=epochs, drops=(), rise=rise, batch_size=batch_size)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready. What came later is told where it is used: ids from before stay."""
        told = asdict(self)
        if self.rise is None:
            del told["rise"]
        return told


# li2019disharmony, and the implementations it names.
PAPER_RECIPES = {
    "PreResNet": Recipe(164, (81, 122), 0.1, 1e-4),
    "ResNeXt": Recipe(300, (150, 225), 0.1, 5e-4),
    "WRN": Recipe(200, (60, 120, 160), 0.2, 5e-4),
    "DenseNet": Recipe(300, (150, 225), 0.1, 1e-4, batch_size=64),
}
