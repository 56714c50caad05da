"""What an example shows of a model: passes with noise on and off, beside what a checkpoint says.

Norms use their stored statistics, so that a few samples are normalised as the data of training
were. Under other noise than that of training they use what the noisy passes would have stored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from varshift._engine import Batch, Norms, Regime, Session, stored
from varshift._predict.likeness import LIKE, LIKE_IN_BATCH, Likeness
from varshift._predict.passes import DirectNoise
from varshift._predict.recorders import AtTest
from varshift._predict.setting import Setting
from varshift.results import Expected
from varshift.theory.moments import merge_all

__all__ = ["AT_TEST", "Shown", "shown_by"]

AT_TEST = ("likeness at test", "example at test")  # the regimes of evaluation, of which one is run


@dataclass(frozen=True, eq=False)
class Shown:
    """Sites by path, on the example alone.

    `samples`: how many it holds. `distance`: how unlike the data of training it is, see `Likeness`;
    `in_batch`: the same where norms use the example's own statistics; `at_test`: the same without
    noise, known where it is unlike.
    `values`: how many a channel of each norm has in it. `batch`: the variance at each norm in
    training, where it normalised by the example itself. `masks`: one standard error of each shift,
    by the spread of the masks.
    """

    sites: Mapping[str, Expected]
    samples: int
    distance: float
    in_batch: float
    values: Mapping[str, int] = field(default_factory=dict)
    batch: Mapping[str, Tensor] = field(default_factory=dict)
    masks: Mapping[str, float] = field(default_factory=dict)
    at_test: float = math.nan

    @property
    def like(self) -> bool:
        """Whether it can be gone by."""
        return self.distance <= LIKE

    @property
    def of_evaluation(self) -> bool:
        """Whether what norms have stored is what they receive without noise."""
        return self.at_test <= LIKE_IN_BATCH

    @property
    def astray(self) -> bool:
        """Whether not the example is unlike, but what norms make of it by their statistics."""
        return not self.like and self.in_batch <= LIKE_IN_BATCH


def shown_by(run: Session, batch: Batch, by_batch: Likeness, setting: Setting) -> Shown:
    """Pass the example with noise on, the oftener the fewer samples it has, and once off.

    `by_batch`: what norms received in training with the statistics of the example. An example that
    is unlike the data of training is passed but once.
    """
    like = Likeness(by_batch.handles)
    samples = run.run(
        [batch], {"likeness": Regime("training", record=(like,), norms=stored)}
    ).samples
    far = like.distance()
    in_batch = by_batch.distance()
    if not far <= LIKE:
        clean = Likeness(by_batch.handles)
        run.run([batch], {AT_TEST[0]: Regime("evaluation", record=(clean,))})
        return Shown({}, samples, far, in_batch, at_test=clean.distance())
    noisy, norms = _with_noise(run, batch, 4 if samples < 32 else 2, setting)
    test = AtTest()
    run.run([batch], {AT_TEST[1]: Regime("evaluation", record=(test,), norms=norms)})
    # Given as variances, so that the bands hold the spread of the masks alone.
    at_test = {path: merge_all(groups.values()) for path, groups in test.at.items()}
    variances = {path: moments.var() for path, moments in at_test.items()}
    figures = noisy.figures(run.structure, samples, variances)
    sites = {path: figure.expected() for path, figure in figures.items()}
    return Shown(
        sites,
        samples,
        far,
        in_batch,
        {path: moments.count for path, moments in at_test.items()},
        {path: moments.var() for path, moments in by_batch.received.items()}
        if setting.as_it_is
        else {},
        {path: site.shift * figures[path].scatter.middle for path, site in sites.items()},
    )


def _with_noise(
    run: Session, batch: Batch, rounds: int, setting: Setting
) -> tuple[DirectNoise, Norms | None]:
    """The noisy passes, and what norms use at test: None for what they have stored."""
    if setting.as_it_is:
        noisy = DirectNoise()
        run.run([batch] * rounds, {"example": replace(noisy.regime(), norms=stored)})
        return noisy, None
    noisy = DirectNoise(setting, run.names)
    run.run([batch] * rounds, {"example": noisy.regime()})
    return noisy, noisy.norms(run.structure)
