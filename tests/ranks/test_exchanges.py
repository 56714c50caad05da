"""The protocol: values in rank order, one error for all, no rank that waits for ever."""

from __future__ import annotations

import os

import pytest
import torch

import varshift as vs
from ranks.harness import on_ranks, outcome
from varshift._engine.ranks import Ranks
from varshift.theory.moments import Moments

SHARES = {1: [60], 2: [0, 60], 3: [0, 35, 25]}  # a rank without any is one of them


def values():
    return torch.randn(60, 3, generator=torch.Generator().manual_seed(0)) + 100


def all_kinds(rank, ranks):
    group = Ranks.of()
    with group.together():
        plain = group.gather({"rank": rank, "none": None})
        tensors = group.gather(torch.full((2, rank), float(rank), dtype=torch.bfloat16))
        long = group.gather(torch.arange(rank * 1000, dtype=torch.int64).reshape(rank, 1000))
        agreed = group.agree(rank < 5), group.agree(rank == 0), group.any(rank == 1)
        own = values().split(SHARES[ranks])[rank]
        merged = group.merged([Moments.of(part) for part in own.split(7) if len(part)])
    return group.several, plain, tensors, long, agreed, merged


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_values_of_every_kind_reach_every_rank_in_rank_order(ranks):
    found = on_ranks(ranks, all_kinds)
    var = values().double().var(0)
    for several, plain, tensors, long, agreed, merged in found:
        assert several == (ranks > 1)
        assert plain == [{"rank": rank, "none": None} for rank in range(ranks)]
        for rank in range(ranks):
            assert torch.equal(tensors[rank], torch.full((2, rank), rank, dtype=torch.bfloat16))
            assert torch.equal(long[rank].flatten(), torch.arange(rank * 1000))
        assert agreed == (True, ranks == 1, ranks > 1)
        assert merged.count == 60
        assert torch.equal(merged.mean, found[0][-1].mean)
        assert torch.equal(merged.m2, found[0][-1].m2)
        torch.testing.assert_close(merged.var(), var, rtol=1e-12, atol=0)


def fails_at(rank, ranks, failing, at, kind):
    group = Ranks.of()

    def exchanges():
        with group.together(), group.together():
            for step in range(4):
                if (rank, step) == (failing, at):
                    raise kind("the reason")
                group.gather(torch.zeros(1000 * step))
            if (rank, at) == (failing, 4):
                raise kind("the reason")

    try:
        said = outcome(exchanges)
    except KeyboardInterrupt as interrupt:
        said = "KeyboardInterrupt", str(interrupt)
    again = Ranks.of()
    with again.together():  # the group itself is as good as before
        return said, again.gather(rank)


@pytest.mark.parametrize("kind", [vs.DataError, KeyboardInterrupt])
@pytest.mark.parametrize("at", range(5))
def test_who_fails_is_heard_at_the_next_exchange_whichever_that_is(at, kind):
    for rank, (said, after) in enumerate(on_ranks(3, fails_at, 1, at, kind)):
        if rank == 1:
            assert said == (kind.__name__, "the reason")
        else:
            assert said[0] == "ModelError"
            assert said[1].startswith(f"rank 1 failed ({kind.__name__}: the reason); nothing was")
        assert after == [0, 1, 2]


def calls_differ(rank, ranks):
    group = Ranks.of()

    def exchanges():
        with group.together():
            for _ in range(2 + rank):
                group.gather(1)

    return outcome(exchanges)


def test_ranks_that_run_different_programs_all_raise():
    for kind, text in on_ranks(2, calls_differ):
        assert kind == "ModelError"
        assert "every rank must make the same call" in text


def one_ends(rank, ranks):
    group = Ranks.of()
    with group.together():
        group.gather(rank)
        if rank == 1:
            os._exit(1)
        return outcome(lambda: group.gather(rank))


def test_a_rank_that_is_gone_is_no_reason_to_wait():
    with pytest.raises(AssertionError, match="its process has ended") as caught:
        on_ranks(2, one_ends)
    assert "hangs" not in str(caught.value)


def test_alone_nothing_is_exchanged():
    group = Ranks.of()
    with group.together():
        assert (group.several, group.rank, group.size) == (False, 0, 1)
        assert group.gather("mine") == ["mine"]
        assert group.agree(False) is False
    with pytest.raises(vs.UsageError, match="no process group"):
        Ranks.of(sync=True)
