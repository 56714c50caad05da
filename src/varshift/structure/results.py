"""What `inspect` gives back: noises, norms and the routes between them, as plain names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NoReturn

from varshift.errors import UsageError, listed
from varshift.results import Result, plain

__all__ = [
    *("Layer", "Line", "Noise", "Norm", "Placement", "Proof", "Route", "Sharing", "Structure"),
    "alone",
]

Placement = Literal["a", "b", "through-norm"]
Sharing = Literal["element", "channel", "sample", "block", "other"]

SCHEMA = "varshift.structure/1"


@dataclass(frozen=True)
class Line:
    """A line of the user's code: the innermost frame outside torch when the operation ran."""

    file: str
    number: int
    function: str
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


@dataclass(frozen=True)
class Noise:
    """A random operation of the training pass.

    Attributes:
        name: unique in the structure: the module path, with `#2`, `#3` … for further operations
            of the same module.
        path: path of the innermost module that was running ("" is the model itself).
        module: class name of that module.
        operation: the function that drew, in the field's words: "dropout", "bernoulli_", "rand".
        law: "bernoulli", "uniform", "gaussian", "alpha", "rrelu", "control-flow" or "unknown".
        drop_p: probability of a zero, where it can be known.
        tau: relative variance of the multiplier, where it is multiplicative with a known law.
        sharing: which values share one draw.
        active: False for a noise module that stayed silent in this training pass.
        calls: how often it drew in one pass.
        line: where in the user's code, where there is such a line.
    """

    name: str
    path: str
    module: str
    operation: str
    law: str
    drop_p: float | None
    tau: float | None
    sharing: Sharing
    active: bool
    calls: int
    line: Line | None


@dataclass(frozen=True)
class Norm:
    """A normalisation with running statistics.

    `frozen`: it used its stored statistics in the training pass. `calls` > 1: reused. `calls` = 0:
    the example never reached it.
    """

    path: str
    kind: str
    channels: int
    momentum: float | None
    eps: float
    affine: bool
    frozen: bool
    calls: int

    @property
    def reused(self) -> bool:
        """Whether one training pass runs it more than once."""
        return self.calls > 1


@dataclass(frozen=True)
class Layer:
    """A step on a route: `role` is "weights", "norm", "nonlinear" or "mixing"."""

    path: str
    kind: str
    role: str


@dataclass(frozen=True)
class Route:
    """How a noise source reaches a norm site, on the most direct of its paths.

    `placement` belongs to that path; `placements` lists every kind of path found between the two.
    `layers` are the steps on the most direct path, in order.
    """

    noise: str
    norm: str
    placement: Placement
    placements: tuple[Placement, ...]
    layers: tuple[Layer, ...]

    @property
    def direct(self) -> bool:
        """Whether no other normalisation stands between: placement (a) or (b)."""
        return self.placement != "through-norm"


@dataclass(frozen=True)
class Proof:
    """Outcome of reseeding one operation and watching the input of one norm.

    `difference` is the largest absolute change of the norm's input; `noise_floor` the change when
    the same pass is repeated with no reseeding at all. `reseeded` is False where the operation
    gave the same values under every seed tried.
    """

    route: Route
    moved: bool
    difference: float
    noise_floor: float
    reseeded: bool

    def __bool__(self) -> bool:
        return self.moved


@dataclass(frozen=True)
class Structure(Result):
    """The noises, norms and routes of one training pass; `notes` says what could not be seen."""

    noises: tuple[Noise, ...]
    norms: tuple[Norm, ...]
    routes: tuple[Route, ...]
    notes: tuple[str, ...] = ()
    _prove: Callable[[Structure, Route], Proof] | None = field(
        default=None, repr=False, compare=False
    )

    def direct(self) -> tuple[Route, ...]:
        """The routes with no other normalisation on them: placements (a) and (b)."""
        return tuple(route for route in self.routes if route.direct)

    def noise(self, name: str) -> Noise:
        """The noise source of that name."""
        return next((noise for noise in self.noises if noise.name == name), None) or _missing(
            name, [noise.name for noise in self.noises]
        )

    def norm(self, path: str) -> Norm:
        """The norm site of that path."""
        return next((norm for norm in self.norms if norm.path == path), None) or _missing(
            path, [norm.path for norm in self.norms]
        )

    def behind(self, path: str) -> tuple[Route, ...]:
        """The direct routes that end at the norm site `path`."""
        return tuple(route for route in self.direct() if route.norm == path)

    def prove(self, route: Route) -> Proof:
        """Reseed the route's one noise source and see whether the norm's input moves.

        Runs the model twice more on the example that was inspected, and gives it back as it was.
        """
        if self._prove is None:
            raise UsageError(
                "this structure has no model (it was loaded or copied, or is part of another "
                "result); inspect it again"
            )
        if route not in self.routes:
            raise UsageError(f"{route.noise!r} → {route.norm!r} is not a route of this structure")
        return self._prove(self, route)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_prove": None}  # a copy or a file goes without the model

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, top level `schema`, `noises`, `norms`, `routes`, `notes`."""
        return {
            "schema": SCHEMA,
            "noises": [plain(asdict(noise)) for noise in self.noises],
            "norms": [plain(asdict(norm)) | {"reused": norm.reused} for norm in self.norms],
            "routes": [plain(asdict(route)) | {"direct": route.direct} for route in self.routes],
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row per route, with the noise's own figures beside it."""
        return [
            {
                "noise": route.noise,
                "norm": route.norm,
                "placement": route.placement,
                "drop_p": self.noise(route.noise).drop_p,
                "tau": self.noise(route.noise).tau,
                "sharing": self.noise(route.noise).sharing,
                "layers": " > ".join(layer.path or layer.kind for layer in route.layers),
            }
            for route in self.routes
        ]


def alone(structure: Structure) -> Structure:
    """The same without its model, as part of another result: that shall not keep it alive."""
    return replace(structure, _prove=None)


def _missing(name: str, names: list[str]) -> NoReturn:
    raise UsageError(f"{name!r} is not here; there are {listed(names)}")
