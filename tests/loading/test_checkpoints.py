from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from varshift._loading import load_checkpoint
from varshift.errors import CheckpointError


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


class Arbitrary:
    """Something a pickle can only rebuild by running code."""


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.values(), other.values(), strict=True))


FLAT, NESTED = ("plain", "module.", "_orig_mod."), ("state_dict", "lightning")


@pytest.mark.parametrize(
    ("suffix", "wrap"),
    [(".pt", wrap) for wrap in FLAT + NESTED] + [(".safetensors", wrap) for wrap in FLAT],
)
def test_what_fits_is_loaded(tmp_path, suffix, wrap):
    weights = net().state_dict()
    held = weights
    if wrap.endswith("."):
        held = {wrap + key: value for key, value in weights.items()}
    elif wrap == "lightning":
        held = {"state_dict": {"model." + key: value for key, value in weights.items()}}
    elif wrap == "state_dict":
        held = {"state_dict": weights, "epoch": 3}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(held, path)
    else:
        save_file(held, path)
    model = net()
    notes = load_checkpoint(model, path)
    assert same(model.state_dict(), weights)
    assert len(notes) == {"plain": 0, "lightning": 2}.get(wrap, 1)


def refused(path, match):
    model = net()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=match):
        load_checkpoint(model, path)
    assert same(model.state_dict(), before)


def test_what_does_not_fit_is_refused_whole(tmp_path):
    path = tmp_path / "weights.pt"
    weights = net().state_dict()
    missing = {key: value for key, value in weights.items() if key != "0.bias"}
    torch.save(missing | {"extra": torch.ones(1)}, path)
    refused(path, r"1 key is missing \('0.bias'\); 1 key is unexpected \('extra'\)")
    torch.save(weights | {"0.weight": torch.ones(4, 5)}, path)
    refused(path, r"'0.weight' is \(4, 5\), the model's is \(4, 3\)")
    torch.save([1, 2], path)
    refused(
        path, r"holds no tensors with names \(it holds a list\); the model wants 7 tensors, first"
    )


def test_what_would_run_code_is_refused(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"model": Arbitrary()}, path)
    refused(path, "would run code: refused. Save the weights alone")


def test_what_cannot_be_read_is_said(tmp_path):
    refused(tmp_path / "none.pt", "there is no file")
    for suffix in (".pt", ".safetensors"):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(b"not a checkpoint at all")
        refused(path, "cannot be read|is no torch checkpoint|run code")


def test_a_key_of_weights_that_lie_at_the_top_is_told_to_go(tmp_path):
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match="under 'ema', but at its top: leave the key out"):
        load_checkpoint(nn.Linear(2, 3), f"{tmp_path / 'net.pt'}#ema")


@pytest.mark.parametrize("suffix", [".pt", ".h5", ".keras", ".onnx", ".safetensors", ".index", ""])
def test_an_empty_file_is_called_so(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.touch()
    with pytest.raises(CheckpointError, match="is empty: whatever wrote it did not end"):
        load_checkpoint(nn.Linear(2, 3), path)


def test_weights_that_hold_nan_are_said(tmp_path):
    held = {"weight": torch.full((3, 2), math.nan), "bias": torch.ones(3)}
    torch.save(held, tmp_path / "net.pt")
    notes = load_checkpoint(nn.Linear(2, 3), tmp_path / "net.pt")
    assert notes == ("1 tensor of the checkpoint holds NaN, the first 'weight'",)
