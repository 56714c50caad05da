"""For models whose noise reaches a norm by a linear map: what it adds, by trying every mask."""

from __future__ import annotations

import torch
from torch import Tensor

from contract.cases import Case
from contract.truth import added_by_every_mask, added_by_unit_inputs

__all__ = ["LAWS", "law_of"]

LAWS = (
    *("direct", "linear", "conv", "channel", "sample", "through", "frozen"),
    *("functional", "dicts", "mask"),
)

_DIRECT = {"direct": 0.4, "through": 0.5, "mask": 0.3}  # name → drop_p, straight into the norm


def law_of(found: Case) -> tuple[str, Tensor]:
    """Path of the first norm, and the variance that noise adds to its input, by channel."""
    name, model = found.name, found.model
    x = torch.cat([b["values"] * b["gain"] if name == "dicts" else b for b in found.batches])
    if name in _DIRECT:
        path = "norm" if name == "mask" else "1"
        return path, added_by_every_mask(lambda y: y, x, _DIRECT[name], (4,))
    if name == "conv":
        return "2", added_by_unit_inputs(model[1], x, 0.3)
    if name == "channel":
        return "2", added_by_every_mask(model[1], x, 0.3, (2, 1, 1))
    if name == "sample":
        with torch.no_grad():
            return "norm", added_by_every_mask(model.linear, model.branch(x), 0.3, (1,))
    if name in ("linear", "frozen"):
        return "2", added_by_every_mask(model[1], x, 0.3, (6,))
    path = "m" if name == "functional" else "norm"
    return path, added_by_every_mask(model.linear, x, 0.3, (6,))
