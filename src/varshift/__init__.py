"""Find, measure and repair the variance shift that dropout causes at BatchNorm.

    import varshift as vs

    s = vs.inspect(model, example)      # which noise reaches which norm, by which route
    m = vs.measure(model, data)         # how far the statistics shift between training and test
    x = vs.explain(model, data)         # whose fault it is: noise, stale statistics, batches, data
    f = vs.predict(model, data, noise={"*": 0.2})   # what if; data is optional
    c = vs.check(model, example)        # what shifts too much: a linter with codes
    r = vs.repair(model, data)          # the best repair, kept only if measured to help; r.undo()
    r = vs.recalibrate(model, data)     # the one everybody needs, alone: exact noise-off statistics
    r = vs.relocate(model, example)     # before training: no noise before any norm

Names are looked up when first used, so that `import varshift` costs next to nothing and
`varshift --help` does not wait for torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from varshift.check import Finding, Findings, Rule, check
    from varshift.errors import (
        CheckpointError,
        DataError,
        LentError,
        MemoryBoundError,
        MissingExtraError,
        ModelError,
        UsageError,
        VarshiftError,
    )
    from varshift.explain import Blame, Explanation, Factors, Figure, Output, explain
    from varshift.footprint import Footprint, FootprintSite, footprint
    from varshift.measure import Measurement, Site, Statistics, measure
    from varshift.predict import Expected, Prediction, predict
    from varshift.repair import (
        Candidate,
        Patch,
        Recalibration,
        Repair,
        Rewrite,
        Score,
        recalibrate,
        relocate,
        repair,
        replace,
    )
    from varshift.structure import Layer, Line, Noise, Norm, Proof, Route, Structure, inspect
    from varshift.testing import assert_no_variance_shift

__version__ = "0.1.0"

__all__ = [
    "Blame",
    "Candidate",
    "CheckpointError",
    "DataError",
    "Expected",
    "Explanation",
    "Factors",
    "Figure",
    "Finding",
    "Findings",
    "Footprint",
    "FootprintSite",
    "Layer",
    "LentError",
    "Line",
    "Measurement",
    "MemoryBoundError",
    "MissingExtraError",
    "ModelError",
    "Noise",
    "Norm",
    "Output",
    "Patch",
    "Prediction",
    "Proof",
    "Recalibration",
    "Repair",
    "Rewrite",
    "Route",
    "Rule",
    "Score",
    "Site",
    "Statistics",
    "Structure",
    "UsageError",
    "VarshiftError",
    "assert_no_variance_shift",
    "check",
    "explain",
    "footprint",
    "inspect",
    "measure",
    "predict",
    "recalibrate",
    "relocate",
    "repair",
    "replace",
]

_ROOMS = {
    "check": ("Finding", "Findings", "Rule", "check"),
    "errors": (
        "CheckpointError",
        "DataError",
        "LentError",
        "MemoryBoundError",
        "MissingExtraError",
        "ModelError",
        "UsageError",
        "VarshiftError",
    ),
    "explain": ("Blame", "Explanation", "Factors", "Figure", "Output", "explain"),
    "footprint": ("Footprint", "FootprintSite", "footprint"),
    "measure": ("Measurement", "Site", "Statistics", "measure"),
    "predict": ("Expected", "Prediction", "predict"),
    "repair": (
        *("Candidate", "Patch", "Recalibration", "Repair", "Rewrite", "Score"),
        *("recalibrate", "relocate", "repair", "replace"),
    ),
    "structure": ("Layer", "Line", "Noise", "Norm", "Proof", "Route", "Structure", "inspect"),
    "testing": ("assert_no_variance_shift",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

_OPEN = ("nn", "testing", "theory")  # rooms used by their own names: vs.nn.Uout, vs.theory.uout


class _Varshift(ModuleType):
    """The package itself: public names on first use, and verbs that keep their names.

    `varshift.measure` is a room (a sub-package) and a verb. Importing the room makes Python bind
    it as an attribute of the package; the verb is what users mean, so that binding is declined.
    `from varshift.measure import …` still finds the room.
    """

    def __getattr__(self, name: str) -> Any:
        if name in _OPEN:
            return import_module(f"varshift.{name}")
        room = _ROOM_OF.get(name)
        if room is None:
            raise AttributeError(f"module 'varshift' has no attribute {name!r}")
        value = getattr(import_module(f"varshift.{room}"), name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _ROOM_OF and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *__all__, *_OPEN})


sys.modules[__name__].__class__ = _Varshift
