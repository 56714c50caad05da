"""The verb: the same batches with noise on and with noise off, and what each norm receives."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import nn

from varshift._engine.batches import Batch, Data, Forward, batches, call
from varshift._engine.borrow.model import Buffers, borrowed, set_training, training_flags
from varshift._engine.borrow.rng import drawn_from, rng_state
from varshift._engine.normcall import NormCall
from varshift._engine.progress import Progress, Report, batches_in_all, reporter
from varshift._engine.record.stored import stored_statistics
from varshift._engine.record.tally import Tally
from varshift._engine.sites import norm_handles
from varshift._engine.structure import traced
from varshift._engine.tap import Tap
from varshift._engine.trace.tracer import Tracer, tracing
from varshift._measure.shift import site_of
from varshift.errors import ModelError
from varshift.results.measurement import Measurement, Site, Statistics
from varshift.results.structure import Structure

__all__ = ["measure"]


def measure(
    model: nn.Module,
    data: Data,
    *,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    progress: Progress = None,
) -> Measurement:
    """Measure how far the input of each norm shifts between training and test.

    Every batch passes twice: as in training (noise on, batch statistics; flags as lent, or after
    `model.train()` if lent in eval mode) and as in evaluation (all flags off, stored statistics).
    Nothing is learned or stored; the model comes back as it was. Memory does not grow with the
    number of samples.

    Args:
        model: any module with BatchNorm layers.
        data: an iterable of batches (tensor; tuple or list whose first item is the input; dict
            passed as keywords), or a callable that returns one.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: stop after so many samples.
        progress: True for a bar, or a callable `(batches done, batches in all or None)`.

    Returns:
        A `Measurement`: `m.sites[path]` holds stored, train and test mean, variance and count per
        channel, Δ, severity and the paper's figure, each with its standard error.

    Raises:
        ModelError: nothing to measure, or the model raised or overflowed; the message says where.
        DataError: no batches, an unknown form, NaN or infinity in a batch (named by index).

    Example:
        >>> import torch, varshift as vs
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4))
        >>> m = vs.measure(model, [torch.randn(512, 4) for _ in range(8)])
        >>> abs(m.sites["1"].shift - 0.5) < 0.05      # mean 0: Δ = keep_p
        True
    """
    with borrowed(model) as inner, reporter(progress, "tracing modules") as report:
        run = _Run(forward, report.draw)
        if not inner.training:
            inner.train()
        run.prepare(inner)
        for batch in batches(data, inner, forward=forward, device=device, max_samples=max_samples):
            run.add(inner, batch)
            if run.batches == 1:
                report.begin("measuring")  # the first, traced batch says nothing of the others
            report(run.batches, batches_in_all(data, max_samples, run.batches, batch))
        structure = run.structure(model)
    return run.measurement(structure)


@dataclass
class _Pair:
    """What one site has received in each mode, and what it stored when it was lent."""

    stored: Statistics
    train: Tally = field(default_factory=Tally)
    test: Tally = field(default_factory=Tally)


@dataclass
class _Run:
    """One measurement in progress."""

    forward: Forward | None
    draw: Report
    moved: tuple[str, ...] = ()
    pairs: dict[str, _Pair] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    samples: int = 0
    batches: int = 0

    def prepare(self, model: nn.Module) -> None:
        """Remember the flags of both modes and the buffers that each pass must find."""
        self._on = training_flags(model)
        self._off = [(module, False) for module, _ in self._on]
        self._buffers = Buffers(model)
        self._mode = "train"
        self._index = 0
        self._tap = Tap(model, self._take)

    def add(self, model: nn.Module, batch: Batch) -> None:
        """Run one batch in both modes."""
        self._index = batch.index
        with ExitStack() as stack:
            if self.batches == 0:
                self._first(stack, model, batch)
            self._pass(model, batch, "train", self._on)
        before = rng_state() if self.batches == 0 else None
        self._pass(model, batch, "test", self._off)
        if before is not None and drawn_from(before, rng_state()):
            self._name_lasting_noise(model, batch)
        self.samples += batch.samples
        self.batches += 1

    def structure(self, model: nn.Module) -> Structure:
        """What the trace of the first training pass found."""
        return traced(model, self._tracer, self._batch, self.forward, self.moved)

    def measurement(self, structure: Structure) -> Measurement:
        """The finished result."""
        sites = {path: self._site(path) for path in self.pairs if self._both(path)}
        skipped = {
            norm.path: "no batch reached it in both modes"
            for norm in structure.norms
            if norm.path not in sites
        }
        notes = [*structure.notes, *self.notes]
        fresh = [path for path, site in sites.items() if site.stored.untouched]
        if fresh:
            notes.append(
                f"{len(fresh)} of {len(sites)} norms still hold the statistics they were made with "
                "(mean 0, variance 1): they have not been trained, and evaluation will be far off"
            )
        reused = [norm.path for norm in structure.norms if norm.reused]
        notes += [f"{path}: runs more than once a pass; its inputs are pooled" for path in reused]
        if not structure.direct():
            notes.append("no active noise reaches a norm directly: no shift by noise is expected")
        return Measurement(
            sites, structure, self.samples, self.batches, skipped, tuple(dict.fromkeys(notes))
        )

    def _first(self, stack: ExitStack, model: nn.Module, batch: Batch) -> None:
        """The first training pass is traced as well: the structure costs no pass of its own."""
        before = rng_state()

        def see_draws() -> None:
            self.moved = drawn_from(before, rng_state())

        stack.callback(see_draws)
        self._tracer: Tracer = stack.enter_context(tracing(model, batch.value, self.draw))
        self._batch = batch

    def _pass(
        self, model: nn.Module, batch: Batch, mode: str, flags: list[tuple[nn.Module, bool]]
    ) -> None:
        set_training(flags)
        self._mode = mode
        with self._tap:
            call(model, batch, self.forward)
        self._buffers.restore()
        if self.batches == 0 and mode == "train" and not self.pairs:
            raise ModelError(_nothing(model))

    def _take(self, call: NormCall) -> None:
        site, x = call.handle, call.x
        pair = self.pairs.get(site.path)
        if pair is None:
            pair = self.pairs[site.path] = _Pair(stored_statistics(site))
        tally = pair.train if self._mode == "train" else pair.test
        if not tally.add(x):
            raise ModelError(
                f"the input of {site.path!r} holds NaN or infinity in the {self._mode} pass of "
                f"batch {self._index}, though the batch itself is finite: the model overflows "
                "before it"
            )

    def _both(self, path: str) -> bool:
        return bool(self.pairs[path].train.count and self.pairs[path].test.count)

    def _site(self, path: str) -> Site:
        pair = self.pairs[path]
        return site_of(path, pair.stored, pair.train, pair.test, self.samples)

    def _name_lasting_noise(self, model: nn.Module, batch: Batch) -> None:
        with tracing(model, batch.value) as tracer:
            call(model, batch, self.forward)
        self._buffers.restore()
        places = [
            f"{source.operation} in {source.path or 'the model'}" for source in tracer.sources
        ]
        self.notes.append(
            f"noise stays on in eval mode ({', '.join(places[:5]) or 'outside torch'}): the test "
            "figures include it, as evaluation does"
        )


def _nothing(model: nn.Module) -> str:
    held = [path for path, handle in norm_handles(model).items() if handle.certain]
    if held:
        return (
            f"the first batch reached none of the {len(held)} BatchNorm layers (the first is "
            f"{held[0]!r}); check forward= and the part of the model that is used"
        )
    return (
        "the model has no BatchNorm with running statistics, so nothing can shift between training "
        "and test: there is nothing to measure"
    )
