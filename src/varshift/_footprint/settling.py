"""Pass after pass with noise put in, until what the norms receive is what they store."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from varshift._engine import Batch, Flags, Reporter, Session, walk
from varshift._footprint.drift import drifts
from varshift._footprint.fitting import Excess, Fit, fit
from varshift._footprint.hypotheses import Hypothesis
from varshift._footprint.memory import Memory, remembered
from varshift._footprint.passes import Received, injected_pass
from varshift._footprint.verdict import judged
from varshift.errors import ModelError
from varshift.results import Footprint

__all__ = ["MOST_PASSES", "Settling"]

MOST_PASSES = 16
_SETTLED = 0.05  # standard errors that τ may still move by
_LEAST_CHANNELS = 4
_POOR_FIT = 4.0
_POOR = (
    "at {} of {} sites ({}) the channels agree on no one noise: it stood elsewhere (try the norm "
    "itself, or the layer before it, in places=), or the weights still moved when training ended"
)
_SUPPOSED = (
    "{} norms (first {}) have momentum 0 and hold statistics all the same, from a converted file, "
    "say: how many batches these remember is not known, and torch's momentum of 0.1 is supposed"
)


@dataclass
class Settling:
    """One estimate in progress: what is judged, and what has been found so far."""

    session: Session
    flags: Flags
    data: list[Batch]
    batches: int
    samples: int
    hypotheses: list[Hypothesis]
    skipped: dict[str, str]
    notes: list[str]
    fits: dict[str, Fit] = field(default_factory=dict)
    passes: int = 0

    def __post_init__(self) -> None:
        self._memories: dict[str, Memory] = {}
        modules = dict(walk(self.session.model))
        for hypothesis in list(self.hypotheses):
            memory = remembered(modules[hypothesis.path])
            if isinstance(memory, str):
                self._drop(hypothesis.path, memory)
            else:
                self._memories[hypothesis.path] = memory
        if not self.hypotheses:
            raise ModelError(_nothing(self.skipped))
        supposed = [path for path, memory in self._memories.items() if memory.supposed]
        if supposed:
            self.notes.append(_SUPPOSED.format(len(supposed), supposed[0]))

    def settle(self, report: Reporter) -> None:
        """Pass after pass, until no τ moves by more than a fraction of its error."""
        taus = {hypothesis.path: 0.0 for hypothesis in self.hypotheses}
        moved = math.inf
        while moved > _SETTLED and self.passes < MOST_PASSES and self.hypotheses:
            moved = self._update(self._pass(taus, report), taus)
            self.passes += 1
            report(self.passes, MOST_PASSES)
        if moved > _SETTLED:
            self.notes.append(f"the estimates still moved after {self.passes} passes")

    def _pass(self, taus: dict[str, float], report: Reporter) -> dict[str, Received]:
        def step(done: int, batch: Batch) -> None:
            report.draw(self.passes + done / len(self.data), MOST_PASSES)

        return injected_pass(self.session, self.flags, self.hypotheses, taus, self.data, step)

    def _update(self, seen: dict[str, Received], taus: dict[str, float]) -> float:
        """New τ of all sites; by how many standard errors the noise put in must move at most."""
        excesses: dict[str, Excess] = {}
        for path in list(taus):
            reason = self._unfit(seen[path])
            if not reason:
                excesses[path] = self._excess(path, seen[path], taus[path])
                few = int(excesses[path].live().sum()) < _LEAST_CHANNELS
                reason = (
                    f"fewer than {_LEAST_CHANNELS} channels vary: no error to tell" if few else ""
                )
            if reason:
                self._drop(path, reason)
                del taus[path]
        seen_drifts = drifts([fit(excess).witness for excess in excesses.values()])
        moved = 0.0
        for path, drift in zip(list(taus), seen_drifts, strict=True):
            found = fit(excesses[path], drift)
            change = abs(max(found.tau, 0.0) - max(taus[path], 0.0))
            moved = max(moved, change / found.tau_se if found.tau_se else 0.0)
            self.fits[path], taus[path] = found, found.tau
        return moved

    def _unfit(self, seen: Received) -> str:
        if len(seen.variances) == len(seen.energies) == self.batches:
            return ""
        return f"reached by {len(seen.variances)} of {self.batches} batches: not by every one"

    def _excess(self, path: str, seen: Received, tau: float) -> Excess:
        memory = self._memories[path]
        samples = torch.tensor(seen.samples, dtype=torch.float64)
        return Excess(
            stored_mean=memory.mean,
            stored_var=memory.var,
            means=torch.stack(seen.means),
            variances=torch.stack(seen.variances),
            energy=_average(seen.energies, samples),
            samples=samples,
            injected=max(tau, 0.0),
            memory=memory.share,
        )

    def _drop(self, path: str, reason: str) -> None:
        self.hypotheses = [one for one in self.hypotheses if one.path != path]
        self.skipped[path] = reason

    def result(self) -> Footprint:
        """The finished result."""
        channels = {path: len(memory.var) for path, memory in self._memories.items()}
        sites = judged(self.hypotheses, self.fits, channels)
        odd = [path for path, site in sites.items() if site.misfit > _POOR_FIT]
        if odd:
            self.notes.append(_POOR.format(len(odd), len(sites), ", ".join(odd[:5])))
        return Footprint(
            sites, self.skipped, tuple(self.notes), self.samples, self.batches, self.passes
        )


def _average(parts: list[Tensor], samples: Tensor) -> Tensor:
    return (samples[:, None] * torch.stack(parts)).sum(0) / samples.sum()


def _nothing(skipped: dict[str, str]) -> str:
    text = "the model has no BatchNorm whose stored variance could remember noise"
    if skipped:
        path, reason = next(iter(skipped.items()))
        text += f" ({path}: {reason})"
    return text
