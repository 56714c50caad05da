"""Which weights of a file a model is given: whatever the layout, by what fits the model.

A set of weights fits by the names and shapes of the model's own state, so that no list of the keys
people use is needed. `fitting_set` says which is taken where several fit.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn.parameter import is_lazy

from varshift._counting import counted
from varshift._engine import same_bits
from varshift._loading.fitting import misfits
from varshift._loading.weight_sets import COMPILED, WeightSet, mappings, sets_in
from varshift.errors import CheckpointError, listed, quoted

__all__ = ["fitting_set", "told"]


def fitting_set(found: Any, own: Mapping[str, Any], path: Path, key: str = "") -> WeightSet:
    """The set of weights in `found` that fits a model with the state `own` best, under `key`.

    A set that fits whole goes before one that does not. Of several that fit whole, weights as they
    were trained go before averaged ones (a key such as "ema"), then the one nearest to the top.

    Raises CheckpointError where nothing has a name of the model's, or where two sets that differ
    have the same right to be taken.
    """
    sets = [held for held in sets_in(found, own) if _under(held.key, key)]
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
            f"Say which by its key: --checkpoint {_argument(path, keys[0])}"
        )
    return replace(taken, others=tuple(held.key for held in ranked[1:] if held in whole))


def told(taken: WeightSet, path: Path) -> list[str]:
    """What was done to make it fit, and what was not taken."""
    said = []
    if taken.joined:
        said.append(f"weights joined from {listed(taken.joined)} of the checkpoint")
    if taken.place:
        said.append(f"weights taken from {quoted(taken.place)} of the checkpoint")
    if taken.prefix:
        said.append(f"prefix {quoted(taken.prefix)} taken off the checkpoint's keys")
    if taken.compiled:
        said.append(f"{COMPILED!r} taken out of the checkpoint's keys")
    if taken.left:
        said.append(
            f"{counted(len(taken.left), 'key')} of the checkpoint without the prefix "
            f"{quoted(taken.prefix)} left out (first {quoted(taken.left[0])})"
        )
    if taken.others:
        said.append(
            f"the checkpoint also holds {listed(taken.others)}, which fits too: weights as trained "
            f"go before averages, and those nearer to the top before others; "
            f"--checkpoint {_argument(path, taken.others[0])} takes it"
        )
    return said


def _argument(path: Path, key: str) -> str:
    """FILE#KEY for a shell: names of other people's files are in it."""
    return f"{shlex.quote(str(path))}#{shlex.quote(key)}"


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
    if key and (sets := sets_in(found, own)):
        there = [held.key for held in sets if held.key]
        where = f"under {listed(there)}" if there else "at its top: leave the key out"
        return f"{str(path)!r} holds no weights of the model under {quoted(key)}, but {where}"
    held = [
        (place, inner)
        for place, inner in mappings(found)
        if any(isinstance(value, Tensor) for value in inner.values())
    ]
    name, tensor = next(iter(own.items()), ("", None))
    first = f", first {quoted(name)} {_shape(tensor)}" if own else ""
    wants = f"the model wants {counted(len(own), 'tensor')}{first}"
    if not held:
        keys = listed(found) if isinstance(found, Mapping) else f"a {type(found).__name__}"
        return (
            f"{str(path)!r} holds no tensors with names (it holds {keys}); {wants}. Save "
            "model.state_dict()"
        )
    place, inner = max(held, key=lambda each: len(each[1]))
    if odd := [each for each in inner if not isinstance(each, str)]:
        return _odd(path, odd[0])
    tensors = {each: value for each, value in inner.items() if isinstance(value, Tensor)}
    name, tensor = next(iter(tensors.items()))
    at = f" at {quoted(place)}" if place else ""
    return (
        f"{str(path)!r} does not fit the model: it holds {counted(len(tensors), 'tensor')}{at}, "
        f"first {quoted(name)} {_shape(tensor)}; {wants}. No name is the model's: "
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
