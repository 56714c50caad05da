"""Two sets of statistics for a module's norms, training's and noise-off, and their exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from torch import Tensor, nn

from varshift._engine import norm_handles, put, put_back, same_bits
from varshift._engine.versions import Counted, counted
from varshift.results import Recalibration

__all__ = ["Exchange", "Placed"]

Values = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Exchange:
    """Training's own statistics and the noise-off ones, by the names a state_dict uses.

    Attributes:
        training: what training left, on this rank.
        noise_off: what evaluation is to use.
        severity: of each norm, by how much the two variances differ: max(ratio, 1/ratio).
        samples: how many the noise-off ones were found with.
    """

    training: Values
    noise_off: Values
    severity: Mapping[str, float]
    samples: int = 0

    @classmethod
    def undone(cls, found: Recalibration, module: nn.Module) -> Exchange:
        """What a recalibration found, which is undone, and what the module then holds.

        Not what the recalibration reports of before: of several ranks that is the first one's.
        """
        found.undo()
        noise_off = {
            f"{path}.{key}".lstrip("."): value
            for path, change in found.sites.items()
            for key, value in (
                ("running_mean", change.after.mean),
                ("running_var", change.after.var),
            )
        }
        own = _tensors(module)
        training = {name: own[name].detach().clone() for name in noise_off}
        ratios = {path: change.ratio for path, change in found.sites.items()}
        severity = {path: max(ratio, 1 / ratio) for path, ratio in ratios.items() if ratio > 0}
        return cls(training, noise_off, severity, found.samples)

    def at(self, module: nn.Module) -> Placed:
        """The exchange in the tensors that the module holds now; moving it makes others."""
        own = _tensors(module)
        return Placed(_fitting(self.training, own), _fitting(self.noise_off, own))

    def is_in(self, state: Mapping[str, Any]) -> bool:
        """Whether a state holds the noise-off statistics, bit for bit."""
        return all(
            name in state
            and same_bits(
                state[name].cpu(), value.to("cpu", state[name].dtype).view_as(state[name])
            )
            for name, value in self.noise_off.items()
        )

    def metrics(self) -> dict[str, float]:
        """Flat floats for a logger."""
        if not self.severity:
            return {}
        values = self.severity.values()
        return {
            "varshift/severity_worst": max(values),
            "varshift/severity_median": median(values),
            "varshift/samples": float(self.samples),
        }


@dataclass(frozen=True, eq=False)
class Placed:
    """An exchange bound to the tensors of a module: cheap enough for every batch."""

    training: list[tuple[Tensor, Tensor]]
    noise_off: list[tuple[Tensor, Tensor]]
    counts: list[Counted | None] = field(default_factory=list)

    def put_in(self) -> None:
        """The module evaluates as it would be shipped."""
        self.counts[:] = counted(tensor for tensor, _ in self.noise_off)
        put(self.noise_off, self.counts)

    def put_back(self) -> None:
        """Training's own, bit for bit; what a loss still needs of them for `backward()` too."""
        put_back(self.training, self.counts or [None] * len(self.training))


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {
        f"{path}.{key}".lstrip("."): tensor
        for path, handle in norm_handles(module).items()
        for key, tensor in (
            ("running_mean", handle.running_mean),
            ("running_var", handle.running_var),
        )
    }


def _fitting(values: Values, own: Values) -> list[tuple[Tensor, Tensor]]:
    return [
        (own[name], value.to(own[name].device, own[name].dtype).reshape(own[name].shape))
        for name, value in values.items()
    ]
