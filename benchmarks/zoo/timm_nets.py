"""timm: every registered name."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from benchmarks.zoo.images import SIDES, accepted, smallest
from benchmarks.zoo.specimen import Specimen

__all__ = ["families", "make"]

OPTIONS = {
    **{"drop_rate": 0.3, "drop_path_rate": 0.3, "drop_block_rate": 0.2},
    **{"attn_drop_rate": 0.3, "proj_drop_rate": 0.3},
}


def families() -> dict[str, str]:
    """By name, the file of timm that holds it."""
    return {
        name: family for family in timm.list_modules() for name in timm.list_models(module=family)
    }


def make(name: str) -> Specimen:
    """With every drop option that the constructor takes."""

    def build(**options: Any) -> nn.Module:
        return timm.create_model(name, **options)

    options = accepted(build, OPTIONS)
    given = timm.get_pretrained_cfg(name)
    full = given.input_size[-1] if given else 224
    if given and given.fixed_input_size:
        tries = [(options | {"img_size": 128}, 128), (options, full)]
    else:
        sides = [side for side in SIDES if side < full]
        tries = [(options, side) for side in [*sides, full]]
    return smallest(build, tries)
