"""Find, measure and repair the variance shift that dropout causes at BatchNorm.

    import varshift as vs

    d = vs.diagnose(model, data)        # first: what is wrong, where, whose doing, what to do

    s = vs.inspect(model, example)      # which noise reaches which norm, by which route
    m = vs.measure(model, data)         # how far the statistics shift between training and test
    x = vs.explain(model, data)         # whose fault it is: noise, stale statistics, batches, data
    f = vs.predict(model, data, noise={"*": 0.2})   # what if; data is optional
    c = vs.check(model, example)        # what shifts too much: a linter with codes
    r = vs.repair(model, data)          # the best repair, kept only if measured to help; r.undo()
    r = vs.recalibrate(model, data)     # the one everybody needs, alone: exact noise-off statistics
    vs.update_bn(loader, model)         # torch's own call, exact and with noise off
    with vs.test_statistics(model, calibration):    # right statistics here, the trained after
        validate(model)
    monitor = vs.Monitor(model)         # in any training loop: monitor.step(batch)
    r = vs.relocate(model, example)     # before training: no noise before any norm

Names are looked up when first used, so that `import varshift` costs next to nothing and
`varshift --help` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from varshift import _handed
from varshift._version import __version__ as __version__

if TYPE_CHECKING:
    from varshift._check.checking import check
    from varshift._diagnose.diagnosing import diagnose
    from varshift._explain.explaining import explain
    from varshift._footprint.estimating import footprint
    from varshift._inspect.inspecting import inspect
    from varshift._measure.measuring import measure
    from varshift._monitor.monitor import Monitor
    from varshift._predict.predicting import predict
    from varshift._repair.averaging import test_statistics, update_bn
    from varshift._repair.recalibration import recalibrate
    from varshift._repair.repairing import repair
    from varshift._rewrite.relocating import relocate
    from varshift._rewrite.replacing import replace
    from varshift.errors import VarshiftError
    from varshift.results import (
        Diagnosis,
        Explanation,
        Findings,
        Footprint,
        Measurement,
        Prediction,
        Recalibration,
        Repair,
        Rewrite,
        Structure,
    )
    from varshift.testing import assert_no_variance_shift

__all__ = [
    "Diagnosis",
    "Explanation",
    "Findings",
    "Footprint",
    "Measurement",
    "Monitor",
    "Prediction",
    "Recalibration",
    "Repair",
    "Rewrite",
    "Structure",
    "VarshiftError",
    "assert_no_variance_shift",
    "check",
    "diagnose",
    "explain",
    "footprint",
    "inspect",
    "measure",
    "predict",
    "recalibrate",
    "relocate",
    "repair",
    "replace",
    "test_statistics",
    "update_bn",
]

# Where each name lives, looked up when it is first used.
_HOMES = {
    "Monitor": "_monitor.monitor",
    "VarshiftError": "errors",
    "assert_no_variance_shift": "testing",
    "check": "_check.checking",
    "diagnose": "_diagnose.diagnosing",
    "explain": "_explain.explaining",
    "footprint": "_footprint.estimating",
    "inspect": "_inspect.inspecting",
    "measure": "_measure.measuring",
    "predict": "_predict.predicting",
    "recalibrate": "_repair.recalibration",
    "relocate": "_rewrite.relocating",
    "repair": "_repair.repairing",
    "replace": "_rewrite.replacing",
    "test_statistics": "_repair.averaging",
    "update_bn": "_repair.averaging",
    **dict.fromkeys(
        (
            "Diagnosis",
            "Explanation",
            "Findings",
            "Footprint",
            "Measurement",
            "Prediction",
            "Recalibration",
            "Repair",
            "Rewrite",
            "Structure",
        ),
        "results",
    ),
}
# Records and errors had names up here before 0.2; they are still found, and no longer listed.
_ONCE_HERE = ("results", "errors")
# By their own names: vs.nn.Uout.
_OPEN = ("errors", "judging", "nn", "results", "testing", "theory")

_handed.hand_in(lambda: import_module("varshift._draw"))


def __getattr__(name: str) -> Any:
    if name in _OPEN:
        return import_module(f"varshift.{name}")
    homes = [_HOMES[name]] if name in _HOMES else _ONCE_HERE
    for home in homes:
        room = import_module(f"varshift.{home}")
        if name in getattr(room, "__all__", ()):
            value = getattr(room, name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'varshift' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_OPEN, *(name for name in globals() if name.startswith("__"))})
