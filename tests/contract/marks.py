"""Everything about a model and its process that a verb has to give back as it was."""

from __future__ import annotations

import hashlib
import random
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["marks"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_state_dict_hooks")


def marks(model: nn.Module) -> dict[str, Any]:
    """Bits, storage, flags, hooks and random states, in a form that `==` compares."""
    tensors = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    modules = dict(model.named_modules())
    return {
        "bits": {name: _digest(held) for name, held in tensors.items()},
        "storage": {name: (id(held), held.data_ptr()) for name, held in tensors.items()},
        "grad": {name: (held.requires_grad, held.grad) for name, held in tensors.items()},
        "training": {name: module.training for name, module in modules.items()},
        "registered": {name: sorted(module.__dict__) for name, module in modules.items()},
        "hooks": {
            name: [list(getattr(module, kind)) for kind in _HOOKS]
            for name, module in modules.items()
        },
        "forward": {name: module.__dict__.get("forward") for name, module in modules.items()},
        "momentum": {name: getattr(module, "momentum", None) for name, module in modules.items()},
        "torch": torch.get_rng_state().numpy().tobytes(),
        "random": random.getstate(),
        "numpy": repr(np.random.get_state()),
        "process": (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_default_dtype(),
            torch.is_autocast_enabled(),
            list(warnings.filters),
        ),
    }


def _digest(held: torch.Tensor) -> bytes:
    """Of every bit: large networks are not held twice."""
    flat = held.detach().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.blake2b(flat.numpy()).digest()
