"""Checkpoints as somebody has them who reads them: a network without dropout, batches, no more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.footprints.nets import Noise, met_by, norms_of
from benchmarks.footprints.plan import Case, case_of
from benchmarks.footprints.training import cache_folder, fresh, images

BATCHES = 32


@dataclass(frozen=True)
class Truth:
    """What stood where.

    `noises` by place; `met` by norm, the places whose noise it meets first, the nearest first, none
    where it is clean; `slots` are all places somebody would ask about who knows the code.
    """

    noises: dict[str, Noise]
    met: dict[str, tuple[str, ...]]
    slots: tuple[str, ...]
    case: Case


def load(key: str, folder: Path | None = None) -> tuple[nn.Module, list[Tensor], Truth]:
    """The checkpoint of this key, batches of its training data in another order, and the truth."""
    case = case_of(key)
    net = fresh(case)
    net.load_state_dict(torch.load((folder or cache_folder()) / f"{key}.pt", weights_only=True))
    return net, batches(case), truth(case)


def batches(case: Case) -> list[Tensor]:
    """32 of them; where one epoch has fewer, the next one follows."""
    x, _ = images(case.data)
    draw = torch.Generator().manual_seed(1000 + case.seed)
    found: list[Tensor] = []
    while len(found) < BATCHES:
        order = torch.randperm(len(x), generator=draw)[: len(x) // case.batch * case.batch]
        found += x[order].split(case.batch)
    return found[:BATCHES]


def truth(case: Case) -> Truth:
    """From the plan, and the way data take through the network."""
    net = fresh(case)
    meets = {place: met_by(net, case.architecture, place) for place in case.slots}
    met = {
        norm: tuple(place for place in reversed(case.noises) if norm in meets[place])
        for norm in norms_of(net)
    }
    slots = tuple(place for place, norms in meets.items() if norms)
    return Truth(case.noises, met, slots, case)
