"""The verb: theory applied to a model's own weights and, if given, its own data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.batches import Batch, Data, Forward, batches, call, one_batch
from varshift._engine.borrow.model import Buffers, borrowed, set_training, training_flags
from varshift._engine.borrow.walk import walk
from varshift._engine.control import directed, names_of
from varshift._engine.normcall import Fixed, NormCall
from varshift._engine.progress import Progress, Report, batches_in_all, reporter
from varshift._engine.structure import traced
from varshift._engine.trace.modules import module_stack
from varshift._engine.trace.tracer import tracing
from varshift._predict.algebras import Tensors
from varshift._predict.blind import blind_prediction
from varshift._predict.books import SiteBooks
from varshift._predict.ledger import Entry, Ledger
from varshift._predict.planting import planted
from varshift._predict.setting import Setting
from varshift.errors import ModelError, UsageError
from varshift.results.prediction import Prediction

__all__ = ["predict"]


def predict(
    model: nn.Module,
    data: Data | None = None,
    *,
    example: Any = None,
    noise: Mapping[str, Any] | None = None,
    moved: Mapping[str, str] | None = None,
    width: float | None = None,
    forward: Forward | None = None,
    device: torch.device | str | None = None,
    max_samples: int | None = None,
    progress: Progress = None,
) -> Prediction:
    """Predict the shift at every norm, as the model is or under other noise, the weights fixed.

    With data, each batch passes once with noise on and once in evaluation mode. Noise that reaches
    a norm directly is integrated out by the closed forms (exact for element, channel and sample
    sharing); only what passes through another norm is drawn. Without data, `example` is traced
    once and the stored statistics, the weights and Gaussian moments do the rest.

    Args:
        model: any module with BatchNorm layers.
        data: batches as in `measure`; None predicts from the checkpoint alone.
        example: one batch to trace, needed where `data` is None.
        noise: what each source is to draw: `{glob: drop_p}`, or a noise layer, or a law of
            `varshift.theory` such as `uout(0.2)`. Globs match names and module paths.
        moved: `{source: module path}`: the source's noise stands before that module instead.
        width: predict a network this many times as wide, cos²θ of the filters as it is now.
        forward: `lambda model, batch: …` for batches of any other form.
        device: where to put batches; by default where the model is.
        max_samples: stop after so many samples.
        progress: True for a bar, or a callable `(batches done, batches in all or None)`; without
            data `(passes done, passes in all)`.

    Returns:
        A `Prediction`: `f.sites[path].shift` with its band, and `f.max_drop_p(…)`.

    Raises:
        UsageError: no source or module of that name, or neither data nor an example.
        ModelError, DataError: as in `measure`.

    Example:
        >>> import torch, varshift as vs
        >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(4))
        >>> data = [torch.randn(512, 4) for _ in range(4)]
        >>> f = vs.predict(model, data, noise={"0": 0.2})
        >>> round(f.sites["1"].shift, 2)      # mean 0: Δ = keep_p
        0.8
    """
    if data is None and example is None:
        raise UsageError("give data=, or example= (one batch to trace) to predict without data")
    if data is None and width is not None:
        raise UsageError("width= needs data: how inputs correlate is not in a checkpoint")
    quick = 2 if data is None else 0  # seconds in which most predictions without data are made
    with borrowed(model) as inner, reporter(progress, "tracing modules", quick) as report:
        if not inner.training:
            inner.train()
        run = _Run(model, inner, forward, noise, dict(moved or {}))
        if data is None:
            first = one_batch(example, inner, forward=forward, device=device)
            run.begin(first, report.draw)
            settings = run.lent_setting, run.setting
            return blind_prediction(inner, first, forward, run.structure, *settings, report)
        for batch in batches(data, inner, forward=forward, device=device, max_samples=max_samples):
            if run.batches == 0:
                run.begin(batch, report.draw)
                report.begin("predicting")
            run.add(batch)
            report(run.batches, batches_in_all(data, max_samples, run.batches, batch))
        report.begin("evaluating under the noise asked for")
        run.finish(report.draw)
    found = run.prediction()
    return found if width is None else found.wider(width)


@dataclass
class _Run:
    """One prediction in progress."""

    lent: nn.Module
    model: nn.Module
    forward: Forward | None
    noise: Mapping[str, Any] | None
    moved: Mapping[str, str]
    books: dict[str, SiteBooks] = field(default_factory=dict)
    samples: int = 0
    batches: int = 0
    _held: list[tuple[int, Batch]] = field(default_factory=list)

    def begin(self, first: Batch, report: Report) -> None:
        """Trace the first batch: what draws where, and what is asked of it."""
        self._on = training_flags(self.model)
        self._off = [(module, False) for module, _ in self._on]
        self._buffers = Buffers(self.model)
        self._algebra = Tensors()
        with tracing(self.model, first.value, report) as tracer:
            call(self.model, first, self.forward)
        self._buffers.restore()
        self.structure = traced(self.lent, tracer, first, self.forward)
        if not self.structure.norms:
            raise ModelError(
                "the model has no BatchNorm with running statistics, so nothing can shift between "
                "training and test: there is nothing to predict"
            )
        self._twice = {
            route.norm
            for route in self.structure.routes
            if route.direct and "through-norm" in route.placements
        }
        self._frozen = {norm.path for norm in self.structure.norms if norm.frozen}
        paths = {path for path, _ in walk(self.model)}
        names = names_of(tracer)
        self.setting = Setting.of(self.structure, names, self.noise, self.moved, paths)
        self.lent_setting = Setting.lent(self.structure, names)

    def add(self, batch: Batch) -> None:
        """One batch with noise on, and in evaluation mode."""
        index, self.batches = self.batches, self.batches + 1
        self.samples += batch.samples

        def on_site(path: str, x: Tensor, entry: Entry | None) -> None:
            book = self.books.setdefault(path, SiteBooks(path, path in self._twice))
            book.arrive(index, x, entry, self._algebra, self.setting.taus)

        set_training(self._on)
        with module_stack(self.model) as modules:
            ledger = Ledger(
                *(self.model, modules, batch.value),
                setting=self.setting,
                algebra=self._algebra,
                on_site=on_site,
            )
            with planted(self.model, ledger, self.setting), ledger:
                call(self.model, batch, self.forward)
        self._buffers.restore()
        if self.setting.as_it_is:
            self._test(index, batch, {})
        else:
            self._held.append((index, batch))

    def finish(self, report: Report) -> None:
        """Under other noise the model would have stored other statistics: evaluate with those."""
        fixed = {
            path: book.statistics()
            for path, book in self.books.items()
            if path not in self._frozen and not self.setting.as_it_is
        }
        for done, (index, batch) in enumerate(self._held, 1):
            self._test(index, batch, fixed)
            report(done, len(self._held))

    def _test(self, index: int, batch: Batch, fixed: Mapping[str, Fixed]) -> None:
        def at_test(call: NormCall) -> NormCall | None:
            if call.path in self.books:
                self.books[call.path].arrive_at_test(index, call.x)
            held = fixed.get(call.path)
            return None if held is None else call.fixed(held)

        set_training(self._off)
        with directed(
            self.model,
            batch.value,
            names=self.setting.names,
            blend=lambda meeting: meeting.noisy,
            on_norm=at_test,
        ):
            call(self.model, batch, self.forward)
        self._buffers.restore()
        set_training(self._on)

    def prediction(self) -> Prediction:
        """The finished result."""
        through = {route.norm for route in self.structure.routes if not route.direct}
        further = bool(self.setting.plants)
        sites = {
            path: book.expected(path in through or further, self.samples)
            for path, book in self.books.items()
            if all(group.test for group in book.groups.values())
        }
        lost = [book.lost for book in self.books.values() if book.lost]
        return Prediction(
            sites=sites,
            structure=self.structure,
            asked=dict(self.setting.taus),
            samples=self.samples,
            skipped={
                norm.path: "no batch reached it in both modes"
                for norm in self.structure.norms
                if norm.path not in sites
            },
            notes=tuple(
                dict.fromkeys(
                    [
                        *self.structure.notes,
                        *self.setting.notes,
                        *(f"no closed form to the norm, so it was drawn: {why}" for why in lost),
                    ]
                )
            ),
        )
