"""Each model with its data: seeded, in float64, its statistics settled by training passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from contract.models import MODULES, Graph

__all__ = ["NAMES", "Case", "case", "seeded", "settle"]

NAMES = tuple(MODULES)

_WIDTH = {"direct": 4, "through": 4, "reused": 4, "mask": 4, "depth": 4}


@dataclass(frozen=True)
class Case:
    """A model, its batches, and the keywords that every verb needs to run it."""

    name: str
    model: nn.Module
    batches: list[Any]
    keywords: dict[str, Any] = field(default_factory=dict)

    @property
    def lent(self) -> tuple[nn.Module, list[Any]]:
        """What a verb takes first: the model and its data."""
        return self.model, self.batches

    def run(self, batch: Any) -> Any:
        """The model on one of its batches, called by hand."""
        return self.model(**batch) if isinstance(batch, dict) else self.model(batch)

    def tapped(self) -> dict[str, nn.Module]:
        """By path of a norm site, the module that is handed its input."""
        if self.name == "functional":
            return {"m": self.model.tap}
        kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
        return {path: m for path, m in self.model.named_modules() if isinstance(m, kinds)}


def case(name: str, *, batches: int = 8, samples: int = 64, rounds: int = 6, seed: int = 0) -> Case:
    """The same weights, data and statistics on every call with the same arguments."""
    with seeded(seed):
        model = MODULES[name]().double()
        data = [_batch(name, samples) for _ in range(batches)]
        found = Case(name, model, data, {"forward": _plain} if name == "graph" else {})
        settle(found, rounds)
    return found


def settle(found: Case, rounds: int) -> None:
    """Training passes over all batches: they move running statistics and no weight."""
    with torch.no_grad():
        for _ in range(rounds):
            for batch in found.batches:
                found.run(batch)


class seeded:
    """A known random state inside, the one from before outside."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __enter__(self) -> None:
        self.before = torch.get_rng_state()
        torch.manual_seed(self.seed)

    def __exit__(self, *_: object) -> None:
        torch.set_rng_state(self.before)


def _batch(name: str, samples: int) -> Any:
    values = _values(name, samples)
    if name == "graph":
        return Graph(values, torch.randint(samples, (2, 2 * samples)))
    if name == "dicts":
        return {"values": values, "gain": torch.rand(samples, 1, dtype=torch.float64) + 0.5}
    return values


def _values(name: str, samples: int) -> Tensor:
    """Normal, with means between −1 and 2 and spreads between 0.5 and 1.5, by channel."""
    if name in ("conv", "channel"):
        return 0.5 + torch.randn(samples, 2, 6, 6, dtype=torch.float64)
    width = _WIDTH.get(name, 6)
    x = torch.randn(samples, width, dtype=torch.float64)
    mean, spread = (
        torch.linspace(*ends, width, dtype=torch.float64) for ends in ((-1, 2), (0.5, 1.5))
    )
    return mean + spread * x


def _plain(model: nn.Module, batch: Any) -> Any:
    return model(batch)
