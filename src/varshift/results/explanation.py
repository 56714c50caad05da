"""What `explain` gives back: factors per site, blame per source and site, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from torch import Tensor

from varshift._base import Record, Result, plain
from varshift.errors import UsageError, listed
from varshift.results.causes import OtherNorms
from varshift.results.figure import Figure
from varshift.results.grading import Grade, grade_of
from varshift.results.staleness import Staleness
from varshift.results.structure import Structure
from varshift.theory.spread import quantiles

__all__ = [
    *("CAUSES", "FOUND", "LEAST", "Blame", "Cause", "Explanation", "Factors", "Figure", "Output"),
    *("Verdict", "most_off"),
]

SCHEMA = "varshift.explanation/1"

_PARTS = ("alone", "batches", "carried", "composition", "age")
_FIGURES = ("total", "noise", "staleness", "data", *_PARTS)

Cause = Literal["noise", "staleness", "small-batch", "data", "other-norms", "unattributed"]
Verdict = Literal[
    "noise", "staleness", "small-batch", "data", "other-norms", "unattributed", "none"
]
CAUSES: tuple[Cause, ...] = ("noise", "staleness", "small-batch", "data")
"""Those that are asked of every model."""
FOUND: tuple[Cause, ...] = ("other-norms", "unattributed")
"""Those that have a figure only where there is such a thing."""
LEAST = 0.1
"""The least displacement worth a verdict, in deviations of the output of a norm: a variance off by
22 %, or means off by a tenth of a deviation."""


@dataclass(frozen=True, eq=False, repr=False)
class Factors(Record):
    """The total shift of one norm site, taken apart exactly.

    total = noise × staleness × data, and finer: noise = alone × batches × carried, staleness =
    composition × age. Each number is a geometric mean over live channels, so that products of
    figures are figures of products, exactly; `channels` has every factor per channel.

    Attributes:
        path: the norm site.
        total: var_test on the test data (on the training data, where no other was given) divided by
            `running_var`. Both variances over all values, unbiased.
        noise: test ÷ train, over the same batches: evaluation mode against training mode.
        staleness: train ÷ `running_var`.
        data: test data ÷ training data, both in evaluation mode; 1 where no test data was given.
        alone: of `noise`, what the noise itself does: noise off ÷ noise on, every norm normalising
            by the same training statistics. Noise off is as in evaluation, but with the norms of
            training, so code under `self.training` counts too: `displacement` tells them apart.
        batches: of `noise`, what normalising by a batch's own statistics does: training statistics
            ÷ batch statistics, noise on. Off 1 where batches are small.
        carried: of `noise`, what stored statistics that do not fit do to everything after them:
            stored statistics ÷ training statistics, noise off.
        composition: of `staleness`, train over all values ÷ train within batches. `running_var`
            averages variances within batches: what differs between batches it has never seen.
        age: of `staleness`, train within batches ÷ `running_var`: momentum, few steps, drift.
        displacement: by cause, how far it moves the output of the norm, in deviations: root mean
            square over live channels, and those that vary while a variance of 0 is stored, of mean
            shift and half log variance ratio, each variance with the norm's eps in it, less what
            sampling errors account for. "other-norms" and "unattributed" (what stays with every
            source silenced, and no draw of the pass explains) are there only where found.
        mean_shift: by cause, the root-mean-square shift of the mean, in stored deviations.
        off: how far what is stored displaces the output in evaluation of the training data, in
            the same terms, whatever the cause.
        channels: every factor by name, (C,) float64; NaN where evaluation keeps a channel constant,
            infinite where training does, or where a variance of 0 is stored.
        live: (C,) bool: channels that vary in every way of running the model, and have stored that
            they do.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> norm = torch.nn.BatchNorm1d(4, momentum=None)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm).double()
    >>> data = [torch.randn(256, 4, dtype=torch.float64) for _ in range(16)]
    >>> _ = [model(batch) for batch in data]
    >>> x = vs.explain(model, data)
    >>> f = x.factors["1"]
    >>> round(f.noise, 1), round(f.staleness, 1), round(f.data, 1)
    (0.5, 1.0, 1.0)
    >>> abs(f.noise * f.staleness * f.data / f.total - 1) < 1e-12
    True
    """

    path: str
    total: Figure
    noise: Figure
    staleness: Figure
    data: Figure
    alone: Figure
    batches: Figure
    carried: Figure
    composition: Figure
    age: Figure
    displacement: Mapping[Cause, Figure]
    mean_shift: Mapping[Cause, Figure]
    channels: Mapping[str, Tensor]
    live: Tensor
    off: Figure

    @property
    def by_batches(self) -> float:
        """What normalising by a batch, and averaging within batches, does: two factors as one."""
        return self.batches.value * self.composition.value

    @property
    def by_age(self) -> float:
        """What stored statistics that do not fit do, here and before: two factors as one."""
        return self.carried.value * self.age.value

    @property
    def spread(self) -> tuple[float, ...] | None:
        """The total over the channels, at `varshift.theory.spread.QUANTILES`; None without it."""
        return quantiles(self.channels["total"]) if "total" in self.channels else None

    @property
    def displaced(self) -> float:
        """The largest displacement, whatever its cause."""
        return max(figure.value for figure in self.displacement.values())

    @property
    def severity(self) -> float:
        """The total as max(t, 1/t)."""
        total = self.total.value
        return max(total, 1 / total) if total > 0 else math.nan

    @property
    def grade(self) -> Grade:
        """How far the variance at test surely is from the stored one, whatever the cause."""
        error = self.total.se / self.total.value * self.severity if self.total.value else math.nan
        return grade_of(self.severity, error)

    @property
    def apart(self) -> bool:
        """Whether norms before it, or small batches, change the factor `noise` by a tenth."""
        noise, alone = self.noise.value, self.alone.value
        return alone > 0 and noise > 0 and max(noise / alone, alone / noise) > 1.1


def most_off(factors: Mapping[str, Factors]) -> str | None:
    """The norm where what is stored surely displaces evaluation most, whatever the cause.

    None where none does by as much as a verdict takes, a tenth of a deviation.
    """
    off = {path: site.off.value - 2 * site.off.se for path, site in factors.items()}
    found = [path for path, size in off.items() if size >= LEAST]
    return max(found, key=lambda path: off[path], default=None)


@dataclass(frozen=True, eq=False, repr=False)
class Blame(Record):
    """Which source causes how much of a place's variance in training: `blame[noise, place]`.

    A place is a norm site or an output. A share is (variance with that source alone − variance with
    none) ÷ variance with all, the mean over live channels; every norm normalises by its training
    statistics. `interaction[place]` is what all sources together cause beyond the sum of their
    shares; `rest[place]` what stays with every source silenced (noise that cannot be silenced,
    code under `self.training`) and is 0 where nothing does. Signal, shares, interaction and rest
    add up to 1.

    Attributes:
        noises: names of the sources.
        places: paths of the norm sites, and names of the outputs.
        share: (noise, place) → share with its standard error; pairs without a route are left out.
        mean_shift: (noise, place) → root-mean-square shift of the mean, in training deviations.
        total: place → all sources together.
        interaction: place → what the sources cause together beyond the sum of their shares.
        rest: place → what stays with every source silenced.
        silenced: noise → how its source was silenced.
        passes: passes over the data that blame took.
        unit: "sample" or "batch": what carries a subset of the sources.
        unsilenced: sources seen to draw that could not be silenced at all: part of `rest`.
        steady: whether what stays with every source silenced was the same under other random
            numbers, so that no draw of the pass explains it; None where that was not to be told.
        otherwise: norms that may normalise in their own way, so that the statistics of training
            could not be given to them: part of `rest` behind them.
        in_evaluation: evaluation draws random numbers that training does not.
        left_out: noise → by what it multiplies on average, of the sources that are silenced by
            leaving them out, for evaluation has not their mean; NaN where that is no known factor.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> norm = torch.nn.BatchNorm1d(4, momentum=None)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm).double()
    >>> data = [torch.randn(256, 4, dtype=torch.float64) for _ in range(16)]
    >>> _ = [model(batch) for batch in data]
    >>> x = vs.explain(model, data)
    >>> round(x.blame["0", "1"], 1), list(x.blame.behind("1"))  # half of the variance
    (0.5, ['0'])
    >>> x.blame.noises, x.blame.places, x.blame.unit
    (('0',), ('1', 'output'), 'sample')
    """

    noises: tuple[str, ...]
    places: tuple[str, ...]
    share: Mapping[tuple[str, str], Figure]
    mean_shift: Mapping[tuple[str, str], Figure]
    total: Mapping[str, Figure]
    interaction: Mapping[str, Figure]
    rest: Mapping[str, Figure]
    silenced: Mapping[str, str]
    passes: int
    unit: Literal["sample", "batch"]
    unsilenced: tuple[str, ...] = ()
    steady: bool | None = None
    otherwise: tuple[str, ...] = ()
    in_evaluation: bool = False
    left_out: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, pair: tuple[str, str]) -> Figure:
        return self.at(*pair)

    def at(self, noise: str, place: str) -> Figure:
        """The share with its standard error; exactly 0 where no route leads there.

        `blame.at(noise, place)` is `blame[noise, place]`.

        Raises:
            UsageError: no such noise or place; the message lists those there are.
        """
        for name, known in ((noise, self.noises), (place, self.places)):
            if name not in known:
                raise UsageError(f"{name!r} is not here; there are {listed(known)}")
        return self.share.get((noise, place), Figure(0.0, 0.0))

    def behind(self, place: str) -> dict[str, Figure]:
        """The sources of a place with their shares, the largest first.

        Raises:
            UsageError: no such place; the message lists those there are.
        """
        found = {noise: self.at(noise, place) for noise in self.noises}
        ordered = sorted(found.items(), key=lambda item: -abs(item[1].value))
        return {noise: share for noise, share in ordered if share.value}


@dataclass(frozen=True, eq=False, repr=False)
class Output(Record):
    """One output of the model with noise on and off, every norm using its training statistics.

    Attributes:
        name: "output", or where in what the model returns it lies.
        mean_shift: root mean square over features of (mean on − mean off) ÷ deviation on, less what
            the sampling error accounts for.
        var_ratio: variance off ÷ variance on, geometric mean over features.
        mean_on: (F,) float64, mean with noise on; features are dimension 1.
        mean_off: (F,) float64, mean with noise off.
        var_on: (F,) float64, variance with noise on.
        var_off: (F,) float64, variance with noise off.
        mean_se: (F,) standard error of the mean's shift, in the output's own units.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> norm = torch.nn.BatchNorm1d(4, momentum=None)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm).double()
    >>> data = [torch.randn(256, 4, dtype=torch.float64) for _ in range(16)]
    >>> _ = [model(batch) for batch in data]
    >>> x = vs.explain(model, data)
    >>> out = x.outputs["output"]
    >>> round(out.var_ratio, 1), out.mean_shift < 0.1
    (0.5, True)
    """

    name: str
    mean_shift: Figure
    var_ratio: Figure
    mean_on: Tensor
    mean_off: Tensor
    var_on: Tensor
    var_off: Tensor
    mean_se: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(Result):
    """Whose fault the gap between training and test is, how much, and from which line of code.

    Attributes:
        verdict: the cause that displaces the worst site most, or "none". "other-norms": evaluation
            runs other norms than training; "unattributed": training and evaluation differ with
            every source of noise silenced, and no draw of the pass explains it.
        reason: the same in words.
        scores: by cause, the largest displacement less two standard errors.
        worst: by cause, the place where that is.
        factors: by path of a norm site, its shift taken apart.
        blame: which source causes how much where.
        outputs: by name, each output of the model with noise on and off.
        structure: what `inspect` saw on the first batch.
        samples: how many training samples were used.
        batches: in so many batches.
        passes: passes over the training data, all lanes and the blame counted.
        skipped: by path of a norm that could not be explained, the reason.
        notes: what else a reader must know.
        other_norms: norms that only one mode runs, and what that costs; None where there are none.
        stale: by norm whose stored statistics are surely displaced, why, as far as numbers tell.
        unlike_runs: norms that run several times a pass, on inputs that differ from run to run more
            than batches do: one average is nobody's.

    >>> import torch, varshift as vs
    >>> _ = torch.manual_seed(0)
    >>> norm = torch.nn.BatchNorm1d(4, momentum=None)
    >>> model = torch.nn.Sequential(torch.nn.Dropout(0.5), norm).double()
    >>> data = [torch.randn(256, 4, dtype=torch.float64) for _ in range(16)]
    >>> _ = [model(batch) for batch in data]
    >>> x = vs.explain(model, data)
    >>> x.verdict, x.worst["noise"], x.samples, x.batches
    ('noise', '1', 4096, 16)
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "site",
        *_FIGURES,
        *(f"{name}_se" for name in _FIGURES),
        "culprit",
        "share",
    )

    verdict: Verdict
    reason: str
    scores: Mapping[Cause, float]
    worst: Mapping[Cause, str]
    factors: Mapping[str, Factors]
    blame: Blame
    outputs: Mapping[str, Output]
    structure: Structure
    samples: int
    batches: int
    passes: int
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()
    other_norms: OtherNorms | None = None
    stale: Mapping[str, Staleness] = field(default_factory=dict)
    unlike_runs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: verdict, factors and blame, with the structure's parts beside them."""
        return self.structure.to_dict() | {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "reason": self.reason,
            "scores": plain(self.scores),
            "worst": dict(self.worst),
            "factors": {path: _factors(factors) for path, factors in self.factors.items()},
            "blame": _blame(self.blame),
            "outputs": {name: _output(output) for name, output in self.outputs.items()},
            "samples": self.samples,
            "batches": self.batches,
            "passes": self.passes,
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
            "other_norms": None if self.other_norms is None else self.other_norms.to_dict(),
            "stale": {path: held.to_dict() for path, held in self.stale.items()},
            "unlike_runs": list(self.unlike_runs),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per site: its factors with their errors, and the source to blame most."""
        return [self._row(path, factors) for path, factors in self.factors.items()]

    def _row(self, path: str, factors: Factors) -> dict[str, Any]:
        figures = {name: getattr(factors, name) for name in _FIGURES}
        behind = self.blame.behind(path)
        culprit = next(iter(behind), None)
        return (
            {"site": path}
            | {name: figure.value for name, figure in figures.items()}
            | {f"{name}_se": figure.se for name, figure in figures.items()}
            | {"culprit": culprit, "share": behind[culprit].value if culprit else 0.0}
        )


def _factors(factors: Factors) -> dict[str, Any]:
    return {
        **{name: getattr(factors, name).to_dict() for name in _FIGURES},
        "displacement": _dicts(factors.displacement),
        "mean_shift": _dicts(factors.mean_shift),
        "off": factors.off.to_dict(),
        "channels": plain(factors.channels),
    }


def _blame(blame: Blame) -> dict[str, Any]:
    return {
        "entries": [
            {
                "noise": noise,
                "place": place,
                "share": plain(share.value),
                "share_se": plain(share.se),
                "mean_shift": plain(blame.mean_shift[noise, place].value),
                "mean_shift_se": plain(blame.mean_shift[noise, place].se),
            }
            for (noise, place), share in blame.share.items()
        ],
        "total": _dicts(blame.total),
        "interaction": _dicts(blame.interaction),
        "rest": _dicts(blame.rest),
        "silenced": dict(blame.silenced),
        "passes": blame.passes,
        "unit": blame.unit,
        "unsilenced": list(blame.unsilenced),
        "steady": blame.steady,
        "otherwise": list(blame.otherwise),
        "in_evaluation": blame.in_evaluation,
        "left_out": {noise: plain(mean) for noise, mean in blame.left_out.items()},
    }


def _output(output: Output) -> dict[str, Any]:
    names = ("mean_on", "mean_off", "var_on", "var_off", "mean_se")
    figures = {name: getattr(output, name).to_dict() for name in ("mean_shift", "var_ratio")}
    return figures | {name: plain(getattr(output, name)) for name in names}


def _dicts(figures: Mapping[Any, Figure]) -> dict[str, Any]:
    return {str(name): figure.to_dict() for name, figure in figures.items()}
