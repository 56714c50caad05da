"""A training loop by torchrun on 1 and 3 gloo ranks: what its helpers find, and leave behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

import varshift as vs
from ranks import by_torchrun
from ranks.harness import on_ranks


@pytest.fixture(scope="module", params=[1, 3])
def found(request, tmp_path_factory):
    """What each rank found: without and with noise-off statistics in validation."""
    folder = tmp_path_factory.mktemp("torchrun")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*command, f"--nproc-per-node={request.param}", by_torchrun.__file__, str(folder)],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [torch.load(folder / f"{rank}.pt") for rank in range(request.param)]


def same_bits(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_training_is_the_same_to_the_bit_on_every_rank(found):
    """Parameters, each rank's own buffers, and what is drawn next."""
    for without, with_ in found:
        same_bits(without["state"], with_["state"])
        assert torch.equal(without["random"], with_["random"])


def statistics_of_all(parameters, prefix=""):
    """One process's, of all data at once, for a network with these parameters."""
    alone = by_torchrun.network()
    alone.load_state_dict({name: parameters[prefix + name] for name in alone.state_dict()})
    vs.recalibrate(alone, [by_torchrun.data()[0]])
    return {name: value for name, value in alone.named_buffers() if "running" in name}


def test_validation_meets_the_statistics_of_all_ranks_together(found):
    _, first = found[0]
    for name, value in statistics_of_all(first["state"]).items():
        torch.testing.assert_close(first["inside"][name], value, rtol=1e-9, atol=1e-12)
    for _, with_ in found:
        same_bits(with_["inside"], first["inside"])  # the loss too


def test_update_bn_finds_the_statistics_of_all_ranks_together(found):
    _, first = found[0]
    for name, value in statistics_of_all(first["averaged"]).items():
        torch.testing.assert_close(first["averaged"][name], value, rtol=1e-9, atol=1e-12)
    for _, with_ in found:
        same_bits(with_["averaged"], first["averaged"])


def measured(rank, ranks, together):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.BatchNorm1d(16)).double()
    model = nn.parallel.DistributedDataParallel(net)
    generator = torch.Generator().manual_seed(rank)
    own = [
        torch.randn(100, 8, generator=generator, dtype=torch.float64) * (1 + rank) for _ in "1234"
    ]
    m = vs.measure(model, own)
    return m.samples, m["2"].shift, m["2"].test.mean.tolist(), torch.cat(own)


def test_measure_under_ddp_is_of_all_ranks_and_says_so():
    """By its samples: a rank alone has 400. The rule that each reports its own must fail."""
    found = on_ranks(2, measured, True)
    (samples, shift, mean, _), other = found[0], found[1]
    assert (samples, shift, mean) == other[:3]
    assert samples == 800
    torch.manual_seed(0)
    linear = nn.Linear(8, 16).double()
    data = [part[3] for part in found]
    means = [linear(x).mean(0) for x in (torch.cat(data), *data)]
    torch.testing.assert_close(mean, means[0].tolist(), rtol=1e-9, atol=1e-12)
    assert all(not torch.allclose(means[0], alone, rtol=1e-3) for alone in means[1:])
