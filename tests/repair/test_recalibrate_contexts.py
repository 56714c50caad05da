"""What a forward sets for its own duration stays with its micro-batch, and none of it is left."""

from __future__ import annotations

import contextlib
import contextvars
import copy
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import varshift as vs
from oracles.layerwise import noise_off_statistics
from problems.parked import Parks
from varshift._engine.borrow.process import process_state

VARIABLE = contextvars.ContextVar("VARIABLE", default="outside")


class Doubles(TorchFunctionMode):
    """Relu gives twice as much."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        return out * 2 if func is torch.relu else out


class Counts(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def default_dtype():
    old = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(old)


@contextlib.contextmanager
def without_mkldnn():  # torch's own warns of other devices
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(True)


@contextlib.contextmanager
def variable():
    token = VARIABLE.set("inside")
    try:
        yield
    finally:
        VARIABLE.reset(token)


def quiet():
    block = warnings.catch_warnings()

    @contextlib.contextmanager
    def entered():
        with block:
            warnings.simplefilter("ignore")
            yield

    return entered()


CONTEXTS = {
    "cudnn": lambda: torch.backends.cudnn.flags(enabled=False),
    "mkldnn": without_mkldnn,
    "attention": lambda: nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH),
    "default dtype": default_dtype,
    "warnings": quiet,
    "context variable": variable,
    "function mode": Doubles,
    "dispatch mode": Counts,
    "gradients": torch.enable_grad,
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "device": lambda: torch.device("cpu"),
    "numpy": lambda: np.errstate(all="ignore"),
}


def around():
    """What can be seen of the surroundings, as a forward sees them."""
    return (
        torch.backends.cudnn.enabled,
        torch.backends.mkldnn.enabled,
        torch.backends.cuda.flash_sdp_enabled(),
        torch.get_default_dtype(),
        VARIABLE.get(),
        tuple(warnings.filters),
        float(torch.relu(torch.ones(()))),
        torch._C._len_torch_dispatch_stack(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        np.geterr()["divide"],
    )


class Within(nn.Module):
    """Two norms inside a context that only some micro-batches enter, and one outside."""

    def __init__(self, context):
        super().__init__()
        self.linear, self.norms = nn.Linear(4, 4), nn.ModuleList(nn.BatchNorm1d(4) for _ in "abc")
        self.context, self.seen = context, []

    def forward(self, x):
        inside = bool(x[0, 0] > 0)
        outside = around()
        with CONTEXTS[self.context]() if inside else contextlib.nullcontext():
            before = around()
            x = self.norms[0](self.linear(x).float())
            self.seen.append(before == around())
            x = self.norms[1](torch.relu(x).float())
            self.seen.append(before == around())
        self.seen.append(outside == around())
        return self.norms[2](x)


def halves():
    torch.manual_seed(0)
    x = torch.randn(24, 4) * 3
    x[::2, 0], x[1::2, 0] = x[::2, 0].abs(), -x[1::2, 0].abs()
    return [x[:8:2], x[1:8:2], x[8:16:2], x[9:16:2], x[16::2], x[17::2]]


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_context_stays_with_its_micro_batch(context):
    torch.manual_seed(1)
    net = Within(context).eval()
    state = process_state()
    vs.recalibrate(net, halves())
    assert len(net.seen) == 0  # given back as it was lent
    assert process_state() == state
    kept = []
    net.seen = Kept(kept)
    vs.recalibrate(net, halves())
    assert len(kept) >= 18
    assert all(kept)
    assert process_state() == state


class Kept:
    """A list that is not given back."""

    def __init__(self, held):
        self.append = held.append

    def __len__(self):
        return 0


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_context_where_one_micro_batch_raises(context, error):
    torch.manual_seed(1)
    net = Within(context).eval()
    runs = []

    class Raises(nn.Module):
        def forward(self, x):
            runs.append(1)
            if len(runs) >= 4:
                raise error("halfway")
            return x

    net.norms[1] = nn.Sequential(Raises(), nn.BatchNorm1d(4))
    state = process_state()
    with pytest.raises((vs.ModelError, KeyboardInterrupt), match="halfway"):
        vs.recalibrate(net, halves())
    assert process_state() == state


class Forks(nn.Module):
    """Adds the same random numbers to every micro-batch, from a stream that it forks and seeds."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.BatchNorm1d(4), nn.BatchNorm1d(4)

    def forward(self, x):
        with torch.random.fork_rng():
            torch.manual_seed(7)
            x = self.one(x + torch.randn(4))
            x = self.two(x * (1 + torch.rand(4)))
        return x


def test_a_stream_that_a_forward_forks_is_its_own():
    net, x = Forks(), torch.randn(40, 4)
    truth = noise_off_statistics(net, [x])
    state = torch.get_rng_state()
    r = vs.recalibrate(net, x.split(8))
    assert torch.equal(torch.get_rng_state(), state)
    assert r.notes == ()
    for path, (_, var) in truth.items():
        torch.testing.assert_close(net.get_submodule(path).running_var, var.float())


def test_a_finally_that_normalises_is_let_through():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.BatchNorm1d(4), nn.BatchNorm1d(4)

        def forward(self, x):
            try:
                if bool((x == 99).any()):
                    raise ValueError("halfway")
                return self.one(x)
            finally:
                self.two(x)

    with pytest.raises(vs.ModelError, match="halfway"):
        vs.recalibrate(Last(), [torch.randn(4, 4), torch.randn(4, 4), torch.full((4, 4), 99.0)])


def test_without_greenlets_norm_by_norm(monkeypatch):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.BatchNorm1d(4))
    other, x = copy.deepcopy(net), torch.randn(40, 4)
    vs.recalibrate(net, x.split(8))
    monkeypatch.setitem(sys.modules, "greenlet", None)
    r = vs.recalibrate(other, x.split(8))
    assert any("no greenlet package" in note for note in r.notes)
    for one, two in zip(net.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(one, two)


def test_forwards_grow_with_batches_alone():
    calls = []

    class Counted(nn.BatchNorm1d):
        def forward(self, x):
            calls.append(len(x))
            return super().forward(x)

    net = nn.Sequential(Counted(3), Counted(3)).eval()
    vs.recalibrate(net, torch.randn(60, 3).split(4))
    # Two samples ride along, and are run again alone; two show what norms of this class do.
    assert sum(calls) == 2 * (60 + 2 + 2 + 2)


def test_norms_that_are_settled_one_by_one_are_met_by_the_users_own_forward():
    x = torch.randn(64, 2, dtype=torch.float64) * torch.linspace(0.2, 3, 64)[:, None]
    plain, own = Parks(2, 4).double(), Parks(2, 4).double()
    vs.recalibrate(plain, [x])
    done = vs.recalibrate(
        own, [{"x": part} for part in x.split(8)], forward=lambda model, batch: model(batch["x"])
    )
    assert any("keeps something from one forward to the next" in note for note in done.notes)
    for name, value in plain.named_buffers():
        torch.testing.assert_close(own.get_buffer(name), value, rtol=1e-9, atol=1e-12)
