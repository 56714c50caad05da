"""The random generators a forward pass can draw from: read them all, put them all back."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

__all__ = ["SEEDS", "State", "drawn_from", "rng_state", "seed_all", "set_rng_state"]

State = dict[str, Any]

# What starts the generators outside torch.
SEEDS: dict[str, Callable[[int], None]] = {"numpy": np.random.seed, "python": random.seed}


def rng_state() -> State:
    """States of Python's, numpy's and torch's global generators, accelerators included."""
    state: State = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_rng_state(state: State) -> None:
    """Put back what `rng_state` read."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
    if "mps" in state:
        torch.mps.set_rng_state(state["mps"])


def seed_all(seed: int) -> None:
    """Start Python's, numpy's and torch's global generators at a seed."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def drawn_from(before: State, after: State) -> tuple[str, ...]:
    """Names of the generators that moved between two states: "python", "numpy", "torch" …"""
    return tuple(name for name in before if not _same(before[name], after.get(name)))


_PLAIN = 100  # items; more than there are accelerators


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if isinstance(one, (tuple, list)):
        if len(one) > _PLAIN:  # Python's own: hundreds of numbers
            return bool(one == other)
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
