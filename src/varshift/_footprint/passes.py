"""A training pass with noise put in at every place: what each norm receives, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.borrow.model import Buffers
from varshift._engine.normcall import NormCall
from varshift._engine.record.moments import channel_moments
from varshift._engine.tap import Tap
from varshift._footprint.energy import noise_energy
from varshift._footprint.hypotheses import Hypothesis
from varshift.errors import ModelError, UsageError

__all__ = ["Seen", "injected_pass"]

_SEED = 20180115  # any number: with it two runs draw the same masks


@dataclass(eq=False)
class Seen:
    """What one site received: unbiased variance, mean and noise energy of each batch."""

    variances: list[Tensor] = field(default_factory=list)
    means: list[Tensor] = field(default_factory=list)
    energies: list[Tensor] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)


@dataclass
class _Pass:
    """One pass: the current τ of each site, and what has been seen."""

    taus: dict[str, float]
    seen: dict[str, Seen]
    batch: int = 0
    samples: int = 0

    def inject(self, hypothesis: Hypothesis, number: int) -> Callable[..., Any]:
        """A forward pre-hook for the place: note its noise energy, then make its input noisy."""

        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
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
            tau = self.taus[hypothesis.path]
            return (noisy(x, tau, self._generator(x, number)), *inputs[1:]) if tau > 0 else None

        return hook

    def take(self, call: NormCall) -> None:
        """A norm is about to normalise `x`."""
        site, x = call.handle, call.x
        seen = self.seen.get(site.path)
        if seen is None:
            return
        moments = channel_moments(x)
        if not bool(torch.isfinite(moments.m2).all()):
            raise ModelError(
                f"the input of {site.path!r} holds NaN or infinity on batch {self.batch}, though "
                "the batch itself is finite: the model overflows before it"
            )
        seen.variances.append(moments.var())
        seen.means.append(moments.mean)
        seen.samples.append(self.samples)

    def _generator(self, x: Tensor, number: int) -> torch.Generator:
        # The same uniforms in every pass: from pass to pass only τ moves the figures.
        seed = (_SEED * 1_000_003 + number) * 1_000_003 + self.batch
        return torch.Generator(device=x.device).manual_seed(seed % (1 << 62))


def noisy(x: Tensor, tau: float, generator: torch.Generator) -> Tensor:
    """`x` under element dropout of relative variance τ, rescaled to keep its mean."""
    keep_p = 1 / (1 + tau)
    kept = torch.rand(x.shape, generator=generator, device=x.device) < keep_p
    return x * kept * (1 + tau)


def injected_pass(
    model: nn.Module,
    hypotheses: list[Hypothesis],
    taus: dict[str, float],
    data: list[Batch],
    forward: Forward | None,
    step: Callable[[int], None] = lambda batches: None,
) -> dict[str, Seen]:
    """Run all batches, with batch statistics and the flags as they are; nothing is kept."""
    run = _Pass(taus, {hypothesis.path: Seen() for hypothesis in hypotheses})
    buffers = Buffers(model)
    with ExitStack() as hooks:
        for number, hypothesis in enumerate(hypotheses):
            handle = hypothesis.module.register_forward_pre_hook(run.inject(hypothesis, number))
            hooks.callback(handle.remove)
        hooks.enter_context(Tap(model, run.take))
        for done, batch in enumerate(data, 1):
            run.batch, run.samples = batch.index, batch.samples
            call(model, batch, forward)
            buffers.restore()
            step(done)
    return run.seen
