"""What cannot be recalibrated is refused with a sentence, and what need not be is left alone."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

import varshift as vs
from problems.noisy_nets import Mlp


def test_too_few_values_for_a_variance():
    with pytest.raises(vs.DataError, match="one value per channel"):
        vs.recalibrate(nn.BatchNorm1d(3), [torch.randn(1, 3)])


def test_memory_that_does_not_fit_names_the_options():
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64))
    sentence = r"pass max_samples=\d+ or less, or raise max_bytes"
    with pytest.raises(vs.MemoryBoundError, match=sentence) as caught:
        vs.recalibrate(net, torch.randn(64, 3, 160, 160).split(8), max_bytes=1 << 20)
    assert isinstance(caught.value, vs.ModelError)
    assert 1 <= caught.value.fits < 64


def test_overflow_inside_is_named():
    class Overflows(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x):
            return self.norm(x * 3e38)

    with pytest.raises(vs.ModelError, match="'norm' holds NaN or infinity"):
        vs.recalibrate(Overflows(), [torch.full((4, 3), 5.0)])


def test_frozen_untracked_and_unreached_norms_are_left_alone_and_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.frozen, self.never = (nn.BatchNorm1d(3) for _ in range(3))
            self.plain = nn.BatchNorm1d(3, track_running_stats=False)

        def forward(self, x):
            return self.plain(self.frozen(self.one(x)))

    net = Net().train()
    net.frozen.eval()
    x = 3 * torch.randn(40, 3)
    r = vs.recalibrate(net, x.split(10))
    assert list(r.sites) == ["one"]
    assert "frozen" in r.skipped["frozen"]
    assert "no batch reached it" in r.skipped["never"]
    assert "track_running_stats=False" in r.skipped["plain"]
    assert list(vs.recalibrate(net, x.split(10), include_frozen=True).sites) == ["one", "frozen"]
    assert list(vs.recalibrate(net.eval(), x.split(10)).sites) == ["one", "frozen"]


@pytest.mark.parametrize("momentum", [None, 0.0, 0.3])
def test_momentum_and_batches_tracked_survive(momentum):
    norm = nn.BatchNorm1d(3, momentum=momentum).train()
    norm(torch.randn(5, 3))
    kept = (norm.running_mean, norm.num_batches_tracked, norm.running_mean.data_ptr())
    vs.recalibrate(norm, [torch.randn(9, 3)])
    assert norm.momentum == momentum
    assert int(norm.num_batches_tracked) == 1
    assert kept == (norm.running_mean, norm.num_batches_tracked, norm.running_mean.data_ptr())


def test_undo_is_bit_for_bit_and_may_be_repeated():
    net = Mlp()
    with torch.no_grad():
        net.body[1].running_mean[0], net.body[1].running_mean[1] = -0.0, float("nan")
    before = {name: b.clone().view(-1).view(torch.uint8) for name, b in net.named_buffers()}
    r = vs.recalibrate(net, torch.randn(64, 8).split(16))
    for _ in range(2):
        r.undo()
        after = {name: b.clone().view(-1).view(torch.uint8) for name, b in net.named_buffers()}
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_micro_batches_are_unwound_when_one_fails():
    events = []

    class Tracks(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.BatchNorm1d(3), nn.BatchNorm1d(3)

        def forward(self, x):
            events.append("in")
            try:
                x = self.one(x)
                if bool(x[0, 0].isnan()) or len(x) == 3:
                    raise RuntimeError("halfway")
                return self.two(x)
            finally:
                events.append("out")

    threads = threading.active_count()
    with pytest.raises(vs.ModelError, match="halfway"):
        vs.recalibrate(Tracks(), torch.randn(13, 3).split([5, 5, 3]))
    assert events.count("in") == events.count("out") > 3
    assert threading.active_count() == threads
    assert not torch.overrides._get_current_function_mode_stack()


def test_noise_that_stays_on_is_said():
    class Always(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x):
            return self.norm(nn.functional.dropout(x, 0.5))

    r = vs.recalibrate(Always(), torch.randn(400, 3).split(100))
    assert any("stays on in eval mode" in note for note in r.notes)
    assert 1.7 < float(r.sites["norm"].after.var.mean()) < 2.3  # (c² + v) / keep_p = 2


def test_progress_and_max_samples():
    seen = []
    r = vs.recalibrate(
        Mlp(), torch.randn(64, 8).split(10), max_samples=35, progress=lambda *d: seen.append(d)
    )
    assert (r.samples, r.batches) == (35, 4)
    assert seen == [(1, 3), (2, 3), (3, 3)]


# What a dtype cannot hold -------------------------------------------------------------------------


def half(scale, dtype=torch.float16, eps=1e-5):
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3, eps=eps)).to(dtype)
    g = torch.Generator().manual_seed(0)
    return net, [(torch.randn(64, 3, generator=g) * scale).to(dtype)]


def test_a_variance_beyond_float16_is_refused():
    net, data = half(400)  # squared, 160,000; float16 ends at 65,504
    with pytest.raises(vs.ModelError, match=r"'1.running_var' is float16, which ends at 65504"):
        vs.recalibrate(net, data)
    assert net[1].running_var.tolist() == [1, 1, 1]
    net, data = half(400, torch.bfloat16)
    vs.recalibrate(net, data)
    assert bool((net[1].running_var > 1e5).all())


def test_a_variance_that_becomes_nothing_matters_beside_a_tiny_eps_alone():
    vs.recalibrate(*half(1e-4))  # 1e-8 beside an eps of 1e-5
    vs.recalibrate(*half(0.0, eps=1e-12))
    net, data = half(1e-4, eps=1e-12)
    with pytest.raises(vs.ModelError, match="which float16 rounds to 0, and an eps of 1e-12"):
        vs.recalibrate(net, data)
    assert net[1].running_var.tolist() == [1, 1, 1]


def test_a_repair_that_overflows_is_a_candidate_that_failed():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 3))
    with torch.no_grad():
        net[0].weight.mul_(1500)
    data = [torch.randn(64, 3).half() for _ in range(4)]
    r = vs.repair(net.half(), data, labels=False, method="recalibrate")
    assert not r.accepted
    assert "'2.running_var' is float16" in r["recalibrate"].reason
