"""A checkpoint is loaded whole, or the model stays bit for bit what it was."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._loading import load_checkpoint


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to give them up
        return torch.quantize_per_tensor(torch.ones(8), 0.1, 0, torch.qint8)


# Of the last norm's variance, behind weights that would have been written before it.
VALUES = {
    "meta": (lambda: torch.ones(8, device="meta"), r"no values in the file: it is on the meta"),
    "sparse": (lambda: torch.ones(8).to_sparse(), "is sparse coo, the model's is strided"),
    "quantised": (quantised, "is quantised, the model's is not"),
    "complex": (lambda: torch.ones(8, dtype=torch.complex64), "is complex64, the model's is float"),
    "of another shape": (lambda: torch.ones(9), r"is \(9,\), the model's is \(8,\)"),
    "of no shape": (lambda: torch.ones(()), r"is \(\), the model's is \(8,\)"),
    "a number": (lambda: 5, "'1.running_var' is 5, no tensor"),
    "nothing": (lambda: None, "'1.running_var' is a NoneType"),
    "a list": (lambda: [1.0] * 8, "'1.running_var' is a list"),
    "a nest": (lambda: {"weight": torch.ones(8)}, "'1.running_var' is a dict"),
}


def state(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def refused(model, held, folder, match):
    before = state(model)
    torch.save(held, folder / "held.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, on sparse and quantised tensors
        with pytest.raises(vs.CheckpointError, match=match):
            load_checkpoint(model, folder / "held.pt")
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_that_cannot_be_copied(kind, tmp_path):
    make, match = VALUES[kind]
    held = {**state(net()), "0.weight": torch.full((8, 3), 7.0), "1.running_var": make()}
    refused(net(), held, tmp_path, match)


@pytest.mark.parametrize("key", [0, None, (1, 2), b"0.weight", 1.5])
def test_keys_that_are_no_names(key, tmp_path):
    refused(net(), {**state(net()), key: torch.zeros(2)}, tmp_path, "among its keys")
    refused(net(), {key: torch.zeros(2)}, tmp_path, "among its keys")


def test_dtypes_go_where_their_values_do(tmp_path):
    held = {key: value.double() for key, value in state(net()).items()}
    torch.save(held, tmp_path / "double.pt")
    model = net()
    load_checkpoint(model, tmp_path / "double.pt")
    assert model[1].num_batches_tracked.dtype == torch.int64
    assert model[0].weight.dtype == torch.float32

    held["1.num_batches_tracked"] = torch.tensor(1.5)
    refused(net(), held, tmp_path, "'1.num_batches_tracked' is float32, the model's is int64")
    held["1.num_batches_tracked"] = torch.tensor(2)
    held["1.running_var"] = torch.full((8,), 1e5)
    refused(net().half(), held, tmp_path, "'1.running_var' holds 1e.05, which the model's float16")


class Buffers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.zeros(3, dtype=torch.bool))
        self.register_buffer("index", torch.zeros(3, dtype=torch.int32))


def test_whole_numbers_go_where_they_are_the_same(tmp_path):
    held = {"mask": torch.tensor([0, 1, 1], dtype=torch.uint8), "index": torch.tensor([1, 2, 3])}
    torch.save(held, tmp_path / "held.pt")
    model = Buffers()
    load_checkpoint(model, tmp_path / "held.pt")  # as files of old versions of torch are
    assert (model.mask.tolist(), model.index.tolist()) == ([False, True, True], [1, 2, 3])
    wide = held | {"index": torch.tensor([1, 2, 1 << 40])}
    refused(Buffers(), wide, tmp_path, "'index' is int64, the model's is int32")
    refused(Buffers(), held | {"mask": torch.tensor([0, 1, 2])}, tmp_path, "'mask' is int64")


def test_a_prefix_that_would_make_two_keys_one_stays(tmp_path):
    held = state(net()) | {f"module.{key}": value + 1 for key, value in state(net()).items()}
    refused(net(), held, tmp_path, r"7 keys are unexpected \(first 'module.0.weight'\)|unexpected")


def test_nests_within_nests(tmp_path):
    held = {key: value + 1 for key, value in state(net()).items()}
    torch.save({"epoch": 3, "model": {"state_dict": {"module": held}}}, tmp_path / "deep.pt")
    model = net()
    notes = load_checkpoint(model, tmp_path / "deep.pt")
    assert notes == ("weights taken from 'model.state_dict.module' of the checkpoint",)
    assert torch.equal(model[0].weight, held["0.weight"])


def test_a_model_without_values_is_refused(tmp_path):
    torch.save(state(net()), tmp_path / "held.pt")
    with pytest.raises(vs.CheckpointError, match="no values in the model: it is on the meta"):
        load_checkpoint(net().to("meta"), tmp_path / "held.pt")


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.two.weight = self.one.weight


def test_one_memory_cannot_hold_two_values(tmp_path):
    held = {"one.weight": torch.ones(3, 3), "two.weight": torch.zeros(3, 3)}
    refused(Tied(), held, tmp_path, "holds other values for 'one.weight' than for 'two.weight'")
    held["two.weight"] = torch.ones(3, 3)
    torch.save(held, tmp_path / "alike.pt")
    model = Tied()
    load_checkpoint(model, tmp_path / "alike.pt")
    assert torch.equal(model.one.weight, torch.ones(3, 3))


class Overlapping(nn.Module):
    """Its second buffer is one number seen three times, which nothing can be written to."""

    def __init__(self):
        super().__init__()
        self.register_buffer("first", torch.zeros(3))
        self.register_buffer("second", torch.zeros(1).expand(3))


def test_a_tensor_that_takes_no_values_leaves_those_before_it_alone(tmp_path):
    held = {"first": torch.ones(3), "second": torch.ones(3)}
    refused(Overlapping(), held, tmp_path, "could not be loaded: the model raised RuntimeError")


class Extra(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.extra = nn.BatchNorm1d(3), {"steps": 1}

    def get_extra_state(self):
        return self.extra

    def set_extra_state(self, state):
        self.extra = state
        if state["steps"] == 3:
            raise ValueError("three steps are one too many")


def test_state_beyond_tensors_comes_back_too(tmp_path):
    model = Extra()
    held = {**model.state_dict(), "norm.weight": torch.zeros(3), "_extra_state": {"steps": 3}}
    torch.save(held, tmp_path / "held.pt")
    with pytest.raises(vs.CheckpointError, match="raised ValueError: three steps"):
        load_checkpoint(model, tmp_path / "held.pt")
    assert model.extra == {"steps": 1}
    assert torch.equal(model.norm.weight, torch.ones(3))
    held["_extra_state"] = {"steps": 2}
    torch.save(held, tmp_path / "held.pt")
    load_checkpoint(model, tmp_path / "held.pt")
    assert model.extra == {"steps": 2}


def test_a_layer_without_a_shape_takes_that_of_the_file(tmp_path):
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "held.pt")
    model = nn.LazyLinear(2)
    load_checkpoint(model, tmp_path / "held.pt")
    assert model.weight.shape == (2, 3)
