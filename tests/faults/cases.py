"""Cases by a seed: which verb, which feature, which fault; and what each left behind."""

from __future__ import annotations

import gc
import random
import sys
import warnings
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import torch

import varshift as vs
from faults.features import FEATURES, data
from faults.injecting import (
    BORROWING,
    PACKAGE,
    Calls,
    Disk,
    Ended,
    Lines,
    Loader,
    heard,
    hooked,
    raising_forward,
    signalled,
    touching,
    warning,
)
from faults.marks import process, told
from faults.verbs import CHANGES, VERBS

FAULTS = (
    "none",
    "loader raises",
    "loader interrupted",
    "loader out of memory",
    "loader raises when closed",
    "forward raises",
    "forward interrupted",
    "forward out of memory",
    "forward warns, an error",
    "signal in the forward",
    "hook raises",
    "hook interrupted",
    "interrupt at a line",
    "interrupt at a call",
    "interrupt while borrowing",
    "two interrupts while borrowing",
    "out of memory while borrowing",
)
# What may come out of a verb: the fault itself, or a sentence. Anything else is a finding.
_EXPECTED = (KeyboardInterrupt, Disk, Ended, MemoryError, UserWarning, vs.VarshiftError)
_FROM_OUTSIDE = (KeyboardInterrupt, Ended, MemoryError)  # strikes anywhere
# Dear ones, or ways through one piece of code: fewer of these.
_RARE = {"footprint": 0.5, "explain": 0.6, "diagnose": 0.3, "replace by data": 0.4}
_lines = {}


@dataclass(frozen=True)
class Case:
    """One case; `at` is where in the run the fault strikes, from 0 to 1."""

    verb: str
    feature: str
    fault: str
    at: float
    more: float

    def __str__(self):
        return f"{self.verb} × {self.feature} × {self.fault} at {self.at:.4f}"


def cases(count, seed):
    """So many cases; the same for the same seed."""
    rng = random.Random(seed)
    weights = [_RARE.get(verb, 0.3 if "repair by" in verb else 1.0) for verb in VERBS]
    for _ in range(count):
        yield Case(
            rng.choices(list(VERBS), weights)[0],
            rng.choice(list(FEATURES)),
            rng.choice(FAULTS),
            rng.random(),
            rng.random(),
        )


def length(verb, counting, *given):
    """How many lines or calls a run of the verb takes, once everything is imported."""
    if (verb, counting, *given) not in _lines:
        for _ in range(2):
            with counting(*given) as counted, suppress(vs.VarshiftError):
                _run(verb, FEATURES["counter"](), Loader())
        _lines[verb, counting, *given] = counted.count
    return _lines[verb, counting, *given]


@dataclass
class Outcome:
    """What a case left: the names of marks, and every sentence that was said."""

    marks: list[str]
    said: str

    def silent(self):
        """The marks that nothing that was said names."""
        return [mark for mark in self.marks if mark not in self.said]


def outcome(case):
    """Run one case, look at the model and the process before and after."""
    net = FEATURES[case.feature]()
    with ExitStack() as faults:
        return _compared(case, net, *_injected(case, net, faults))


def _injected(case, net, faults):
    """The loader, and what interrupts the run from outside."""
    at, (where, _, how) = max(1, round(case.at * 6)), case.fault.partition(" ")
    error = KeyboardInterrupt() if "interrupt" in case.fault else Disk(f"in the {where}")
    if "memory" in case.fault:
        error = MemoryError()
    if where == "loader":
        clinging = how == "raises when closed"
        given = (None,) if clinging else (min(at - 1, len(data()) - 1), error)
        return Loader(*given, clinging=clinging), ExitStack()
    if case.fault == "forward warns, an error":
        faults.enter_context(touching(net, at, warning))
    elif where == "forward":
        faults.enter_context(raising_forward(net, at, error))
    elif where == "signal":
        send = faults.enter_context(signalled())
        faults.enter_context(touching(net, at, send))
    elif where == "hook":
        hooked(net, at, error)
    return Loader(), _interrupts(case, type(error))


def _interrupts(case, error):
    if case.fault == "interrupt at a line":
        return Lines(PACKAGE, [1 + int(case.at * length(case.verb, Lines, PACKAGE))])
    if case.fault == "interrupt at a call":
        return Calls(1 + int(case.at * length(case.verb, Calls)))
    if case.fault.endswith("while borrowing"):
        place = 1 + int(case.at * length(case.verb, Lines, BORROWING))
        second = [1 + int(case.more * 60)] if case.fault.startswith("two") else []
        return Lines(BORROWING, [place, *second], error)
    return ExitStack()


def _compared(case, net, loader, interrupts):
    random.seed(0)
    torch.manual_seed(0)
    before, around = told(net), process()
    said, result, raised = [], None, []
    with _unraisable(), heard() as loans, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error" if case.fault.endswith("an error") else "always")
        inside = process()
        try:
            result = _run(case.verb, net, loader, interrupts)
        except BaseException as error:
            said += _chain(error)
            said += loans if isinstance(error, _FROM_OUTSIDE) else []
            if not isinstance(error, _EXPECTED):
                raised = [f"raises {type(error).__name__}: {error}"]
            del error
        changed = [key for key, value in process().items() if value != inside[key]]
    if result is not None:
        said += map(str, getattr(result, "notes", ()))
    if case.verb in CHANGES and getattr(result, "undo", None) is not None:
        result.undo()
    said += [str(warning.message) for warning in caught]
    del around
    gc.collect(0)
    read = ["loader left open"] * bool(loader.open)
    marks = [*raised, *read, *changed, *_marks(before, told(net), case)]
    return Outcome(marks, "\n".join(said))


@contextmanager
def _unraisable():
    """What a loader raises when it is thrown away, Python prints and goes on."""
    before, sys.unraisablehook = sys.unraisablehook, lambda told_of: None
    try:
        yield
    finally:
        sys.unraisablehook = before


def _run(verb, net, loader, interrupts=None):
    with interrupts if interrupts is not None else ExitStack():
        return VERBS[verb](net, loader)


def _chain(error):
    while error is not None:
        yield f"{error} {getattr(error, '__notes__', '')}"
        error = error.__cause__ or error.__context__


def _marks(before, after, case):
    """Names of the attributes that are not what they were."""
    if before == after:
        return []
    return sorted(set(_different(before, after, case.verb in CHANGES, "model"))) or []


def _different(one, other, written, name):
    """Walk both tellings; a verb that writes may move the versions of tensors."""
    if one == other or (written and _unversioned(one) == _unversioned(other)):
        return
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        if len(one) == len(other):
            for a, b in zip(one, other, strict=True):
                named = isinstance(a, tuple) and len(a) == 2 and isinstance(a[0], str)
                yield from _different(a, b, written, a[0] if named else name)
            return
        a, b = dict(_pairs(one)), dict(_pairs(other))
        yield from a.keys() ^ b.keys() or [name]
        return
    yield name


def _unversioned(told_of):
    tensor = isinstance(told_of, tuple) and len(told_of) == 7
    return (*told_of[:2], *told_of[3:]) if tensor else told_of


def _pairs(told_of):
    return [pair for pair in told_of if isinstance(pair, tuple) and isinstance(pair[0], str)]
