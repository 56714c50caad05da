"""Routes against brute force: reseed every source, and see which norms move."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import varshift as vs
from problems.noisy_nets import ByHand, Conv, Mlp, Twice
from varshift.results.structure import Route


def brute_force(structure, model):
    """(source, norm) for every pair where reseeding the one moves the input of the other."""
    pairs = set()
    for noise in structure.noises:
        for norm in structure.norms:
            if noise.active and norm.calls:
                route = Route(noise.name, norm.path, "a", ("a",), ())
                if structure._prove(structure, route):
                    pairs.add((noise.name, norm.path))
    return pairs


def reported(structure):
    return {(route.noise, route.norm) for route in structure.routes}


PROBLEMS = {
    "mlp": (Mlp, (6, 8)),
    "conv": (Conv, (3, 3, 12, 12)),
    "by hand": (ByHand, (6, 6)),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_routes_are_sound_and_complete(name):
    make, shape = PROBLEMS[name]
    model = make()
    s = vs.inspect(model, torch.randn(shape))
    assert reported(s) == brute_force(s, model)


PARTS = {
    "drop": lambda: nn.Dropout(0.5),
    "linear": lambda: nn.Linear(6, 6),
    "norm": lambda: nn.BatchNorm1d(6),
    "relu": lambda: nn.ReLU(inplace=True),
    "layer": lambda: nn.LayerNorm(6),
    "split": lambda: Split(),
    "residual": lambda: Residual(),
}


class Split(nn.Module):
    """Halves, one of them scaled, put together the other way round."""

    def forward(self, x):
        one, other = x.chunk(2, 1)
        return torch.cat([other * 2, one], 1)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.3))

    def forward(self, x):
        return x + self.inner(x)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=2, max_size=7))
def test_routes_of_random_architectures_are_sound_and_complete(parts):
    torch.manual_seed(0)
    model = nn.Sequential(*(PARTS[part]() for part in parts))
    s = vs.inspect(model, torch.randn(8, 6))
    assert reported(s) == brute_force(s, model)


def test_a_wrong_tracer_would_be_caught():
    model = Mlp()
    s = vs.inspect(model, torch.randn(6, 8))
    missing = reported(s) - {next(iter(reported(s)))}
    assert missing != brute_force(s, model)


def test_placements():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.linear = nn.Dropout(0.5), nn.Linear(4, 4)
            self.a, self.b, self.both, self.after = (nn.BatchNorm1d(4) for _ in range(4))

        def forward(self, x):
            x = self.drop(x)
            self.a(x.relu().view(-1, 4))
            self.b(self.linear(x))
            self.both(x + self.linear(x))
            return self.after(functional.layer_norm(x, (4,)))

    s = vs.inspect(Net(), torch.randn(5, 4))
    placements = {route.norm: (route.placement, route.placements) for route in s.routes}
    assert placements == {
        "a": ("a", ("a",)),
        "b": ("b", ("b",)),
        "both": ("a", ("a", "b")),
        "after": ("through-norm", ("through-norm",)),
    }


def test_norm_records():
    model = nn.Sequential(
        nn.BatchNorm1d(4, momentum=None), nn.BatchNorm1d(4, affine=False, momentum=0.0)
    ).train()
    model[1].eval()
    s = vs.inspect(model, torch.randn(5, 4))
    assert [(n.momentum, n.affine, n.frozen) for n in s.norms] == [
        (None, True, False),
        (0.0, False, True),
    ]
    assert vs.inspect(Twice(), torch.randn(5, 4)).norms[0].reused
    s = vs.inspect(ByHand(), torch.randn(5, 6))
    assert [(n.path, n.kind) for n in s.norms] == [("m", "F.batch_norm"), ("last", "LastDim")]


def test_what_is_no_norm_site_is_named():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used = nn.BatchNorm1d(4, track_running_stats=False)
            self.never = nn.BatchNorm1d(4)

        def forward(self, x):
            return self.used(x)

    s = vs.inspect(Unused(), torch.randn(5, 4))
    assert [(n.path, n.calls) for n in s.norms] == [("never", 0)]
    assert any("used: keeps no running statistics" in note for note in s.notes)
    assert any("never: the example never reached it" in note for note in s.notes)
    s = vs.inspect(nn.Linear(4, 4), torch.randn(5, 4))
    assert any("nothing can shift" in note for note in s.notes)
    stats = nn.Sequential(nn.Dropout(0.5), nn.InstanceNorm1d(3, track_running_stats=True))
    s = vs.inspect(stats, torch.randn(5, 3, 4))
    assert [(n.path, n.kind) for n in s.norms] == [("1", "InstanceNorm1d")]
    assert not any("nothing can shift" in note for note in s.notes)


@pytest.mark.parametrize("wrap", ["whole", "part", "in place", "parallel"])
@torch.no_grad()
def test_wrapped_models_look_the_same(wrap):
    plain = Conv()
    x = torch.randn(2, 3, 12, 12)
    expected = vs.inspect(plain, x)
    model = copy.deepcopy(plain)
    if wrap == "whole":
        model = torch.compile(model, backend="eager")
        model(x)
    elif wrap == "part":
        model.conv = torch.compile(model.conv, backend="eager")
        model(x)
    elif wrap == "in place":
        model.compile(backend="eager")
        model(x)
    else:
        model = nn.DataParallel(model)
    s = vs.inspect(model, x)
    assert [n.path for n in s.norms] == [n.path for n in expected.norms]
    assert reported(s) == reported(expected)
    assert all(s.prove(route) for route in s.direct())


def test_ddp(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    try:
        x = torch.randn(2, 3, 12, 12)
        s = vs.inspect(nn.parallel.DistributedDataParallel(Conv()), x)
        assert reported(s) == reported(vs.inspect(Conv(), x))
    finally:
        torch.distributed.destroy_process_group()


def test_a_model_that_raises_halfway_says_where():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(5, 4))
    with pytest.raises(vs.ModelError, match=r"RuntimeError in '1' \(Linear\) on batch 0"):
        vs.inspect(model, torch.randn(6, 4))


def test_json():
    s = vs.inspect(Conv(), torch.randn(2, 3, 12, 12))
    held = json.loads(json.dumps(s.to_dict(), allow_nan=False))
    assert held["schema"] == "varshift.structure/1"
    assert {"noises", "norms", "routes"} <= set(held)
    assert held["routes"][0]["placement"] in ("a", "b", "through-norm")


def test_prove_refuses_a_route_of_another_structure():
    s = vs.inspect(Mlp(), torch.randn(6, 8))
    with pytest.raises(vs.UsageError, match="is not a route"):
        s.prove(Route("x", "y", "a", ("a",), ()))
    with pytest.raises(vs.UsageError, match="there are"):
        s.noise("nothing")
