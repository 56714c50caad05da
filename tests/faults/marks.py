"""Everything about a model and its process that can be told, so that two times can be compared."""

from __future__ import annotations

import collections
import gc
import operator
import random
import warnings

import numpy as np
import torch

from faults.features import Net


def bits(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist()


def told(value, seen=None):
    """Everything in it by identity and value, as text and numbers that can be compared."""
    seen = set() if seen is None else seen
    if isinstance(value, (int, float, str, bool, type(None), np.generic)):
        return value
    if id(value) in seen:
        return id(value)
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        grad = value.grad if value.is_leaf else None
        # Only a tensor that asks for gradients is noted in graphs, with its version.
        version = value._version if value.requires_grad else None
        found = (value.data_ptr(), version, value.requires_grad, bits(value))
        return (id(value), *found, told(grad, seen), told(value._backward_hooks, seen))
    if isinstance(value, dict):
        return id(value), [(str(key), told(item, seen)) for key, item in value.items()]
    if isinstance(value, (list, tuple, collections.deque)):
        own = told(vars(value), seen) if hasattr(value, "__dict__") else None
        return id(value), [told(item, seen) for item in value], own
    if isinstance(value, (set, frozenset)):
        return id(value), sorted(map(repr, value))
    if isinstance(value, np.ndarray):
        return id(value), value.tobytes(), value.shape
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, np.random.Generator):
        return str(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return str(value.get_state())
    if hasattr(type(value), "__next__"):
        return id(value), operator.length_hint(value, -1), repr(value)
    if isinstance(value, type):
        return [told(item, seen) for name, item in vars(value).items() if name[:2] != "__"]
    slots = [told(getattr(value, name, "empty"), seen) for name in getattr(value, "__slots__", ())]
    own = told(vars(value), seen) if hasattr(value, "__dict__") else None
    kind = told(type(value), seen) if isinstance(value, Net) else type(value)
    return id(value), kind, slots, own


def process():
    """The process around a model, read by the public names of torch, Python and numpy."""
    import torch.nn.modules.module as hooks

    return {
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "collector": (gc.isenabled(), gc.get_threshold()),
        "cudnn": torch.backends.cudnn.enabled,
        "mkldnn": torch.backends.mkldnn.enabled,
        "attention": (
            torch.backends.cuda.flash_sdp_enabled(),
            torch.backends.cuda.math_sdp_enabled(),
        ),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "anomaly": torch.is_anomaly_enabled(),
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "stance": _stance(),
        "hooks": [len(held) for name, held in vars(hooks).items() if _global(name, held)],
        "filters": (id(warnings.filters), list(warnings.filters), warnings.showwarning),
        "numpy errors": np.geterr(),
        "random": random.getstate(),
        "numpy": str(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
    }


def _global(name, held):
    return name.startswith("_global_") and isinstance(held, dict)


def _stance():
    import sys

    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    stance = getattr(dynamo, "_stance", None)  # since torch 2.6
    return "default" if stance is None else stance.stance
