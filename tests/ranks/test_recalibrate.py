"""Recalibrate on several ranks: what one process finds, the same bits everywhere, or one error."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import varshift as vs
from problems.noisy_nets import Conv, Mlp
from problems.parked import Parks
from ranks.harness import on_ranks, outcome

SHARES = {1: [128], 2: [100, 28], 3: [70, 0, 58]}  # a rank without data is one of them


class ByBuffers(nn.Module):
    """Its second norm is no module: another rank finds it by the names of its buffers."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(8, 5), nn.BatchNorm1d(5)
        self.register_buffer("m", torch.zeros(5))
        self.register_buffer("v", torch.ones(5))

    def forward(self, x):
        return nn.functional.batch_norm(self.norm(self.linear(x)), self.m, self.v)


def synchronised():
    return nn.SyncBatchNorm.convert_sync_batchnorm(Mlp())


NETS = {"mlp": Mlp, "conv": Conv, "parks": Parks, "buffers": ByBuffers, "sync": synchronised}


def net_of(kind):
    torch.manual_seed(0)
    return NETS[kind]()


def wrapped(net, wrapper):
    """Imports what takes seconds only where it is used."""
    if wrapper == "ddp":
        return DistributedDataParallel(net)
    if wrapper == "fsdp":
        from torch.distributed.fsdp import FullyShardedDataParallel

        return FullyShardedDataParallel(net, device_id=torch.device("cpu"))
    if wrapper == "fsdp2":
        from ranks.sharding import fully_shard

        for module in list(net.modules()):
            if isinstance(module, nn.Linear):
                fully_shard(module)
        return fully_shard(net)
    return net


def data_of(kind):
    shape = (3, 10, 10) if kind == "conv" else (8,)
    x = torch.randn(128, *shape, generator=torch.Generator().manual_seed(1))
    return x * torch.linspace(0.2, 3, 128).reshape(-1, *[1] * len(shape))  # batches that differ


def statistics(model):
    """Buffers by their name in the model, whatever wraps it."""
    return {own_name(name): buffer.clone() for name, buffer in model.named_buffers()}


def own_name(name):
    return name.replace("_fsdp_wrapped_module.", "").removeprefix("module.")


def work(rank, ranks, kind, wrapper, size, sync=None):
    model = wrapped(net_of(kind), wrapper)
    before = statistics(model)
    share = data_of(kind).split(SHARES[ranks])[rank]
    r = vs.recalibrate(model, [x for x in share.split(size) if len(x)], sync=sync)
    found = statistics(model)
    r.undo()
    after = statistics(model)
    undone = all(torch.equal(after[name], before[name]) for name in before)
    return found, r.samples, r.batches, r.notes, undone, sorted(map(own_name, r.sites))


def agree(found, kind, notes=None):
    """All ranks have the same bits, and one process's statistics."""
    alone = net_of(kind)
    r = vs.recalibrate(alone, [data_of(kind)], sync=False)
    for state, samples, _, said, undone, sites in found:
        assert undone
        assert samples == 128
        assert sites == sorted(r.sites)
        assert said == found[0][3]
        if notes is not None:
            assert [notes in note for note in said] == [True]
        for name, buffer in statistics(alone).items():
            assert torch.equal(state[name], found[0][0][name])
            torch.testing.assert_close(state[name], buffer, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("kind", ["mlp", "conv", "buffers", "sync"])
def test_every_rank_ends_with_what_one_process_finds(kind, ranks):
    found = on_ranks(ranks, work, kind, "plain", 16)
    agree(found, kind)
    assert found[0][2] == sum(-(-share // 16) for share in SHARES[ranks])


@pytest.mark.parametrize(("ranks", "size"), [(2, 16), (3, 60), (3, 16)])
def test_a_model_that_keeps_state_is_noticed_on_any_rank(ranks, size):
    # In batches of 60 only one rank has more than one.
    agree(on_ranks(ranks, work, "parks", "plain", size), "parks", "from one forward to the next")


@pytest.mark.parametrize("wrapper", ["ddp", "fsdp", "fsdp2"])
@pytest.mark.parametrize("ranks", [2, 3])
def test_wrapped_models(wrapper, ranks):
    notes = None if wrapper == "ddp" else "weights lie on several ranks"
    agree(on_ranks(ranks, work, "mlp", wrapper, 16), "mlp", notes)


def then_raising(batches):
    yield from batches
    raise ValueError("a broken file")


def fails(rank, ranks, how):
    model = net_of("mlp")
    before = statistics(model)
    batches = list(data_of("mlp").chunk(ranks)[rank].split(16))
    if rank == 1:
        if how == "data":
            batches.append(torch.full((2, 8), torch.nan))
        elif how == "model":
            batches.append(torch.zeros(4, 7))
        elif how == "single":
            batches = [torch.zeros(4, 7)]
        elif how == "loader":
            batches = then_raising(batches)
    if how == "empty":
        batches = []
    said = outcome(lambda: vs.recalibrate(model, batches))
    gathered = [None] * ranks
    dist.all_gather_object(gathered, rank)  # nobody is left waiting
    after = statistics(model)
    return said, all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("how", "kind", "reason"),
    [
        ("data", "DataError", "are NaN or infinite"),
        ("model", "ForwardError", "raised RuntimeError"),
        ("single", "ForwardError", "raised RuntimeError"),
        ("loader", "ValueError", "a broken file"),
    ],
)
def test_one_rank_that_fails_fails_all_and_changes_nothing(how, kind, reason):
    found = on_ranks(3, fails, how)
    assert found[1][0][0] == kind
    assert reason in found[1][0][1]
    for rank in (0, 2):
        assert found[rank][0][0] == "ModelError"
        assert found[rank][0][1].startswith(f"rank 1 failed ({kind}: ")
        assert reason in found[rank][0][1]
    assert all(unchanged for _, unchanged in found)


def test_no_data_on_any_rank():
    for said, unchanged in on_ranks(2, fails, "empty"):
        assert said[0] == "DataError"
        assert "gave no batches" in said[1]
        assert unchanged


def undone_around_validation(rank, ranks, recalibrates):
    model = DistributedDataParallel(net_of("mlp"))
    x = data_of("mlp").chunk(ranks)[rank]
    model(x)  # leaves statistics of its own on each rank
    r = vs.recalibrate(model, x.split(16)) if recalibrates else None
    notes = r.notes if r else ()
    model.eval()
    with torch.no_grad():
        model(x)  # hands out rank 0's
    if r:
        r.undo()
    return statistics(model), notes


def test_undo_leaves_every_rank_as_validation_without_recalibration_does():
    with_, without = (on_ranks(2, undone_around_validation, how) for how in (True, False))
    for (one, notes), (other, _) in zip(with_, without, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert any("those of rank 0" in note for note in notes)


def different_before(rank, ranks):
    model = net_of("mlp")
    model.body[1].running_mean.fill_(float(rank))
    r = vs.recalibrate(model, data_of("mlp").chunk(ranks)[rank].split(16))
    r.undo()
    return float(model.body[1].running_mean[0]), float(r.sites["body.1"].before.mean[0]), r.notes


def test_without_a_wrapper_each_rank_gets_its_own_back():
    for rank, (held, reported, notes) in enumerate(on_ranks(2, different_before)):
        assert (held, reported) == (rank, 0.0)
        assert any("each rank's own" in note for note in notes)
