"""What a rewriting of a model must leave, or put back, as it was."""

from __future__ import annotations

import random

import numpy as np
import torch


def trace(net):
    """Everything that must be as it was."""
    return {
        "modules": [(path, id(module), module.training) for path, module in net.named_modules()],
        "plain": [
            {k: v for k, v in vars(m).items() if isinstance(v, (int, float, str, bool))}
            for m in net.modules()
        ],
        "hooks": [
            (len(m._forward_pre_hooks), len(m._forward_pre_hooks_with_kwargs))
            for m in net.modules()
        ],
        "state": [(k, v.data_ptr(), v.tolist()) for k, v in net.state_dict().items()],
        "rng": (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].sum()),
    }
