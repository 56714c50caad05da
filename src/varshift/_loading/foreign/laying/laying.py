"""The state_dict that a file of another framework makes of a model, and what was done for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from varshift._loading.foreign.layers import Array, ForeignFile
from varshift._loading.foreign.laying.matching import matched
from varshift._loading.foreign.laying.mismatching import Mismatch
from varshift._loading.foreign.laying.norms import refuse_other_eps
from varshift._loading.foreign.laying.own import COUNTER, own_layers
from varshift._loading.foreign.laying.telling import laying_notes
from varshift._loading.foreign.laying.turning import completed

__all__ = ["laid"]


def laid(model: nn.Module, file: ForeignFile) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A state_dict for the model, nothing of which is touched, and notes on how it came about.

    Raises:
        Mismatch: modules with weights that the file has nothing for, or more than one layer;
            norms with another eps.
    """
    own = own_layers(model)
    needed = [each for each in own if each.kind != "other" or each.parameters]
    if not needed:
        raise Mismatch("the model has no layer to lay weights on")
    found = matched(needed, file.layers, file.ordered)
    refuse_other_eps(found.pairs)
    state: dict[str, Any] = dict(model.state_dict())
    for each, layer in found.pairs:
        arrays = completed(each, layer)
        for path in (each.path, *each.twins):
            for name in each.tensors:
                state[f"{path}.{name}" if path else name] = _tensor(arrays[name])
    for key, value in state.items():
        if key.rpartition(".")[2] == COUNTER and isinstance(value, Tensor):
            state[key] = torch.zeros_like(value)
    return state, tuple(laying_notes(found, own, file))


def _tensor(array: Array) -> Tensor:
    """A copy that torch may write to, in the machine's order of bytes."""
    dtype = array.dtype if array.dtype.kind in "fiub" else np.dtype(np.float32)
    dtype = dtype if dtype.itemsize <= 8 else np.dtype(np.float64)
    return torch.from_numpy(np.array(array, dtype.newbyteorder("="), order="C"))
