"""A training pass with noise put in at every place: what each norm receives, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine import (
    Batch,
    Flags,
    Insert,
    NormCall,
    Recorder,
    Regime,
    Session,
    channel_moments,
)
from varshift._footprint.energy import noise_energy
from varshift._footprint.hypotheses import Hypothesis
from varshift.errors import ModelError, UsageError

__all__ = ["Received", "injected_pass"]

_SEED = 20180115  # any number: with it two runs draw the same masks


@dataclass(eq=False)
class Received:
    """What one site received: unbiased variance, mean and noise energy of each batch."""

    variances: list[Tensor] = field(default_factory=list)
    means: list[Tensor] = field(default_factory=list)
    energies: list[Tensor] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)


class _Pass(Recorder):
    """One pass over the data: the current τ of each site, and what has been seen.

    `first` is the number of batches that other ranks pass before this one's.
    """

    def __init__(self, taus: dict[str, float], first: int) -> None:
        self.seen = {path: Received() for path in taus}
        self._taus = taus
        self._first = first

    def begin(self, batch: Batch) -> None:
        """A batch starts."""
        self._batch = batch

    def inject(self, hypothesis: Hypothesis, number: int) -> Insert:
        """What stands before the place: note its noise energy, then make its input noisy."""

        def insert(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
            if not inputs or not isinstance(inputs[0], Tensor):
                raise ModelError(
                    f"{hypothesis.place!r} got no tensor as its first argument, so no noise can be "
                    "put on its input; leave it out of places="
                )
            x = inputs[0]
            try:
                self.seen[hypothesis.path].energies.append(noise_energy(module, x))
            except UsageError:  # shapes that do not fit: the layer itself says it better
                return None
            tau = self._taus[hypothesis.path]
            return (noisy(x, tau, self._generator(x, number)), *inputs[1:]) if tau > 0 else None

        return insert

    def norm(self, call: NormCall) -> None:
        """A norm is about to normalise its input."""
        seen = self.seen.get(call.path)
        if seen is None:
            return
        moments = channel_moments(call.x)
        if not bool(torch.isfinite(moments.m2).all()):
            raise ModelError(
                f"the input of {call.path!r} holds NaN or infinity on batch {self._batch.index}, "
                "though the batch itself is finite: the model overflows before it"
            )
        seen.variances.append(moments.var().cpu())
        seen.means.append(moments.mean.cpu())
        seen.samples.append(self._batch.samples)

    def _generator(self, x: Tensor, number: int) -> torch.Generator:
        # The same uniforms in every pass: from pass to pass only τ moves the figures.
        batch = self._first + self._batch.index
        seed = (_SEED * 1_000_003 + number) * 1_000_003 + batch
        return torch.Generator(device=x.device).manual_seed(seed % (1 << 62))


def noisy(x: Tensor, tau: float, generator: torch.Generator) -> Tensor:
    """`x` under element dropout of relative variance τ, rescaled to keep its mean."""
    keep_p = 1 / (1 + tau)
    kept = torch.rand(x.shape, generator=generator, device=x.device) < keep_p
    return x * kept * (1 + tau)


def injected_pass(
    run: Session,
    flags: Flags,
    hypotheses: list[Hypothesis],
    taus: dict[str, float],
    data: list[Batch],
    step: Callable[[int, Batch], None],
) -> dict[str, Received]:
    """Run all batches of all ranks, with batch statistics; every rank sees the same."""
    counts = run.ranks.gather(len(data))
    own = _Pass(taus, sum(counts[: run.ranks.rank]))
    places = {each.place: own.inject(each, number) for number, each in enumerate(hypotheses)}
    run.run(data, {"injected": Regime(flags, record=(own,), insert=places)}, step)
    return _together(run.ranks.gather(own.seen))


def _together(ranks: list[dict[str, Received]]) -> dict[str, Received]:
    """What all ranks saw, in rank order."""
    whole: dict[str, Received] = {}
    for seen in ranks:
        for path, part in seen.items():
            held = whole.setdefault(path, Received())
            held.variances += part.variances
            held.means += part.means
            held.energies += part.energies
            held.samples += part.samples
    return whole
