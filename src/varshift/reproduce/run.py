"""One run: a network, its noise, its data, its recipe and its seed, named by what it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from varshift.reproduce.nets import Placing, Shape
from varshift.reproduce.recipe import Recipe

__all__ = ["Images", "Run"]

FORMAT = 1  # raised when the same configuration would train to something else


@dataclass(frozen=True)
class Images:
    """Which images: a named set, their side after reduction, and how many of each part."""

    name: str
    side: int
    train: int | None = None
    test: int | None = None


@dataclass(frozen=True)
class Run:
    """Everything that decides a trained network, but for rounding. Equal runs have equal ids.

    In which number format it trained is said in its record: a run is not repeated for that.
    """

    shape: Shape
    placing: Placing
    images: Images
    recipe: Recipe
    seed: int

    @property
    def id(self) -> str:
        """Twelve hex digits of the SHA-256 of the configuration."""
        told = json.dumps([FORMAT, self.to_dict()], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """For people: "PreResNet 3×8, dropout 0.5 at (a), seed 0"."""
        shape, placing = self.shape, self.placing
        size = f"{shape.blocks}×{shape.width}" + (f"×{shape.groups}" if shape.groups > 1 else "")
        where = {"a": "(a)", "b": "(b)", "last": "the head"}.get(placing.place)
        noise = f"{placing.kind} {placing.amount:g} at {where}" if where else "no noise"
        return f"{shape.family} {size}, {noise}, seed {self.seed}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "recipe": self.recipe.to_dict()}

    def dice(self, what: str, number: int = 0) -> int:
        """A seed for one purpose at one moment, so that a resumed run draws what it would have."""
        told = f"{self.seed}/{what}/{number}"
        return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8]) >> 1
