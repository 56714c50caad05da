"""A script: `torchrun --nproc-per-node N by_torchrun.py FOLDER`; each rank writes what it found.

A plain loop under DistributedDataParallel, trained without and with noise-off statistics around its
validation, and an average of its weights whose statistics `update_bn` finds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

import varshift as vs


def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(360, 8, generator=generator, dtype=torch.float64)
    x = x * torch.linspace(0.2, 3, 360, dtype=torch.float64)[:, None]  # batches that differ
    return x, (x[:, 0] * x[:, 1] > 0).long()


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(16)),
        *(nn.Linear(16, 16), nn.Dropout(0.3), nn.BatchNorm1d(16), nn.Linear(16, 2)),
    ).double()


def state(model):
    return {name.removeprefix("module."): v.clone() for name, v in model.state_dict().items()}


def trained(rank, ranks, noise_off):
    """Two epochs of this rank's share, validated in the middle and at the end of each."""
    x, y = data()
    model = DistributedDataParallel(network())
    averaged = AveragedModel(model.module)
    loader = DataLoader(TensorDataset(x, y), 20, sampler=DistributedSampler(x, ranks, rank))
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    torch.manual_seed(5 + rank)  # dropout of its own on each rank
    inside = {}

    def validate():
        model.eval()
        with torch.no_grad():
            loss = F.cross_entropy(model(x), y)
        model.train()
        return loss

    def validate_noise_off():
        with vs.test_statistics(model, loader):
            loss = validate()
            inside.update(state(model), loss=loss)

    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        for index, (batch, labels) in enumerate(loader):
            optimiser.zero_grad()
            F.cross_entropy(model(batch), labels).backward()
            optimiser.step()
            averaged.update_parameters(model.module)
            if index == 1:
                validate_noise_off() if noise_off else validate()
        validate_noise_off() if noise_off else validate()
    found = {"state": state(model), "inside": inside}
    vs.update_bn(loader, averaged)
    return found | {"averaged": state(averaged), "random": torch.get_rng_state()}


def main(folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    found = [trained(rank, ranks, noise_off) for noise_off in (False, True)]
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    main(sys.argv[1])
