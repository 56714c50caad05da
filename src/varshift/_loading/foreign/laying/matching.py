"""Which layer of a file belongs to which module: by name, else by order and shape.

Nothing is guessed: where several layers would do and neither names nor the order say which, that is
an error, and the sentence names them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from varshift._loading.foreign.layers import ForeignLayer
from varshift._loading.foreign.laying.mismatching import Mismatch, missing, unclear
from varshift._loading.foreign.laying.own import OwnLayer
from varshift._loading.foreign.laying.turning import fits

__all__ = ["Matched", "matched"]

_ORDERS = {
    "network": "order and shape",
    "kinds": "shape and order within each kind of layer",
    "shape": "shape alone, each fits one place only; their order is not the model's",
    "numbers": "shape and the numbers in their names",
}


@dataclass(frozen=True)
class Matched:
    """What belongs together.

    Attributes:
        pairs: modules in the model's order, each with its layer.
        how: by what, in words.
        alike: pairs that order alone tells from another of the same kind and shape.
    """

    pairs: tuple[tuple[OwnLayer, ForeignLayer], ...]
    how: str
    alike: tuple[tuple[OwnLayer, ForeignLayer], ...]


def matched(own: Sequence[OwnLayer], layers: Sequence[ForeignLayer], ordered: str) -> Matched:
    """Each module with its layer.

    Args:
        own: modules that must have one, in the order of the state_dict.
        layers: of the file.
        ordered: "network" or "names", as `ForeignFile.ordered`.

    Raises:
        Mismatch: a module has no layer, or may have several.
    """
    allowed = [[fits(each, layer) for layer in layers] for each in own]
    for each, row in zip(own, allowed, strict=True):
        if not any(row):
            raise Mismatch(missing(each, own, layers))
    named = _by_name(own, layers, allowed)
    rest = [i for i in range(len(own)) if i not in named]
    left = [j for j in range(len(layers)) if j not in named.values()]
    table = [[allowed[i][j] for j in left] for i in rest]
    found: list[int] = []
    how = ""
    if rest:
        found, how = _by_order([own[i] for i in rest], [layers[j] for j in left], table, ordered)
    chosen = named | {i: left[place] for i, place in zip(rest, found, strict=True)}
    pairs = tuple((own[i], layers[chosen[i]]) for i in range(len(own)))
    told = " and ".join(filter(None, ("name" if named else "", _ORDERS.get(how, ""))))
    return Matched(pairs, told, () if how in ("", "shape") else _alike(pairs, rest))


def _by_name(
    own: Sequence[OwnLayer], layers: Sequence[ForeignLayer], allowed: Sequence[Sequence[bool]]
) -> dict[int, int]:
    """Where names agree and shapes fit. Mere numbers count only where they agree throughout."""
    names = [tuple(layer.name.split("/")) for layer in layers]
    paths = [tuple(each.path.split(".")) for each in own]
    if len(set(names)) == len(names) and set(paths) <= set(names):
        whole = {i: names.index(path) for i, path in enumerate(paths)}
        if all(allowed[i][j] for i, j in whole.items()):
            return whole
    found = {}
    for i, path in enumerate(paths):
        ends = [j for j, name in enumerate(names) if _one_ends(path, name)]
        if len(ends) != 1 or not allowed[i][ends[0]]:
            continue
        if sum(_one_ends(other, names[ends[0]]) for other in paths) == 1:
            found[i] = ends[0]
    return found


def _one_ends(path: tuple[str, ...], name: tuple[str, ...]) -> bool:
    """Whether one is the other's end, and says more than a number."""
    short = min(len(path), len(name))
    return path[-short:] == name[-short:] and bool(re.search("[^0-9]", path[-1]))


def _by_order(
    own: Sequence[OwnLayer],
    layers: Sequence[ForeignLayer],
    allowed: Sequence[Sequence[bool]],
    ordered: str,
) -> tuple[list[int], str]:
    """The place of each module's layer, and how it was found."""
    if ordered == "network":
        found = _in_order(own, layers, allowed)
        if found is not None:
            return found, "network"
    if ordered == "names" or _in_blocks(own):
        found = _in_kinds(own, layers, allowed, ordered)
        if found is not None:
            return found, "numbers" if ordered == "names" else "kinds"
    return _by_shape(own, layers, allowed), "shape"


def _in_order(
    own: Sequence[OwnLayer], layers: Sequence[ForeignLayer], allowed: Sequence[Sequence[bool]]
) -> list[int] | None:
    """The one way to find all modules in the file's order; layers may be left over.

    Raises:
        Mismatch: there are several ways, and the file's first layers are none of them.
    """
    first, last = _earliest(allowed), _latest(allowed)
    if first is None or last is None:
        return None
    if first != last and first != list(range(len(own))):
        at = next(i for i, (one, other) in enumerate(zip(first, last, strict=True)) if one != other)
        raise Mismatch(unclear(own[at], [layers[j] for j in (first[at], last[at])]))
    return first


def _earliest(allowed: Sequence[Sequence[bool]]) -> list[int] | None:
    """Each module's first layer behind that of the one before."""
    found: list[int] = []
    at = 0
    for row in allowed:
        place = next((j for j in range(at, len(row)) if row[j]), None)
        if place is None:
            return None
        found.append(place)
        at = place + 1
    return found


def _latest(allowed: Sequence[Sequence[bool]]) -> list[int] | None:
    """The same from the end: where both agree there is one way only."""
    turned = _earliest([row[::-1] for row in allowed[::-1]])
    if turned is None:
        return None
    return [len(row) - 1 - j for row, j in zip(allowed, turned[::-1], strict=True)]


def _in_blocks(own: Sequence[OwnLayer]) -> bool:
    """Whether the model holds its layers kind by kind, in lists of modules."""
    runs = [each.kind for i, each in enumerate(own) if not i or own[i - 1].kind != each.kind]
    return len(runs) == len(set(runs))


def _in_kinds(
    own: Sequence[OwnLayer],
    layers: Sequence[ForeignLayer],
    allowed: Sequence[Sequence[bool]],
    ordered: str,
) -> list[int] | None:
    """The order of each kind by itself, where that alone is known."""
    found: dict[int, int] = {}
    for kind in dict.fromkeys(each.kind for each in own):
        some = [i for i, each in enumerate(own) if each.kind == kind]
        if ordered == "names":
            _refuse_other_stems([own[i] for i in some], layers, [allowed[i] for i in some])
        places = _in_order([own[i] for i in some], layers, [allowed[i] for i in some])
        if places is None:
            return None
        found |= dict(zip(some, places, strict=True))
    return [found[i] for i in range(len(own))]


def _refuse_other_stems(
    own: Sequence[OwnLayer], layers: Sequence[ForeignLayer], allowed: Sequence[Sequence[bool]]
) -> None:
    """Numbers order conv_1 and conv_2; of stem and branch, nothing says which is first."""
    for each, row in zip(own, allowed, strict=True):
        fitting = [layer for layer, fit in zip(layers, row, strict=True) if fit]
        stems = {re.sub(r"[_-]?\d+", "", layer.name): layer for layer in fitting}
        if len(stems) > 1:
            raise Mismatch(unclear(each, list(stems.values())))


def _by_shape(
    own: Sequence[OwnLayer], layers: Sequence[ForeignLayer], allowed: Sequence[Sequence[bool]]
) -> list[int]:
    """Where each module fits one layer only, order is not needed."""
    found: list[int] = []
    for each, row in zip(own, allowed, strict=True):
        fitting = [j for j, fit in enumerate(row) if fit]
        if len(fitting) > 1:
            raise Mismatch(unclear(each, [layers[j] for j in fitting]))
        found.append(fitting[0])
    for i, place in enumerate(found):
        if place in found[:i]:
            other = own[found.index(place)]
            raise Mismatch(
                f"{other.path!r} and {own[i].path!r} of the model both fit {layers[place].name!r} "
                "alone: the file lacks a layer, or the model has one too many"
            )
    return found


def _alike(
    pairs: Sequence[tuple[OwnLayer, ForeignLayer]], rest: Sequence[int]
) -> tuple[tuple[OwnLayer, ForeignLayer], ...]:
    keys = [(own.kind, own.shape) for own, _ in pairs]
    among = [keys[i] for i in rest]
    return tuple(pairs[i] for i in rest if among.count(keys[i]) > 1)
