"""One training and one evaluation pass over the batches: what each norm met, what it had stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch, Forward, call
from varshift._engine.borrow.model import Buffers, set_training, training_flags
from varshift._engine.borrow.rng import drawn_from, rng_state
from varshift._engine.progress import SILENT, Reporter
from varshift._engine.record.recording import Recording
from varshift._engine.record.tally import Tally
from varshift._engine.sites import Handle
from varshift._engine.tap import Tap
from varshift.results.measurement import Statistics

__all__ = ["Met", "Seen", "draws_in_evaluation", "look"]


@dataclass(frozen=True, eq=False)
class Met:
    """What one norm site had stored, and what arrived at it in each mode."""

    site: Handle
    stored: Statistics
    train: Tally
    test: Tally

    @property
    def fresh(self) -> bool:
        """Whether it still holds the statistics it was made with."""
        return self.stored.untouched


@dataclass(frozen=True)
class Seen:
    """The norm sites that either pass reached; `lasting`: evaluation drew random numbers too."""

    sites: Mapping[str, Met]
    lasting: bool

    @property
    def fresh(self) -> bool:
        """Whether no norm has been trained."""
        return all(met.fresh for met in self.sites.values())

    def settle(self, frozen: set[str], rounds: int = 0) -> None:
        """Write what training on these batches would store; frozen norms keep what they have.

        With `rounds` they are one batch, passed that often: its evaluation then meets the biased
        variance that its training divides by, and n/(n − 1) is not taken for noise.
        In place: `Buffers.restore` takes it back.
        """
        with torch.no_grad():
            for path, met in self.sites.items():
                if path in frozen or not met.train.count:
                    continue
                within = met.train.within()
                if rounds:
                    count = met.train.count / rounds
                    within = within * (count - 1) / count
                _copy_finite(met.site.running_mean, met.train.total().mean)
                _copy_finite(met.site.running_var, within)


def look(
    model: nn.Module, held: Sequence[Batch], forward: Forward | None, report: Reporter = SILENT
) -> Seen:
    """Run the batches as in training and as in evaluation; the model is borrowed and training."""
    train, test = Recording("train"), Recording("test")
    on = training_flags(model)
    off = [(module, False) for module, _ in on]
    buffers = Buffers(model)
    lasting = False
    known: set[int] = set()
    report.begin("comparing training and evaluation")
    for done, batch in enumerate(held, 1):
        for recording, flags in ((train, on), (test, off)):
            if recording is test and id(batch) in known:  # the same example again: no news
                continue
            known.add(id(batch) if recording is test else 0)
            set_training(flags)
            before = rng_state()
            recording.begin(batch)
            with Tap(model, recording.norm):
                out = call(model, batch, forward)
            recording.end(out)
            buffers.restore()
            drawn = bool(drawn_from(before, rng_state()))
            lasting = lasting or (recording is test and drawn)
        report.draw(done, len(held))
    set_training(on)
    sites = {
        path: _met(path, handle, train, test)
        for path, handle in {**train.handles, **test.handles}.items()
    }
    return Seen(sites, lasting)


def _met(path: str, handle: Handle, train: Recording, test: Recording) -> Met:
    nothing = Tally.nothing(handle.running_mean.numel())
    both = (recording.at.get(path, nothing) for recording in (train, test))
    return Met(handle, {**test.stored, **train.stored}[path], *both)


def draws_in_evaluation(model: nn.Module, batch: Batch, forward: Forward | None) -> bool:
    """Whether an evaluation pass uses a random generator; the model is borrowed and training."""
    on, buffers, before = training_flags(model), Buffers(model), rng_state()
    set_training([(module, False) for module, _ in on])
    call(model, batch, forward)
    buffers.restore()
    set_training(on)
    return bool(drawn_from(before, rng_state()))


def _copy_finite(place: Tensor, value: Tensor) -> None:
    value = value.to(place.device, place.dtype)
    # As batch norm writes: without a word to the version counter, so a user's graph stays whole.
    place.data.copy_(torch.where(torch.isfinite(value), value, place))
