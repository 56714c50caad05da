"""What only an accelerator has: its own generators, half precision with a scaler, several devices,
synchronised norms, sharded weights, and torch's own compiler."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

import varshift as vs

pytestmark = pytest.mark.accelerator


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(32)),
        *(nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0.3), nn.BatchNorm1d(32), nn.Linear(32, 4)),
    )


def batches(device="cpu"):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(64, 16, generator=generator).to(device) for _ in range(6)]


def recalibrated(model, data):
    """Of the second norm, where the processor does it in float64."""
    with vs.test_statistics(model, data):
        return model[7].running_var.double().cpu()


@pytest.fixture
def truth():
    return recalibrated(network().double(), [x.double() for x in batches()])


@pytest.fixture
def group(accelerator, tmp_path):
    """A process group of this one process."""
    backend = "nccl" if accelerator.type == "cuda" else "gloo"
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group(backend, store=store, rank=0, world_size=1)
    yield accelerator
    dist.destroy_process_group()


def trained(device, validated):
    """In half precision with a scaler, as the loops of most trainers are."""
    model = network().to(device)
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    scaler = torch.amp.GradScaler(device.type)
    torch.manual_seed(2)
    for step, x in enumerate(batches(device)):
        with torch.autocast(device.type, torch.float16):
            loss = model.train()(x).square().mean()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad()
        if validated and step % 2:
            with vs.test_statistics(model, batches(device)[:2]):
                model.eval()(x)
    return {name: value.cpu() for name, value in model.state_dict().items()}


def test_a_loop_in_half_precision_is_the_same_with_and_without(accelerator):
    if accelerator.type == "mps":
        pytest.skip("torch has no gradient scaler for MPS")
    one, other = trained(accelerator, False), trained(accelerator, True)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_generators_of_the_device_come_back_from_every_verb(accelerator):
    model, data = network().to(accelerator), batches(accelerator)
    draws = getattr(torch, accelerator.type)
    for verb in (vs.measure, vs.explain, vs.predict, vs.recalibrate, vs.repair):
        before = draws.get_rng_state()
        verb(model, data)
        assert torch.equal(before, draws.get_rng_state())


def test_workers_and_pinned_memory(accelerator, truth):
    inputs = TensorDataset(torch.cat(batches()))
    loader = DataLoader(inputs, batch_size=50, num_workers=2, pin_memory=True)
    assert_close(recalibrated(network().to(accelerator), loader), truth, rtol=1e-4, atol=0)


def test_a_model_on_two_devices(accelerator, truth):
    class Spread(nn.Module):
        def __init__(self):
            super().__init__()
            whole = network()
            self.head, self.tail = whole[:4], whole[4:].to(accelerator)

        def forward(self, x):
            return self.tail(self.head(x).to(accelerator))

    model = Spread()
    with vs.test_statistics(model, batches()):
        found = model.tail[3].running_var.double().cpu()
    assert_close(found, truth, rtol=1e-4, atol=0)
    assert len(vs.measure(model, batches()).sites) == 2


def test_inductor_s_own_code_before_and_after(accelerator):
    compiled = torch.compile(network().to(accelerator))
    x = batches(accelerator)[0]
    compiled.eval()
    with torch.no_grad():
        before = compiled(x)
        with vs.test_statistics(compiled, batches(accelerator)):
            assert not torch.allclose(before, compiled(x))
        assert torch.equal(before, compiled(x))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_synchronised_norms(group, truth):
    model = nn.SyncBatchNorm.convert_sync_batchnorm(network()).to(group)
    assert_close(recalibrated(model, batches(group)), truth, rtol=1e-4, atol=0)
    assert len(vs.measure(model, batches(group)).sites) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sharded_weights(group, truth):
    from torch.distributed.fsdp import fully_shard

    model = network().to(group)
    fully_shard(model)
    assert_close(recalibrated(model, batches(group)), truth, rtol=1e-4, atol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_moments_are_read_once_a_pass(accelerator):
    """Reading a number off the device stops it; a pass may do so a few times, not once a norm."""

    def waits(norms):
        model = nn.Sequential(
            *(layer for _ in range(norms) for layer in (nn.Dropout(0.1), nn.BatchNorm1d(16)))
        ).to(accelerator)
        data = batches(accelerator)
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        ) as profile:
            vs.measure(model, data)
        return sum(
            event.count for event in profile.key_averages() if "StreamSynchronize" in event.key
        )

    # What is kept of each norm's stored statistics is copied once a call; nothing grows with
    # batches times norms.
    few, many = waits(2), waits(20)
    assert many - few < 18 * len(batches())
