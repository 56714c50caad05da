"""Cases by a seed: which verb, which feature, which fault; and what each left behind."""

from __future__ import annotations

import gc
import random
import warnings
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import torch

import varshift as vs
from faults.features import FEATURES, data
from faults.injecting import BORROWING, PACKAGE, Disk, Lines, Loader, raising_forward
from faults.marks import process, told
from faults.verbs import CHANGES, VERBS

FAULTS = (
    "none",
    "loader raises",
    "loader interrupted",
    "forward raises",
    "forward interrupted",
    "interrupt at a line",
    "interrupt while borrowing",
    "two interrupts while borrowing",
)
_RARE = {"repair": 0.3, "footprint": 0.5, "explain": 0.6, "diagnose": 0.4}  # dear: fewer of these
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
    weights = [_RARE.get(verb, 1.0) for verb in VERBS]
    for _ in range(count):
        yield Case(
            rng.choices(list(VERBS), weights)[0],
            rng.choice(list(FEATURES)),
            rng.choice(FAULTS),
            rng.random(),
            rng.random(),
        )


def lines(verb, folder):
    """How many lines of the folder a run of the verb takes."""
    if (verb, folder) not in _lines:
        with Lines(folder) as counted, suppress(vs.VarshiftError):
            _run(verb, FEATURES["counter"](), Loader())
        _lines[verb, folder] = counted.count
    return _lines[verb, folder]


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
    net, loader = FEATURES[case.feature](), Loader()
    at, more = max(1, round(case.at * 6)), case.more
    with ExitStack() as faults:
        if case.fault.startswith("loader"):
            error = Disk("disk") if "raises" in case.fault else KeyboardInterrupt()
            loader = Loader(min(at - 1, len(data()) - 1), error)
        elif case.fault.startswith("forward"):
            error = Disk("in forward") if "raises" in case.fault else KeyboardInterrupt()
            faults.enter_context(raising_forward(net, at, error))
        interrupts = None
        if case.fault == "interrupt at a line":
            interrupts = Lines(PACKAGE, [1 + int(case.at * lines(case.verb, PACKAGE))])
        elif case.fault.endswith("while borrowing"):
            place = 1 + int(case.at * lines(case.verb, BORROWING))
            second = [1 + int(more * 60)] if case.fault.startswith("two") else []
            interrupts = Lines(BORROWING, [place, *second])
        return _compared(case, net, loader, interrupts)


def _compared(case, net, loader, interrupts):
    random.seed(0)
    torch.manual_seed(0)
    before, around = told(net), process()
    said, result = [], None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inside = process()
        try:
            result = _run(case.verb, net, loader, interrupts)
        except (KeyboardInterrupt, Disk, vs.VarshiftError) as error:
            said += _chain(error)
            del error
        changed = [key for key, value in process().items() if value != inside[key]]
    if result is not None:
        said += map(str, getattr(result, "notes", ()))
    if case.verb in CHANGES and getattr(result, "undo", None) is not None:
        result.undo()
    said += [str(warning.message) for warning in caught]
    del around
    gc.collect(0)
    return Outcome([*changed, *_marks(before, told(net), case)], "\n".join(said))


def _run(verb, net, loader, interrupts=None):
    with interrupts or ExitStack():
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
