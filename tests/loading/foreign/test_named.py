"""How such files are named to a command, and what is said of those that are not read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from loading.foreign.twins import TensorFlow1, maps
from varshift._cli.lending import Lent
from varshift._loading import load_checkpoint, load_model
from varshift.errors import CheckpointError, UsageError


def test_a_command_takes_a_prefix_that_is_no_file(files, tmp_path, monkeypatch, capsys):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.BatchNorm2d(1, eps=1e-3), nn.Conv2d(1, 4, 3))\n"
    )
    monkeypatch.chdir(tmp_path)
    for way in (files / "tensorflow1", files / "tensorflow1" / ".index"):
        model = Lent("net.py:make", str(way)).model
        notes = capsys.readouterr().err
        assert "2 layers, of which 1 norm, taken from a file of TensorFlow" in notes
        assert model[0].running_var.item() != 1
    with pytest.raises(UsageError, match="there is no file"):
        _ = Lent("net.py:make", str(files / "none")).model
    with pytest.raises(UsageError, match="is a folder without weights of TensorFlow"):
        _ = Lent("net.py:make", str(tmp_path)).model


@pytest.mark.parametrize("name", ["net.h5", "a/net.keras", "net.onnx", "model.ckpt.index"])
def test_a_file_for_a_target(name):
    with pytest.raises(UsageError, match="is a checkpoint: name the model it is of"):
        load_model(name)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("x.pb", "is a graph of TensorFlow, whose variables lie beside it"),
        ("x.ckpt.meta", "is a graph of TensorFlow: give the .index"),
        ("x.tflite", "is made for inference, with its norms folded"),
        ("x.msgpack", "is of Flax, which varshift does not read"),
        ("x.npz", "is a set of arrays that does not say whose they are"),
    ],
)
def test_what_is_not_read_is_said_politely(tmp_path, name, match):
    (tmp_path / name).write_bytes(b"\x08\x01\x12\x04")
    with pytest.raises(CheckpointError, match=match) as caught:
        load_checkpoint(nn.Linear(1, 1), tmp_path / name)
    assert "run code" not in str(caught.value)


def test_the_list_of_checkpoints_is_none(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model-1"\n')
    with pytest.raises(CheckpointError, match="only names TensorFlow's checkpoints"):
        load_checkpoint(nn.Linear(1, 1), tmp_path / "checkpoint")


def test_the_model_is_as_it_was_where_anything_fails(files):
    model = maps(last=True)
    model[13] = nn.BatchNorm1d(6)  # another eps, behind all that fits
    before = {key: value.clone() for key, value in model.state_dict().items()}
    pytest.importorskip("h5py", reason="pip install 'varshift[foreign]'")
    with pytest.raises(CheckpointError, match=r"eps=1e-05, the file's .* was trained with 0\.001"):
        load_checkpoint(model, files / "maps.keras")
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_model_in_halves_takes_rounded_values(files):
    model = TensorFlow1()
    load_checkpoint(model, files / "tensorflow1")
    half = TensorFlow1().half()
    load_checkpoint(half, files / "tensorflow1")
    own, other = model.conv1.weight.detach().numpy(), half.conv1.weight.detach().float().numpy()
    np.testing.assert_allclose(own, other, rtol=1e-3)
