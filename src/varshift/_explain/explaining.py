"""The verb: four ways of running the same batches, and what they say together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn

from varshift._engine.batches import Batch, Data, Forward, batches, call
from varshift._engine.borrow.model import Buffers, borrowed, set_training, training_flags
from varshift._engine.borrow.rng import drawn_from, rng_state
from varshift._engine.control import names_of
from varshift._engine.normcall import Fixed, NormCall
from varshift._engine.progress import Progress, Report, batches_in_all, reporter
from varshift._engine.record.stored import stored_statistics
from varshift._engine.sites import Handle
from varshift._engine.structure import traced
from varshift._engine.tap import Tap
from varshift._engine.trace.tracer import tracing
from varshift._explain.blame import blame_of, noisy_spread
from varshift._explain.factors import SiteLanes, factors_of
from varshift._explain.lanes import Lane, Spread
from varshift._explain.outputs import output_of
from varshift._explain.passes import BlamePasses, Flags
from varshift._explain.verdict import judged, reason
from varshift.results.explanation import Explanation, Factors
from varshift.results.measurement import Statistics
from varshift.results.structure import Norm, Structure

__all__ = ["explain"]

_LITTLE = 8  # samples of a source below which a share is little more than a guess


def explain(
    model: nn.Module,
    data: Data,
    *,
    test_data: Data | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    progress: Progress = None,
) -> Explanation:
    """Say whose fault the gap between training and test is, how much, and from which line of code.

    Each batch passes four times: as in training; as in evaluation; with noise off while every norm
    uses the statistics of training; and so again with each sample carrying its own subset of the
    noise sources. The model comes back as it was. The batches are kept in memory until the end:
    `max_samples` bounds them.

    Args:
        model: any module. Without BatchNorm only its outputs are explained.
        data: training batches, in the batch size of training; forms as in `measure`.
        test_data: batches of the data the model is evaluated on, for the factor `data`.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: stop after so many samples (of each data set).
        progress: True for a bar, or a callable `(batches done, batches in all or None)`.

    Returns:
        An `Explanation`: `x.verdict`, `x.factors[path]`, `x.blame[noise, path]`, `x.outputs`.

    Raises:
        ModelError: the model raised or overflowed; the message says where.
        DataError: no batches, an unknown form, NaN or infinity in a batch (named by index).

    Example:
        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> norm = torch.nn.BatchNorm1d(4, momentum=None)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm)
        >>> data = [torch.randn(256, 4) for _ in range(16)]
        >>> _ = [model(batch) for batch in data]
        >>> x = vs.explain(model, data)
        >>> x.verdict, round(x.blame["0", "1"], 1)  # half of the variance is dropout's
        ('noise', 0.5)
    """
    with borrowed(model) as inner, reporter(progress) as report:
        if not inner.training:
            inner.train()
        taken = partial(
            batches, model=inner, forward=forward, device=device, max_samples=max_samples
        )
        held = list(report.reading(taken(data), data, max_samples, then="tracing modules"))
        run = _Run(inner, forward)
        total = 4 * len(held)
        for done, batch in enumerate(held, 1):
            run.compare(batch, report.draw)
            if done == 1:
                report.begin("comparing training and evaluation")
            report(2 * done, total)
        structure = run.structure(model)
        report.say("silencing each noise")
        passes = run.blame_passes(structure)
        rounds = run.blame(
            *(passes, held),
            lambda done, rounds: report(2 * (len(held) + done), 2 * (1 + rounds) * len(held)),
        )
        if test_data is not None:
            report.begin("test data")
            for done, batch in enumerate(taken(test_data), 1):
                run.look_at(batch)
                report.draw(done, batches_in_all(test_data, max_samples, done, batch))
    return run.explanation(structure, passes, rounds, held)


@dataclass
class _Run:
    """One explanation in progress."""

    model: nn.Module
    forward: Forward | None
    train: Lane = field(default_factory=lambda: Lane("training", scattered=True))
    test: Lane = field(default_factory=lambda: Lane("evaluation"))
    data: Lane = field(default_factory=lambda: Lane("test data"))
    stored: dict[str, tuple[Handle, Statistics]] = field(default_factory=dict)
    moved: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._on: Flags = training_flags(self.model)
        self._off: Flags = [(module, False) for module, _ in self._on]
        self._buffers = Buffers(self.model)
        self._first: Batch | None = None

    # The four ways -------------------------------------------------------------------------

    def compare(self, batch: Batch, draw: Report) -> None:
        """One batch as in training and as in evaluation; the first is traced on its way."""
        if self._first is None:
            self._first = batch
            before = rng_state()
            set_training(self._on)
            with tracing(self.model, batch.value, draw) as self._tracer:
                self._pass(self.train, batch)
            self.moved = drawn_from(before, rng_state())
        else:
            set_training(self._on)
            self._pass(self.train, batch)
        set_training(self._off)
        self._pass(self.test, batch)

    def look_at(self, batch: Batch) -> None:
        """One batch of the test data, as in evaluation."""
        set_training(self._off)
        self._pass(self.data, batch)

    def blame_passes(self, structure: Structure) -> BlamePasses:
        """The passes with fixed statistics, ready for the first batch."""
        assert self._first is not None
        totals = {place: tally.total() for place, tally in self.train.tallies.items()}
        fixed = {
            place: Fixed(total.mean, total.var(unbiased=False))
            for place, total in totals.items()
            if place in self.stored and not self._frozen(place)
        }
        passes = BlamePasses(
            model=self.model,
            forward=self.forward,
            on=self._on,
            off=self._off,
            fixed=fixed,
            references={place: total.mean for place, total in totals.items()},
            names=names_of(self._tracer),
            sources=[
                noise.name for noise in structure.noises if noise.active and noise.module != ""
            ],
            noisy=any(noise.active for noise in structure.noises),
        )
        passes.prepare(self._first)
        passes.sources = [
            name
            for name in passes.sources
            if not passes.silenced.get(name, "not").startswith("not")
        ]
        if passes.sources != passes.design.sources:
            passes.prepare(self._first)
        return passes

    def _frozen(self, place: str) -> bool:
        """Whether a norm uses its stored statistics in training too."""
        seen = self._tracer.sites.get(place)
        if seen is not None:
            return seen.frozen
        owner = self.stored[place][0].module  # of a layer that the first batch left out
        return any(module is owner and not training for module, training in self._on)

    def blame(
        self, passes: BlamePasses, held: list[Batch], report: Callable[[int, int], None]
    ) -> int:
        """As many rounds over the data as the subsets need: one, but for a few whole batches."""
        units = len(held) if passes.design.whole_batches else sum(b.samples for b in held)
        rounds = max(1, math.ceil(passes.design.least / units)) if passes.noisy else 1
        for number in range(rounds):
            for done, batch in enumerate(held, 1):
                passes.add(batch, first_round=number == 0)
                report(number * len(held) + done, rounds)
        return rounds

    def _pass(self, lane: Lane, batch: Batch) -> None:
        def take(call: NormCall) -> None:
            site, x = call.handle, call.x
            if site.path not in self.stored:
                self.stored[site.path] = (site, stored_statistics(site))
            lane.tallies.add(site.path, x)

        lane.tallies.begin(batch)
        with Tap(self.model, take):
            out = call(self.model, batch, self.forward)
        self._buffers.restore()
        lane.add_outputs(out, batch)
        lane.tallies.end()

    # What comes of it ----------------------------------------------------------------------

    def structure(self, model: nn.Module) -> Structure:
        """What the trace of the first training pass found."""
        assert self._first is not None
        return traced(model, self._tracer, self._first, self.forward, self.moved)

    def explanation(
        self, structure: Structure, passes: BlamePasses, rounds: int, held: list[Batch]
    ) -> Explanation:
        """The finished result."""
        clean = {place: passes.clean.spread(place) for place in passes.clean.tallies}
        noisy = {place: noisy_spread(passes, place, spread) for place, spread in clean.items()}
        blame = blame_of(passes, structure, noisy, 2 + rounds if passes.noisy else 2)
        factors = {
            norm.path: self._factors(norm, clean[norm.path], noisy[norm.path])
            for norm in structure.norms
            if self._everywhere(norm.path, passes)
        }
        outputs = {
            name: output_of(name, noisy[name], spread)
            for name, spread in clean.items()
            if name not in self.stored
        }
        skipped = {
            norm.path: "no batch reached it in every way of running the model"
            for norm in structure.norms
            if norm.path not in factors
        }
        verdict, scores, worst = judged(factors, outputs)
        return Explanation(
            verdict=verdict,
            reason=reason(verdict, factors, blame, structure, outputs, worst),
            scores=scores,
            worst=worst,
            factors=factors,
            blame=blame,
            outputs=outputs,
            structure=structure,
            samples=sum(batch.samples for batch in held),
            batches=len(held),
            passes=3 + rounds if passes.noisy else 3,
            skipped=skipped,
            notes=tuple(dict.fromkeys([*structure.notes, *passes.notes, *self._notes(passes)])),
        )

    def _everywhere(self, path: str, passes: BlamePasses) -> bool:
        lanes = [self.train, self.test, passes.clean, *([self.data] if self.data.tallies else [])]
        return all(path in lane.tallies for lane in lanes)

    def _factors(self, norm: Norm, clean: Spread, noisy: Spread) -> Factors:
        path = norm.path
        train, stored = self.train.tallies[path], self.stored[path][1]
        spread = self.train.spread(path)
        # The groups do not keep variances within batches; what differs is the same share in each.
        within = Spread(spread.mean, spread.var * (train.within() / spread.var[0]))
        weight = _inherited(norm.momentum, stored.count)
        mean, var = (weight * scatter for scatter in self.train.tallies[path].scattered)
        return factors_of(
            SiteLanes(
                path=path,
                stored=Spread(stored.mean[None], stored.var[None]),
                within=within,
                train=spread,
                noisy=noisy,
                clean=clean,
                test=self.test.spread(path),
                data=self.data.spread(path) if self.data.tallies else None,
                inherited=(mean, var),
                precision=train.precision,
            )
        )

    def _notes(self, passes: BlamePasses) -> list[str]:
        notes = [
            f"{name}: silenced {how}"
            for name, how in passes.silenced.items()
            if not how.startswith("exactly")
        ]
        design = passes.design
        seen = max((contrast.samples for contrast in passes.contrasts.values()), default=0)
        few = seen * design.share_alone < _LITTLE
        if passes.clean.tallies and passes.sources and not design.whole_batches and few:
            notes.append(
                f"only {seen} samples for {len(passes.sources)} sources: shares are rough, give "
                "more data"
            )
        if not self.data.tallies:
            notes.append("no test_data was given: the factor data is 1 by definition")
        return notes


def _inherited(momentum: float | None, tracked: int) -> float:
    """Share of the scatter between batches that the stored average keeps."""
    if momentum is None:
        return 1 / tracked if tracked else 0.0
    return momentum / (2 - momentum)
