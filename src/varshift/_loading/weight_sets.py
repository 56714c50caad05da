"""The sets of weights in a file: mappings from names to tensors, anywhere in it, less a prefix."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.parameter import is_lazy

from varshift._loading.fitting import misfits
from varshift.errors import CheckpointError

__all__ = ["COMPILED", "WeightSet", "mappings", "sets_in"]

_MOST_AGAIN = 1 << 18  # entries of what stands in a file under several keys
_DEEPEST = 8  # nests within nests; a mapping that holds itself must end
COMPILED = "_orig_mod."  # what torch.compile puts into the names, wherever it was called
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


def sets_in(found: Any, own: Mapping[str, Any]) -> list[WeightSet]:
    """Every set that shares a name with the model's state, in the file's order."""
    names = {name.replace(COMPILED, ""): name for name in own}
    sets = []
    for place, held in mappings(found):
        for prefix in _prefixes(held, names, own):
            sets.append(_set_of(place, prefix, held, names, own))
        if (joined := _joined(place, held, names, own)) is not None:
            sets.append(joined)
    # Names of the model's own, left aside, would be a second set in the same mapping.
    return [held for held in sets if own.keys().isdisjoint(held.left)]


def mappings(found: Any) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Every mapping in the file with its key.

    Raises CheckpointError for nests that share each other so often that nobody could walk them.
    """
    return _mappings(found, (), (), _Walked())


class _Walked:
    """What a walk has met. A file is as long as it is; what it names again may be without end."""

    def __init__(self) -> None:
        self._met: set[int] = set()
        self._again = 0

    def meets(self, held: Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> None:
        if id(held) in self._met:
            self._again += 1 + len(held)
        self._met.add(id(held))
        if self._again > _MOST_AGAIN:
            raise CheckpointError(
                "the checkpoint names the same nests again and again, as no trainer does: refused"
            )


def _mappings(
    found: Any, place: tuple[str, ...], around: tuple[int, ...], walked: _Walked
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    if len(place) > _DEEPEST or id(found) in around:
        return
    inner: Any = ()
    if isinstance(found, (Mapping, list, tuple)):
        walked.meets(found)
    if isinstance(found, Mapping):
        yield ".".join(place), found
        inner = found.items()
    elif isinstance(found, (list, tuple)):
        inner = enumerate(found)
    for key, value in inner:
        if isinstance(value, (Mapping, list, tuple)):
            yield from _mappings(value, (*place, str(key)), (*around, id(found)), walked)


def _prefixes(
    held: Mapping[Any, Any], names: Mapping[str, str], own: Mapping[str, Any]
) -> list[str]:
    """What can be taken off the names for most of them to be the model's, by shape or at all."""
    named: Counter[str] = Counter()
    shaped: Counter[str] = Counter()
    for key, value in held.items():
        if not isinstance(key, str):
            continue
        plain = key.replace(COMPILED, "")
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
        plain = key.replace(COMPILED, "")
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
