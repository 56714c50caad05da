"""Noise that no draw of the pass makes: masks drawn ahead and kept, or made by numpy or Python.

A tensor that the pass has found ready-made, and that meets data, is told from a constant by one
look at evaluation: a constant meets data there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from varshift._engine.borrow.hidden import everything
from varshift._engine.decided import GENERATORS, Follow, asks, by_generator, decided
from varshift._engine.regime import Mode
from varshift._engine.sites import Inventory
from varshift._engine.trace.flow import same_storage, storage_key
from varshift._engine.trace.laws import UNKNOWN, Law
from varshift._engine.trace.noises import Source
from varshift._engine.trace.outside import MadeAhead, Meets, Origin
from varshift._engine.trace.tracer import Tracer
from varshift._engine.trace.trails import Reached
from varshift.results import Note, NoteKind

__all__ = ["NOT_LOOKED", "Ahead", "Look", "look_ahead", "open_questions"]

_NEUTRAL = {"mul": 1.0, "div": 1.0, "add": 0.0, "sub": 0.0}
NOT_LOOKED = Note(
    "masks drawn ahead of the pass, by numpy or in Python, are not looked for where ranks wait for "
    "each other in the forward: inspect the model in one process"
)
_FAR = 6.0  # standard errors


@dataclass(frozen=True, eq=False)
class Look:
    """A pass in which such tensors were looked for, and the generators that it moved."""

    tracer: Tracer
    moved: tuple[str, ...]

    @property
    def met(self) -> list[Origin]:
        """The tensors from outside that have met data."""
        outside = self.tracer.outside
        return [] if outside is None else [each for each in outside.origins if each.meetings]


@dataclass(frozen=True, eq=False)
class _Home:
    """Where a tensor is kept: its name in the model, and its module."""

    name: str
    path: str
    module: nn.Module


@dataclass(frozen=True, eq=False)
class Ahead:
    """What was found: noise to be followed, and what only may be said."""

    kept: tuple[MadeAhead, ...] = ()
    notes: tuple[Note, ...] = ()


def open_questions(tracer: Tracer, moved: tuple[str, ...]) -> bool:
    """Whether a training pass may hold noise that none of its draws shows."""
    met = tracer.outside is not None and tracer.outside.reached
    return met or (bool(tracer.sites) and asks(tracer, moved))


def look_ahead(model: nn.Module, training: Look, follow: Follow) -> tuple[Tracer, Ahead]:
    """What met data in training alone, and the trace that has followed it.

    One pass in evaluation tells constants from noise; one more in training where numbers are made
    anew while Python's and numpy's generators stand still; the last one follows what was found.
    Draws that become Python numbers take a pass for each generator or source.
    """

    def look(mode: Mode, kept: tuple[MadeAhead, ...] = ()) -> Look:
        return Look(*follow(mode, partial(_looking, kept, decisions)))

    decisions: Mapping[int, Source] = {}
    found, evaluation = Ahead(), None
    outside = training.tracer.outside
    if outside is not None and outside.reached:
        evaluation = look("evaluation")
        first = _in_training_only(model, training, None, evaluation)
        if first is None:
            first = _in_training_only(model, training, look("training"), evaluation)
        found = first or found
    decisions = decided(model, training.tracer, training.moved, follow)
    if not (found.kept or decisions):
        return training.tracer, found
    tracer = look("training", found.kept).tracer
    _only_where_both_run(tracer, evaluation or look("evaluation"))
    return tracer, found


def _looking(
    kept: tuple[MadeAhead, ...], decisions: Mapping[int, Source], *arguments: Any, **keywords: Any
) -> Tracer:
    tracer = Tracer(*arguments, **keywords)
    tracer.look_outside(kept, decisions)
    return tracer


def _in_training_only(
    model: nn.Module, training: Look, again: Look | None, evaluation: Look
) -> Ahead | None:
    """What met data in training alone; None where that takes a second look at training."""
    homes = _homes(model)
    kept: list[MadeAhead] = []
    notes: list[Note] = []
    for origin in training.met:
        home = homes.get(storage_key(origin.tensor))
        meetings = _alone(origin, home is None, training, evaluation, homes)
        if not meetings:
            continue
        generator = next((each for each in GENERATORS if each in training.moved), "")
        anew = home is None and not generator
        if anew and again is None:
            return None
        still = anew and again is not None and not _random(origin, meetings, again)
        if still or (_constant(origin.tensor) and (anew or home is not None)):
            notes += _told(home, origin, meetings)
        elif home is not None:
            kept.append(_held(home, origin, *next(iter(meetings.items()))))
        else:
            kept += [_made(model, meets, tensor, generator) for meets, tensor in meetings.items()]
    return Ahead(tuple(kept), tuple(notes))


def _homes(model: nn.Module) -> dict[Any, _Home]:
    """Where the model keeps its tensors, by storage."""
    held = Inventory(model)
    paths = {id(module): path for path, module in held.modules}
    return {
        storage_key(tensor): _Home(name, paths[id(module)], module)
        for name, module, tensor in held.tensors()
    }


def _only_where_both_run(tracer: Tracer, evaluation: Look) -> None:
    """Leave the routes of such noise to norms that evaluation runs: elsewhere it shifts nothing."""
    made = {at for at, held in enumerate(tracer.sources) if held.kept or held.generator}
    unseen = set()
    for path, reached in tracer.routes.items():
        if path not in evaluation.tracer.sites:
            unseen |= made & reached.keys()
            tracer.routes[path] = Reached({at: reached[at] for at in reached if at not in made})
    for source in unseen.difference(*tracer.routes.values()):
        tracer.sources[source].aside = True


def _alone(
    origin: Origin, anew: bool, training: Look, evaluation: Look, homes: Mapping[Any, _Home]
) -> dict[Meets, Tensor]:
    """Its meetings with data that evaluation has not, in modules that evaluation runs."""
    if _again(origin, evaluation):
        return {}
    called = evaluation.tracer.modules.called
    moved = any(each in training.moved for each in GENERATORS)
    # One that is made anew in every pass is known by its place, and by its values where it draws.
    there = _by_place(evaluation, homes) if anew else {}
    return {
        meets: tensor
        for meets, tensor in origin.meetings.items()
        if (not meets.path or meets.path in called)
        and not (meets in there and (not moved or _among(tensor, there[meets])))
    }


def _again(origin: Origin, other: Look) -> bool:
    """Whether the same tensor has met data in another pass."""
    key = storage_key(origin.tensor)
    return any(storage_key(each.tensor) == key for each in other.met)


def _by_place(seen: Look, homes: Mapping[Any, _Home]) -> dict[Meets, list[Tensor]]:
    """What no module keeps, by where it met data."""
    found: dict[Meets, list[Tensor]] = {}
    for origin in seen.met:
        if storage_key(origin.tensor) not in homes:
            for meets, tensor in origin.meetings.items():
                found.setdefault(meets, []).append(tensor)
    return found


def _random(origin: Origin, meetings: Mapping[Meets, Tensor], again: Look) -> bool:
    """Whether what no module keeps is kept elsewhere, or made anew with other values."""
    if _again(origin, again):
        return True
    there = _by_place(again, {})
    return any(
        meets in there and not _among(tensor, there[meets]) for meets, tensor in meetings.items()
    )


def _among(tensor: Tensor, others: Iterable[Tensor]) -> bool:
    return any(tensor.shape == other.shape and torch.equal(tensor, other) for other in others)


def _constant(tensor: Tensor) -> bool:
    first = tensor.reshape(-1)[:1]
    return bool((tensor == first).all())


def _told(home: _Home | None, origin: Origin, meetings: Mapping[Meets, Tensor]) -> Iterator[Note]:
    """A number that multiplies data in training alone: no noise, but no evaluation either."""
    meets, tensor = next(iter(meetings.items()))
    value = float(tensor.reshape(-1)[0]) if _constant(tensor) else None
    if origin.beside_noise or _does_nothing(meets, value):
        return  # the scale of a mask that was drawn in the pass
    what = f"{home.name!r}, which" if home is not None else f"a tensor made {_where(meets)}, which"
    yield Note(
        f"{meets.path or 'the model'}: {what} no draw of the pass explains, meets the data in "
        f"training ({meets.operation}{_at(meets)}) and not in evaluation: the two differ here",
        NoteKind.UNEXPLAINED,
        meets.path,
    )


def _does_nothing(meets: Meets, value: float | None) -> bool:
    operation = meets.operation.rstrip("_")
    return value is not None and (value == _NEUTRAL.get(operation) or operation not in _NEUTRAL)


def _where(meets: Meets) -> str:
    return "outside torch" if meets.line is None else f"by {meets.line.function}"


def _at(meets: Meets) -> str:
    return "" if meets.line is None else f" at {meets.line.near}"


def _held(home: _Home, origin: Origin, meets: Meets, tensor: Tensor) -> MadeAhead:
    # A slice shows fewer values than all that was drawn; what was computed of it shows others.
    values = origin.tensor if same_storage(tensor, origin.tensor) else tensor

    def source() -> Source:
        return Source(home.path, home.module, "kept tensor", meets.line, kept=home.name)

    return MadeAhead(home.name, meets, source, law_of_values(values))


def _made(model: nn.Module, meets: Meets, tensor: Tensor, generator: str) -> MadeAhead:
    module = dict(everything(model))[meets.path]

    def source() -> Source:
        if generator:
            return by_generator(module, generator)
        label = meets.path or "(model)"
        return Source(meets.path, module, "made outside torch", meets.line, kept=label)

    law = law_of_values(tensor)
    # The next pass has other values: only a rate that the scale tells is theirs too.
    return MadeAhead(None, meets, source, law if law.first > 1 else UNKNOWN)


def law_of_values(values: Tensor) -> Law:
    """The law of a kept mask: zeros and one other value, which tells the rate where it is scaled.

    A mask of 0 and 1/keep_p is that of dropout; one of 0 and 1 has the rate that its zeros show.
    """
    held = values.detach().to(torch.float64).reshape(-1)
    other = held[held != 0]
    if not len(other) or len(other) == len(held) or bool((other != other[0]).any()):
        return UNKNOWN
    value, shown = float(other[0]), len(other) / len(held)
    scaled = 1 / value if value > 1 else shown
    error = (scaled * (1 - scaled) / len(held)) ** 0.5
    keep_p = scaled if abs(shown - scaled) <= _FAR * error else shown
    return Law("bernoulli", value, 0.0, float(f"{keep_p:.6g}"))  # masks are kept in float32
