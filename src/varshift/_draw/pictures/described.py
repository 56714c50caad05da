"""Pictures as values: what is to be seen, once for the page's SVG and for matplotlib.

Names are whole and values are numbers; where a name is cut, and which ink a role has, is for the
renderers. A value that is not known is NaN and is left out of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from varshift.results.grading import Grade

__all__ = [
    *("Bars", "Boxes", "RouteBundle", "Cloud", "Depth", "Factor", "Heat", "Interval", "Intervals"),
    *("Chart", "Curve", "Lines", "Panels", "Pattern", "Picture", "Points", "Role", "Routes"),
    "Series",
]

Role = Literal["train", "test", "stored", "data", "good"]
"""What a colour stands for: training, test, stored statistics, other data, a repair that helped."""


@dataclass(frozen=True)
class Series:
    """One figure per norm, with the ends of its interval where it has one.

    `grades` colour its dots by how bad they are; without, the role does.
    """

    role: Role
    label: str
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    grades: Sequence[Grade] = ()


@dataclass(frozen=True)
class Depth:
    """Figures over the norms in the model's order, on a logarithmic scale.

    `level` is where nothing shifts; `named` are the indices whose names matter most; the scale
    has room for the values in `covers` too, so that two pictures can share it.
    """

    about: str
    label: str
    names: Sequence[str]
    series: Sequence[Series]
    level: float | None = 1.0
    named: Sequence[int] = ()
    caption: str = ""
    covers: Sequence[float] = ()


@dataclass(frozen=True)
class Boxes:
    """Per norm how its channels scatter: quantiles at 5, 25, 50, 75 and 95 %, (norms, 5)."""

    about: str
    label: str
    names: Sequence[str]
    quantiles: Sequence[Sequence[float]]
    caption: str = ""


@dataclass(frozen=True)
class Cloud:
    """One dot per channel of a norm: variance in training across, at test up."""

    about: str
    name: str
    train: Sequence[float]
    test: Sequence[float]
    caption: str = ""


@dataclass(frozen=True)
class Factor:
    """One factor of a total, a value per norm."""

    role: Role
    label: str
    values: Sequence[float]


@dataclass(frozen=True)
class Bars:
    """Totals per norm, and the factors whose product each is."""

    about: str
    names: Sequence[str]
    totals: Sequence[float]
    factors: Sequence[Factor]
    caption: str = ""


@dataclass(frozen=True)
class Heat:
    """A share for every source (across) and place (down); pairs that are missing have no route.

    `shares` has by (source, place) the share and its standard error, both of 1.
    """

    about: str
    sources: Sequence[str]
    places: Sequence[str]
    shares: Mapping[tuple[str, str], tuple[float, float]]
    caption: str = ""


@dataclass(frozen=True)
class Interval:
    """One row: a value with its interval; `mark` is another value to compare, `told` a hint.

    `beside` is a shorter name; a `hollow` row claims nothing.
    """

    name: str
    value: float
    low: float
    high: float
    role: Role
    told: str
    beside: str = ""
    mark: float | None = None
    hollow: bool = False

    @property
    def label(self) -> str:
        """What stands beside the row."""
        return self.beside or self.name


@dataclass(frozen=True)
class Intervals:
    """Rows from top to bottom against a level; beyond `least` and `most` they end at an arrow."""

    about: str
    label: str
    rows: Sequence[Interval]
    level: float
    least: float = float("-inf")
    most: float = float("inf")
    caption: str = ""


@dataclass(frozen=True)
class Pattern:
    """One noise at the channels of one norm: a dot a channel about a line of slope `tau`.

    `low` and `high` are the ends of the interval of τ.
    """

    about: str
    name: str
    lever: Sequence[float]
    excess: Sequence[float]
    tau: float
    low: float
    high: float
    caption: str = ""


@dataclass(frozen=True)
class RouteBundle:
    """Routes that are the same but for a number in their names: `stage_*.drop ×40`.

    `through` are the layers on the way, `told` what else is to be said of them.
    """

    source: str
    norm: str
    placement: str
    through: str
    count: int = 1


@dataclass(frozen=True)
class Routes:
    """Which noise reaches which norm: sources to the left, norms to the right.

    `rates` has the rate of each source in words, `severities` and `grades` what is known of the
    norms, `hints` more on a source or a norm.
    """

    about: str
    bundles: Sequence[RouteBundle]
    rates: Mapping[str, str]
    severities: Mapping[str, float]
    grades: Mapping[str, Grade]
    hints: Mapping[str, str]
    caption: str = ""


@dataclass(frozen=True)
class Curve:
    """One norm over the steps of a run."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True)
class Lines:
    """Severity by norm over steps, the first the worst at the end; `level` is a threshold."""

    about: str
    label: str
    lines: Sequence[Curve]
    level: float
    caption: str = ""


@dataclass(frozen=True)
class Points:
    """Points of one kind, joined or not, with a band from `low` to `high` where these are given.

    `colour` is a place in the cycle of colours that stand for nothing but themselves; None is grey.
    """

    label: str
    across: Sequence[float]
    up: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    colour: int | None = None
    style: Literal["line", "dashed", "dots", "hollow"] = "line"


@dataclass(frozen=True)
class Chart:
    """Kinds of points on two plain scales; at the `level` is what is nothing out of the way."""

    about: str
    across: str
    up: str
    points: Sequence[Points]
    level: float | None = None
    caption: str = ""


@dataclass(frozen=True)
class Panels:
    """Pictures in rows, each under what it is about; those of a row share their upward scale."""

    about: str
    rows: Sequence[Sequence[Chart | Intervals]]
    caption: str = ""


Picture = (
    Depth | Boxes | Cloud | Bars | Heat | Intervals | Pattern | Routes | Lines | Chart | Panels
)
