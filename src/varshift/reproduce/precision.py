"""In which number format convolutions train. Everything that is measured is float32."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from varshift.errors import UsageError

__all__ = ["Precision", "Wish", "autocast", "bf16_available", "precision_of", "wish_named"]

Precision = Literal["fp32", "bf16"]
Wish = Literal["fp32", "bf16", "auto"]


def wish_named(name: str) -> Wish:
    """Raises UsageError for a name that is none."""
    for wish in get_args(Wish):
        if wish == name:
            return wish  # type: ignore[no-any-return]
    raise UsageError(f"--precision {name!r} is none of {', '.join(get_args(Wish))}")


def bf16_available(device: str) -> bool:
    """Whether the device computes in bfloat16 under autocast."""
    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return kind == "cpu" and bool(torch.amp.autocast_mode.is_autocast_available(kind))


def autocast(precision: Precision, device: str) -> torch.autocast:
    """For a training forward: convolutions and the classifier compute in bfloat16, or none.

    Weights stay float32, and so do the moments that norms take and keep: their kernels add up in
    float32 whatever the input. The loss belongs outside, on float32 scores.
    """
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16")


def precision_of(record: dict[str, object]) -> Precision:
    """What a record was trained in; those that do not say are older than the choice.

    >>> precision_of({"id": "0"}), precision_of({"precision": "bf16"})
    ('fp32', 'bf16')
    """
    return "bf16" if record.get("precision") == "bf16" else "fp32"
