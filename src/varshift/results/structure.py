"""What `inspect` gives back: noises, norms and the routes between them, as plain names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Literal, NoReturn

from varshift._base import Result, plain
from varshift.errors import UsageError, listed
from varshift.results.note import Note

__all__ = [
    *(
        "Layer",
        "Line",
        "Noise",
        "Norm",
        "NotShown",
        "Placement",
        "Proof",
        "Route",
        "Sharing",
        "Structure",
    ),
    *("alone", "in_a_file"),
]

Placement = Literal["a", "b", "through-norm"]
Sharing = Literal["element", "channel", "sample", "block", "other"]

SCHEMA = "varshift.structure/1"


@dataclass(frozen=True)
class Line:
    """A line of the user's code: the innermost frame outside torch when the operation ran.

    Attributes:
        file: the file's name, as Python knows it.
        number: of the line, from 1.
        function: name of the function it stands in.
        code: the line itself, without its indentation.

    >>> str(Line("net.py", 12, "forward", "x = F.dropout(x)"))
    'net.py:12'
    """

    file: str
    number: int
    function: str
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"

    @property
    def near(self) -> str:
        """The same for a reader: from the current folder on, or from the installed package on.

        >>> Line("/usr/lib/python3/site-packages/timm/layers/drop.py", 9, "forward", "").near
        'timm/layers/drop.py:9'
        """
        installed = re.split(r"[/\\](?:site|dist)-packages[/\\]", self.file)
        if len(installed) > 1:
            return f"{installed[-1]}:{self.number}"
        path = os.path.normpath(self.file)
        folder = os.path.join(os.getcwd(), "")
        return f"{path.removeprefix(folder)}:{self.number}"


def in_a_file(line: Line | None) -> bool:
    """Whether a line can be opened: not that of `exec`, of a notebook's cell or of an FX graph.

    >>> in_a_file(Line("<string>", 1, "forward", "")), in_a_file(Line(__file__, 1, "", ""))
    (False, True)
    """
    if line is None or line.file.startswith("<"):
        return False
    # A relative name is as seen from where Python was started, which may be elsewhere by now.
    return os.path.isfile(line.file) or not os.path.isabs(line.file)


@dataclass(frozen=True)
class Noise:
    """A random operation of the training pass.

    Attributes:
        name: unique in the structure: the module path, with `#2`, `#3` … for further operations
            of the same module.
        path: path of the innermost module that was running ("" is the model itself).
        module: class name of that module.
        operation: the function that drew, in the field's words: "dropout", "bernoulli_", "rand".
            "kept tensor" for a mask drawn ahead of the pass, whose `name` is where the model keeps
            it; "made outside torch" for one that no module keeps.
        law: "bernoulli", "uniform", "gaussian", "additive", "alpha", "rrelu", "control-flow" or
            "unknown".
        drop_p: probability of a zero, where it can be known.
        tau: relative variance of the multiplier, where it is multiplicative with a known law.
        sharing: which values share one draw.
        active: False for a noise module that stayed silent in this training pass.
        calls: how often it drew in one pass; 0 where it was drawn ahead.
        line: where in the user's code, where there is such a line: for what was drawn ahead, the
            one where it meets data.

    >>> import torch, varshift as vs
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Dropout(0.5), torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)
    ... )
    >>> s = vs.inspect(model, torch.randn(2, 8))
    >>> noise = s.noise("0")
    >>> noise.operation, noise.law, noise.drop_p, noise.tau, noise.sharing
    ('dropout', 'bernoulli', 0.5, 1.0, 'element')
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

    @property
    def kept(self) -> bool:
        """Whether it was drawn ahead: it acts in the pass, and no draw of the pass has made it."""
        return self.active and not self.calls

    @property
    def drops_all(self) -> bool:
        """Whether it lets nothing pass in training: it draws nothing, and no ratio tells of it."""
        return self.drop_p is not None and self.drop_p >= 1


@dataclass(frozen=True)
class Norm:
    """A normalisation with running statistics.

    Attributes:
        path: module path of the norm.
        kind: its class name; "F.batch_norm" for a call without a norm module.
        channels: how many channels it normalises.
        momentum: in torch's sense, of a norm written by hand as an update has shown it; None
            averages all batches, NaN is not known.
        eps: what it adds to a variance before dividing.
        affine: whether it has a weight and a bias.
        frozen: it used its stored statistics in the training pass.
        calls: how often one pass runs it. More than 1: reused. 0: the example never reached it.
        registered: False where no module of the model holds it (a plain list, a norm made in
            `forward`), so that `train()` and `eval()` do not reach it.

    >>> import torch, varshift as vs
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Dropout(0.5), torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)
    ... )
    >>> s = vs.inspect(model, torch.randn(2, 8))
    >>> norm = s.norm("2")
    >>> norm.kind, norm.channels, norm.momentum, norm.reused
    ('BatchNorm1d', 4, 0.1, False)
    """

    path: str
    kind: str
    channels: int
    momentum: float | None
    eps: float
    affine: bool
    frozen: bool
    calls: int
    registered: bool = True

    @property
    def reused(self) -> bool:
        """Whether one training pass runs it more than once."""
        return self.calls > 1


@dataclass(frozen=True)
class Layer:
    """A step on a route.

    Attributes:
        path: path of the module that took it ("" is the model itself).
        kind: class name of that module, or the operation where it is no module of its own.
        role: "weights", "norm", "nonlinear" or "mixing".

    >>> import torch, varshift as vs
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Dropout(0.5), torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)
    ... )
    >>> s = vs.inspect(model, torch.randn(2, 8))
    >>> s.routes[0].layers
    (Layer(path='1', kind='Linear', role='weights'),)
    """

    path: str
    kind: str
    role: str


@dataclass(frozen=True)
class Route:
    """How a noise source reaches a norm site, on the most direct of its paths.

    Attributes:
        noise: name of the noise source.
        norm: path of the norm site.
        placement: of that path: "a", "b" or "through-norm".
        placements: every kind of path found between the two.
        layers: the steps on the most direct path, in order.

    >>> import torch, varshift as vs
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Dropout(0.5), torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)
    ... )
    >>> s = vs.inspect(model, torch.randn(2, 8))
    >>> [(r.noise, r.norm, r.placement, r.direct) for r in s.routes]
    [('0', '2', 'b', True)]
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


class NotShown(StrEnum):
    """Why a route is neither shown nor disproven; the value says it in words."""

    NEVER_CHANGED = (
        "the operation gave the same values in every try: its rate is 0 or 1, or far too small for "
        "this example"
    )
    KEPT = "no draw of the pass makes this noise, so none can be made anew"
    NOT_REACHED = "the pass did not reach the norm again"


@dataclass(frozen=True)
class Proof:
    """Outcome of drawing one source anew and watching the input of one norm.

    True in a condition where the norm's input moved. `answer` tells no from not shown.

    Attributes:
        route: what was to be proven.
        moved: whether the norm's input changed beyond `noise_floor`.
        difference: the largest absolute change of the norm's input.
        noise_floor: the change when the same pass is repeated with no reseeding at all.
        reseeded: False where the source gave the same values in every try.
        unshown: why nothing was shown; None where the answer is yes or no.

    >>> import torch, varshift as vs
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Dropout(0.5), torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)
    ... )
    >>> s = vs.inspect(model, torch.randn(2, 8))
    >>> proof = s.prove(s.routes[0])
    >>> bool(proof), proof.answer, proof.difference > 0, proof.noise_floor
    (True, True, True, 0.0)
    """

    route: Route
    moved: bool
    difference: float
    noise_floor: float
    reseeded: bool
    unshown: NotShown | None = None

    @property
    def answer(self) -> bool | None:
        """True where the norm moved, False where it did not, None where nothing was shown."""
        return None if self.unshown is not None else self.moved

    def __bool__(self) -> bool:
        return self.moved


@dataclass(frozen=True, repr=False)
class Structure(Result):
    """The noises, norms and routes of one training pass.

    Attributes:
        noises: every source of noise, in the order they drew.
        norms: every normalisation with running statistics.
        routes: how noises reach norms.
        notes: what could not be seen.
        subject: the model in a few words, for reports.

    >>> import torch, varshift as vs
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Dropout(0.5), torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)
    ... )
    >>> s = vs.inspect(model, torch.randn(2, 8))
    >>> len(s.noises), len(s.norms), len(s.routes), s.notes
    (1, 1, 1, ())
    >>> s.direct() == s.behind("2") == s.routes
    True
    """

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "noise",
        "norm",
        "placement",
        "drop_p",
        "tau",
        "sharing",
        "layers",
    )

    _LIVE = ("_prove",)

    noises: tuple[Noise, ...]
    norms: tuple[Norm, ...]
    routes: tuple[Route, ...]
    notes: tuple[Note, ...] = ()
    _prove: Callable[[Structure, Route], Proof] | None = field(
        default=None, repr=False, compare=False
    )
    subject: str = field(default="", compare=False)

    def direct(self) -> tuple[Route, ...]:
        """The routes with no other normalisation on them: placements (a) and (b)."""
        return tuple(route for route in self.routes if route.direct)

    def noise(self, name: str) -> Noise:
        """The noise source of that name.

        Raises:
            UsageError: there is none; the message lists those there are.
        """
        return next((noise for noise in self.noises if noise.name == name), None) or _missing(
            name, [noise.name for noise in self.noises]
        )

    def norm(self, path: str) -> Norm:
        """The norm site of that path.

        Raises:
            UsageError: there is none; the message lists those there are.
        """
        return next((norm for norm in self.norms if norm.path == path), None) or _missing(
            path, [norm.path for norm in self.norms]
        )

    @cached_property
    def _direct(self) -> dict[str, tuple[Route, ...]]:
        """The direct routes by norm, sorted out once: a deep network has tens of thousands."""
        found: dict[str, list[Route]] = {}
        for route in self.direct():
            found.setdefault(route.norm, []).append(route)
        return {path: tuple(routes) for path, routes in found.items()}

    def behind(self, path: str) -> tuple[Route, ...]:
        """The direct routes that end at the norm site `path`."""
        return self._direct.get(path, ())

    def prove(self, route: Route) -> Proof:
        """Draw the route's one noise source anew and see whether the norm's input moves.

        A rare draw is made until it comes out otherwise. What cannot be shown (a mask that was
        drawn ahead, a rate of 0) has the answer None, with the reason in `unshown`. Runs the model
        a few times more on the example that was inspected, and gives it back as it was.

        Raises:
            UsageError: this structure has no model, or `route` is not one of its routes.
        """
        if self._prove is None:
            raise UsageError(
                "this structure has no model (it was loaded or copied, or is part of another "
                "result); inspect it again"
            )
        if route not in self.routes:
            raise UsageError(f"{route.noise!r} → {route.norm!r} is not a route of this structure")
        return self._prove(self, route)

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
