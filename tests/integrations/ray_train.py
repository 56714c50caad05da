"""A script: `python ray_train.py FOLDER` trains with Ray on one worker and on two, on loopback.

Each worker trains twice, without and with noise-off statistics in validation, and writes what it
found into the folder. A script, because workers import no test: what runs on them is sent by value.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Nothing is sent anywhere, nothing but the training is watched; what Ray keeps in the home folder
# lies in the test's own.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_worker_niceness": "0",  # else other tests have the cores, and these wait
    "GLOO_SOCKET_IFNAME": "lo",
}


def data():
    import torch

    generator = torch.Generator().manual_seed(1)
    x = torch.randn(400, 8, generator=generator, dtype=torch.float64)
    return torch.utils.data.TensorDataset(x, (x[:, 0] * x[:, 1] > 0).long())


def network():
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(16)),
        *(nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(16), nn.Linear(16, 2)),
    ).double()


def buffers(model):
    found = model.named_buffers()
    return {name.removeprefix("module."): each.clone() for name, each in found}


def trained(rank, noise_off):
    """Two epochs, validated in the middle and at the end of each."""
    import torch
    from ray.train.torch import prepare_data_loader, prepare_model
    from torch.nn import functional as F

    import varshift as vs

    model = prepare_model(network())
    loader = prepare_data_loader(torch.utils.data.DataLoader(data(), 50, shuffle=True))
    torch.manual_seed(5 + rank)  # dropout of its own on each rank
    optimiser, inside = torch.optim.SGD(model.parameters(), 0.1), {}

    def validate():
        model.eval()
        with torch.no_grad():
            for x, y in torch.utils.data.DataLoader(data(), 100):
                F.cross_entropy(model(x), y)
        model.train()

    def validate_noise_off():
        with vs.test_statistics(model, loader):
            validate()
            inside.update(buffers(model))

    for epoch in range(2):
        if hasattr(loader.sampler, "set_epoch"):
            loader.sampler.set_epoch(epoch)
        for index, (x, y) in enumerate(loader):
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimiser.step()
            if index == 1:
                validate_noise_off() if noise_off else validate()
        validate_noise_off() if noise_off else validate()
    state = {name.removeprefix("module."): value for name, value in model.state_dict().items()}
    return {"state": state, "inside": inside, "steps": 2 * (index + 1)}


def worker(config):
    import ray.train
    import torch

    torch.set_num_threads(1)
    context = ray.train.get_context()
    rank = context.get_world_rank()
    found = [trained(rank, noise_off) for noise_off in (False, True)]
    ranks = context.get_world_size()
    torch.save(found, Path(config["folder"]) / f"{ranks}-{rank}.pt")
    ray.train.report({})


def main(folder):
    os.environ |= ENVIRONMENT | {"HOME": folder}
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    ray.init(
        address="local",  # whatever cluster runs here already
        num_cpus=3,
        include_dashboard=False,
        object_store_memory=80 << 20,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        configure_logging=False,
    )
    for workers in (1, 2):
        TorchTrainer(
            worker,
            train_loop_config={"folder": folder},
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=False),
            run_config=RunConfig(storage_path=f"{folder}/runs", name=f"{workers}"),
        ).fit()
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
