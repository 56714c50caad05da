"""What a forward of a wrapped model asks of other ranks, told by classes alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from varshift._engine.sharding import (
    broadcasts_buffers,
    is_sharded,
    is_synchronised,
)

COLLECTIVE = "all_?reduce|all_?gather|all_?to_?all|reduce_?scatter"
ALONE = {"fsdp::all_gather_copy_in"}  # lays out what another operation will gather


class DistributedDataParallel(nn.Module):
    """As torch's own, which needs a process group."""

    def __init__(self, module, broadcast_buffers):
        super().__init__()
        self.module, self.broadcast_buffers = module, broadcast_buffers


class Compiled(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self._orig_mod = inner


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_buffers_are_sent_where_the_outermost_wrapper_says_so(sent, times):
    net = DistributedDataParallel(nn.Linear(2, 2), sent)
    for _ in range(times):
        net = Compiled(net)
    assert broadcasts_buffers(net) is sent


def test_without_a_wrapper_nothing_is_sent():
    assert not broadcasts_buffers(nn.Linear(2, 2))
    assert not broadcasts_buffers(Compiled(nn.Linear(2, 2)))
    odd = nn.Linear(2, 2)
    odd._orig_mod = "no module"
    assert not broadcasts_buffers(odd)
    # Inside, it is another's forward that sends them.
    assert not broadcasts_buffers(nn.Sequential(DistributedDataParallel(nn.Linear(2, 2), True)))


def test_modules_that_wait_for_other_ranks():
    sharded = type("Sharded", (nn.Linear,), {"__module__": "torch.distributed.fsdp._fully_shard"})
    for kind, told in ((sharded, is_sharded), (nn.SyncBatchNorm, is_synchronised)):
        module = kind(2, 2) if kind is sharded else kind(2)
        assert told(nn.Sequential(nn.ReLU(), module))
        assert not told(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(2)))


UNHEARD = f"""
import re, torch
import torch.distributed._functional_collectives, torch.distributed.tensor.experimental
from varshift._engine.sharding import talks_to_ranks

def registered(name):
    space, _, rest = name.partition("::")
    packet = getattr(getattr(torch.ops, space), rest.partition(".")[0])
    return getattr(packet, packet.overloads()[0])

names = [name for name in torch._C._dispatch_get_all_op_names() if re.search({COLLECTIVE!r}, name)]
assert "c10d::allreduce_" in names
print(sorted(n for n in names if n not in {ALONE!r} and not talks_to_ranks(registered(n))))
assert not talks_to_ranks(torch.ops.aten.broadcast_to.default)
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
def test_every_collective_that_torch_registers_talks_to_other_ranks():
    """In a process of its own: whatever else a test has imported may register what it likes."""
    told = subprocess.run([sys.executable, "-c", UNHEARD], capture_output=True, text=True)
    assert told.stdout.strip() == "[]", told.stderr
