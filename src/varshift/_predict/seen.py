"""Prediction with data: each batch passes once with noise on and once as at test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from varshift._engine import Batch, Data, Passed, Regime, Session, batches_in_all
from varshift._predict.figures import Figures
from varshift._predict.means import left_out
from varshift._predict.passes import DirectNoise
from varshift._predict.recorders import AtTest
from varshift._predict.setting import Setting, refuse_nothing
from varshift.results import Prediction

__all__ = ["prediction_on"]


def prediction_on(
    run: Session,
    data: Data,
    max_samples: int | None,
    noise: Mapping[str, Any] | None,
    moved: Mapping[str, str] | None,
) -> Prediction:
    """What follows from passes over the data.

    Under other noise, one pass of the first batch says beforehand which sources there are, and the
    batches are held: the statistics that training would store are known only after all of them.
    """
    batches = run.batches(data, max_samples)
    direct = DirectNoise()
    if noise or moved:
        first = list(islice(batches, 1))
        # Under the name of the noisy passes: the bar counts modules in the first of a name alone.
        run.run(first, {"train": Regime("training", structure=True)})
        refuse_nothing(run.structure)
        setting = Setting.of(run.structure, noise, moved, run.model, run.twice)
        out = left_out(run, first, setting.changed | setting.silenced)
        setting = replace(setting, left_out=out)
        direct = DirectNoise(setting, run.names)
        batches = chain(first, batches)
    held: list[Batch] = []
    test = AtTest()
    regimes = {"train": direct.regime()}
    if direct.setting.as_it_is:
        regimes["test"] = Regime("evaluation", record=(test,))

    def step(done: int, batch: Batch) -> None:
        if done == 1:
            refuse_nothing(run.structure)
            run.report.begin("predicting")
        if not direct.setting.as_it_is:
            held.append(batch)
        run.report(done, batches_in_all(data, max_samples, done, batch))

    passed = run.run(batches, regimes, step)
    if not direct.setting.as_it_is:
        run.report.begin("evaluating under the noise asked for")
        at_test = Regime("evaluation", record=(test,), norms=direct.norms(run.structure))
        run.run(held, {"test": at_test}, lambda done, batch: run.report.draw(done, len(held)))
    return _made(run, direct, passed, test, noise, moved)


def _made(
    run: Session,
    direct: DirectNoise,
    passed: Passed,
    test: AtTest,
    noise: Mapping[str, Any] | None,
    moved: Mapping[str, str] | None,
) -> Prediction:
    structure = run.structure
    setting = Setting.of(structure, noise, moved, run.model)
    figures = direct.figures(structure, passed.samples, test)
    lost = [found.lost for found in figures.values() if found.lost]
    return Prediction(
        sites={path: found.expected() for path, found in figures.items()},
        structure=structure,
        asked=setting.taus,
        samples=passed.samples,
        skipped={
            norm.path: "no batch reached it in both modes"
            for norm in structure.norms
            if norm.path not in figures
        },
        notes=tuple(
            dict.fromkeys(
                [
                    *structure.notes,
                    *setting.notes,
                    *(
                        f"{norm.path}: runs more than once a pass; its inputs are pooled"
                        for norm in structure.norms
                        if norm.reused
                    ),
                    *(
                        f"its noise has no closed form here, so the figure was sampled: {why}"
                        for why in lost
                    ),
                    *_changing(figures.values()),
                ]
            )
        ),
    )


def _changing(figures: Iterable[Figures]) -> Iterator[str]:
    """Sources whose own rate was another one in another batch, as by a schedule."""
    for found in figures:
        for source, (least, most) in found.site.rates.items():
            if found.site.changes(source):
                yield (
                    f"{source}: its τ went from {least:.3g} to {most:.3g} over these batches, each "
                    "of which counts with its own; the mean is given"
                )
