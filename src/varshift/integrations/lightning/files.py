"""What a checkpoint holds: noise-off statistics where it is loaded, training's own beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from varshift._engine import put
from varshift.integrations.lightning.exchange import Exchange

__all__ = ["KEY", "into_checkpoint", "out_of_checkpoint", "put_training_back"]

KEY = "varshift"
"""Under it a checkpoint holds what `state_dict` would have held without us."""


def into_checkpoint(checkpoint: dict[str, Any], found: Exchange, own: Mapping[str, Tensor]) -> None:
    """Give `state_dict` the noise-off statistics, and keep what it held.

    Args:
        checkpoint: as Lightning and callbacks before us have made it.
        found: of the weights in its `state_dict`.
        own: training's statistics where `state_dict` no longer holds them.
    """
    held = checkpoint["state_dict"]
    names = _names_by_place(held)
    state, training = dict(held), {}
    for first, value in found.noise_off.items():
        if first not in held:  # a norm that is no part of the state, or a buffer that is not saved
            continue
        old = held[first]
        for name in names[old.data_ptr()]:
            training[name] = own.get(first, old).to(old.device, old.dtype).clone()
            state[name] = value.to(old.device, old.dtype).reshape(old.shape)
    checkpoint["state_dict"] = state
    checkpoint[KEY] = {"statistics": "noise_off", "training": training}
    if "averaging_state" in checkpoint:
        # WeightAveraging makes its average of `state_dict` with these on top: so the average
        # resumes with its own statistics, in whichever order callbacks load, and without us too.
        checkpoint["averaging_state"] |= {
            f"module.{name}": value for name, value in training.items()
        }


def _names_by_place(state: Mapping[str, Any]) -> dict[int, list[str]]:
    """A norm that a module holds twice has two names in its state."""
    names: dict[int, list[str]] = {}
    for name, value in state.items():
        if isinstance(value, Tensor):
            names.setdefault(value.data_ptr(), []).append(name)
    return names


def out_of_checkpoint(checkpoint: Mapping[str, Any]) -> Exchange | None:
    """The two sets of statistics of a file saved with noise-off ones; None of any other."""
    entry = checkpoint.get(KEY)
    if not entry:
        return None
    training, state = entry["training"], checkpoint["state_dict"]
    return Exchange(training, {name: state[name] for name in training}, {})


def put_training_back(module: nn.Module, saved: Exchange) -> None:
    """Training goes on from its own statistics.

    Where an average was saved, Lightning has loaded training's own weights by now, with their own
    statistics: nothing of the file's `state_dict` is in the module.
    """
    own = module.state_dict()
    if saved.is_in(own):
        put((own[name], value) for name, value in saved.training.items())
