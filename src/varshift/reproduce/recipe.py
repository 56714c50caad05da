"""How the paper trains, and the same shape of training in less time."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "drops", tuple(map(float, self.drops)))
        if self.epochs < 1 or self.batch_size < 2:
            raise UsageError(
                f"a recipe of {counted(self.epochs, 'epoch')} and batches of {self.batch_size}: at "
                "least one epoch, and two images for a batch variance"
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
        return self.rate * self.factor ** sum(epoch >= drop for drop in self.drops)

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


# li2019disharmony, and the implementations it names.
PAPER_RECIPES = {
    "PreResNet": Recipe(164, (81, 122), 0.1, 1e-4),
    "ResNeXt": Recipe(300, (150, 225), 0.1, 5e-4),
    "WRN": Recipe(200, (60, 120, 160), 0.2, 5e-4),
    "DenseNet": Recipe(300, (150, 225), 0.1, 1e-4, batch_size=64),
}
