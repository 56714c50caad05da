"""`repair` on several ranks: decided once, on the figures of all of them, with the same bits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from problems.noisy_nets import Mlp
from problems.settling import settled
from ranks.harness import on_ranks, outcome

METHODS = ["recalibrate", "correct", "distill", "adjust-once", "recalibrate+adjust-live"]
SHARES = {1: [640], 2: [480, 160], 3: [400, 240, 0]}


def net():
    torch.manual_seed(0)
    return settled(Mlp(), torch.randn(512, 8).split(32), 3)


def shard(rank, ranks, *, labelled):
    draws = torch.Generator().manual_seed(1)
    x, y = torch.randn(640, 8, generator=draws), torch.randn(640, 3, generator=draws)
    start = sum(SHARES[ranks][:rank])
    part = slice(start, start + SHARES[ranks][rank])
    x, y = x[part], 0.1 * y[part]
    if not len(x):
        return []
    return list(zip(x.split(16), y.split(16), strict=True)) if labelled else list(x.split(16))


def repaired(rank, ranks, labelled):
    model = net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    r = vs.repair(model, shard(rank, ranks, labelled=labelled), method=METHODS, kind="values")
    after = {name: value.clone() for name, value in model.state_dict().items()}
    r.undo()
    same = all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    return r.to_dict(), after, same


def timeless(result):
    """Without what it took, which is told by one rank."""
    held = [{k: v for k, v in c.items() if k != "seconds"} for c in result["candidates"]]
    return {**result, "candidates": held}


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("ranks", [2, 3])
def test_every_rank_decides_alike_and_ends_with_the_same_bits(ranks, labelled):
    found = on_ranks(ranks, repaired, labelled, timeout=120)
    first, state, _ = found[0]
    assert first["accepted"] or labelled
    assert first["calibration"] + first["held_out"] == 640
    assert all(candidate["score"] is not None for candidate in first["candidates"])
    for result, after, undone in found:
        assert timeless(result) == timeless(first)
        assert all(torch.equal(after[name], value) for name, value in state.items())
        assert undone
    (alone, _, _) = on_ranks(1, repaired, labelled)[0]
    # Other samples on each side, and other draws: five standard errors of the loss as trained.
    gap = abs(alone["before"]["loss"] - first["before"]["loss"])
    assert gap < 5 * (alone["before"]["loss_se"] + first["before"]["loss_se"])


class Refuses(nn.Module):
    """Cannot be run on one rank."""

    def __init__(self, refuses):
        super().__init__()
        self.body, self.refuses = net(), refuses

    def forward(self, x):
        if self.refuses and not self.training:
            raise RuntimeError("no device")
        return self.body(x)


def failing(rank, ranks, kind):
    data = shard(rank, ranks, labelled=kind == "labels")
    if kind == "data" and rank == 1:
        data[-1] = data[-1] * torch.nan
    if kind == "labels" and rank == 1:
        data = [x for x, _ in data]
    model = Refuses(kind == "model" and rank == 1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    said = outcome(lambda: vs.repair(model, data, kind="values", method="recalibrate"))
    same = all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    return said, same


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("data", "NaN or infinite"), ("labels", "carry labels"), ("model", "no device")],
)
def test_what_fails_on_one_rank_fails_on_all_and_changes_nothing(kind, reason):
    for (name, message), same in on_ranks(2, failing, kind):
        assert name in ("DataError", "ModelError", "ForwardError")
        assert reason in message
        assert same
