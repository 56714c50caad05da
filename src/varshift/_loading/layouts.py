"""Where in a file the weights of a model are: whatever its layout, by what fits the model.

A set of weights is a mapping from names to tensors, anywhere in the file, less a prefix that the
names of the model do not have. It fits by the names and shapes of the model's own state, so that no
list of the keys people use is needed. `fitting_set` says which is taken where several fit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn.parameter import is_lazy

from varshift._engine import same_bits
from varshift._loading.fitting import misfits
from varshift.errors import CheckpointError, listed

__all__ = ["WeightSet", "fitting_set", "told"]

_DEEPEST = 8  # nests within nests; a mapping that holds itself must end
_COMPILED = "_orig_mod."  # what torch.compile puts into the names, wherever it was called
_AVERAGED = re.compile(r"(?<![a-z])(ema|swa|avg|averaged?|shadow|polyak)(?![a-z])")


@dataclass(frozen=True, eq=False)
class WeightSet:
    """Weights that a file holds under one key.

    Attributes:
        place: the key, those of nests joined by dots; "" for the file itself.
        prefix: what was taken off the names, "" for nothing.
        state: values by the model's names, and others by their own.
        matched: how many of the model's tensors it has, by name and shape, then by name alone.
        left: names of the same mapping that do not begin with the prefix.
        joined: keys whose mappings make up the set together; empty where it is one mapping.
        compiled: whether the names were those of a compiled model.
        others: keys of further sets that fit the model whole, and were not taken.
    """

    place: str
    prefix: str
    state: Mapping[str, Any]
    matched: tuple[int, int]
    left: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    compiled: bool = False
    others: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What names it in FILE#KEY.

        >>> WeightSet("ema", "module.", {}, (0, 0)).key
        'ema.module'
        """
        return ".".join(part for part in (self.place, self.prefix.rstrip(".")) if part)

    @property
    def averaged(self) -> bool:
        """Whether its key says that it is an average of weights."""
        return _AVERAGED.search(self.key.lower()) is not None

    @property
    def rank(self) -> tuple[bool, int]:
        """The smaller the sooner taken: weights as trained before averages, then by depth."""
        return self.averaged, self.place.count(".") + bool(self.place)


def fitting_set(found: Any, own: Mapping[str, Any], path: Path, key: str = "") -> WeightSet:
    """The set of weights in `found` that fits a model with the state `own` best, under `key`.

    A set that fits whole goes before one that does not. Of several that fit whole, weights as they
    were trained go before averaged ones (a key such as "ema"), then the one nearest to the top.

    Raises CheckpointError where nothing has a name of the model's, or where two sets that differ
    have the same right to be taken.
    """
    sets = [held for held in _sets_in(found, own) if _under(held.key, key)]
    if not sets:
        raise CheckpointError(_nothing_fits(found, own, path, key))
    most = max(held.matched for held in sets)
    best = [held for held in sets if held.matched == most]
    whole = [held for held in best if not any(misfits(held.state, own))]
    ranked = sorted(whole or best, key=lambda held: held.rank)
    taken = ranked[0]
    if odd := [name for name in taken.state if not isinstance(name, str)]:
        raise CheckpointError(_odd(path, odd[0]))
    rivals = [held for held in whole if held.rank == taken.rank and not _same(held, taken)]
    if rivals:
        keys = [taken.key, *(held.key for held in rivals)]
        raise CheckpointError(
            f"{str(path)!r} holds {len(keys)} sets of weights that fit the model: {listed(keys)}. "
            f"Say which by its key: {path}#{keys[0]}"
        )
    return replace(taken, others=tuple(held.key for held in ranked[1:] if held in whole))


def told(taken: WeightSet, path: Path) -> list[str]:
    """What was done to make it fit, and what was not taken."""
    said = []
    if taken.joined:
        said.append(f"weights joined from {listed(taken.joined)} of the checkpoint")
    if taken.place:
        said.append(f"weights taken from {taken.place!r} of the checkpoint")
    if taken.prefix:
        said.append(f"prefix {taken.prefix!r} taken off the checkpoint's keys")
    if taken.compiled:
        said.append(f"{_COMPILED!r} taken out of the checkpoint's keys")
    if taken.left:
        said.append(
            f"{_count(len(taken.left), 'key')} of the checkpoint without the prefix "
            f"{taken.prefix!r} left out (first {taken.left[0]!r})"
        )
    if taken.others:
        said.append(
            f"the checkpoint also holds {listed(taken.others)}, which fits too: weights as trained "
            f"go before averages, and those nearer to the top before others; "
            f"{path}#{taken.others[0]} takes it"
        )
    return said


def _sets_in(found: Any, own: Mapping[str, Any]) -> list[WeightSet]:
    """Every set that shares a name with the model's state, in the file's order."""
    names = {name.replace(_COMPILED, ""): name for name in own}
    sets = []
    for place, held in _mappings(found):
        for prefix in _prefixes(held, names, own):
            sets.append(_set_of(place, prefix, held, names, own))
        if (joined := _joined(place, held, names, own)) is not None:
            sets.append(joined)
    # Names of the model's own, left aside, would be a second set in the same mapping.
    return [held for held in sets if own.keys().isdisjoint(held.left)]


def _mappings(
    found: Any, place: tuple[str, ...] = (), around: tuple[int, ...] = ()
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Every mapping in the file with its key."""
    if len(place) > _DEEPEST or id(found) in around:
        return
    inner: Any = ()
    if isinstance(found, Mapping):
        yield ".".join(place), found
        inner = found.items()
    elif isinstance(found, (list, tuple)):
        inner = enumerate(found)
    for key, value in inner:
        if isinstance(value, (Mapping, list, tuple)):
            yield from _mappings(value, (*place, str(key)), (*around, id(found)))


def _prefixes(
    held: Mapping[Any, Any], names: Mapping[str, str], own: Mapping[str, Any]
) -> list[str]:
    """What can be taken off the names for most of them to be the model's, by shape or at all."""
    named: Counter[str] = Counter()
    shaped: Counter[str] = Counter()
    for key, value in held.items():
        if not isinstance(key, str):
            continue
        plain = key.replace(_COMPILED, "")
        for start in (0, *(dot.end() for dot in re.finditer(r"\.", plain))):
            name = names.get(plain[start:])
            if name is not None:
                named[plain[:start]] += 1
                shaped[plain[:start]] += _fits(value, own[name])
    most = [max(counts.values(), default=0) for counts in (named, shaped)]
    return [prefix for prefix in named if named[prefix] == most[0] or shaped[prefix] == most[1]]


def _set_of(
    place: str,
    prefix: str,
    held: Mapping[Any, Any],
    names: Mapping[str, str],
    own: Mapping[str, Any],
) -> WeightSet:
    state: dict[Any, Any] = {}
    left = []
    compiled = False
    for key, value in held.items():
        if not isinstance(key, str):
            state[key] = value  # what no name names, the whole set is refused for
            continue
        plain = key.replace(_COMPILED, "")
        if not plain.startswith(prefix):
            left.append(key)
            continue
        name = plain.removeprefix(prefix)
        compiled |= plain != key and names.get(name) != key
        state[names.get(name, name)] = value
    return WeightSet(place, prefix, state, _matched(state, own), tuple(left), compiled=compiled)


def _joined(
    place: str, held: Mapping[Any, Any], names: Mapping[str, str], own: Mapping[str, Any]
) -> WeightSet | None:
    """What mappings of parts make together, as {"backbone": …, "head": …}; only if it is whole."""
    state = {key: value for key, value in held.items() if key in own}
    used = []
    for part, inner in held.items():
        if isinstance(inner, Mapping):
            under = {f"{part}.{name}": value for name, value in inner.items()}
            if not own.keys().isdisjoint(under):
                used.append(str(part))
                state |= under
    if not used or any(misfits(state, own)):
        return None
    return WeightSet(place, "", state, _matched(state, own), joined=tuple(used))


def _matched(state: Mapping[Any, Any], own: Mapping[str, Any]) -> tuple[int, int]:
    both = [name for name in state if name in own]
    return sum(_fits(state[name], own[name]) for name in both), len(both)


def _fits(value: Any, own: Any) -> bool:
    if not isinstance(own, Tensor):
        return True  # a state of the module's own making
    return isinstance(value, Tensor) and (
        is_lazy(own) or is_lazy(value) or value.shape == own.shape
    )


def _under(key: str, wanted: str) -> bool:
    return not wanted or key == wanted or key.startswith(f"{wanted}.")


def _same(one: WeightSet, other: WeightSet) -> bool:
    """Whether both hold the same bits, so that it does not matter which is taken."""
    return all(
        value is other.state[name]
        or (isinstance(value, Tensor) and same_bits(value, other.state[name]))
        for name, value in one.state.items()
    )


def _nothing_fits(found: Any, own: Mapping[str, Any], path: Path, key: str) -> str:
    """What the file holds, and what the model wants."""
    held = [
        (place, inner)
        for place, inner in _mappings(found)
        if any(isinstance(value, Tensor) for value in inner.values()) and _under(place, key)
    ]
    name, tensor = next(iter(own.items()), ("", None))
    first = f", first {name!r} {_shape(tensor)}" if own else ""
    wants = f"the model wants {_count(len(own), 'tensor')}{first}"
    where = f"under {key!r} " if key else ""
    if not held:
        keys = listed(found) if isinstance(found, Mapping) else f"a {type(found).__name__}"
        return (
            f"{str(path)!r} holds no tensors {where}by name (but {keys}); {wants}. Save "
            "model.state_dict()"
        )
    place, inner = max(held, key=lambda each: len(each[1]))
    if odd := [each for each in inner if not isinstance(each, str)]:
        return _odd(path, odd[0])
    tensors = {each: value for each, value in inner.items() if isinstance(value, Tensor)}
    name, tensor = next(iter(tensors.items()))
    at = f" at {place!r}" if place else ""
    return (
        f"{str(path)!r} does not fit the model: it holds {_count(len(tensors), 'tensor')}{at}, "
        f"first {name!r} {_shape(tensor)}; {wants}. No name is the model's: "
        "let the factory make the model as it was trained, or load the file there"
    )


def _odd(path: Path, key: Any) -> str:
    return (
        f"{str(path)!r} holds {key!r:.40} among its keys, which are names in a state_dict; "
        "save model.state_dict()"
    )


def _shape(value: Any) -> str:
    if not isinstance(value, Tensor) or is_lazy(value):
        return "of no shape"
    return str(tuple(value.shape))


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
