"""Files made to harm: nothing in them runs, fills the memory or hangs, or touches the model."""

from __future__ import annotations

import io
import os
import pickle
import re
import shlex
import tempfile
import time
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from varshift._loading import load_checkpoint
from varshift.errors import CheckpointError

quick = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HARM = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def loaded(path):
    """The notes, or the refusal; whichever, whole: the model is the file's or as it was."""
    model = net()
    before = {name: held.clone() for name, held in model.state_dict().items()}
    try:
        return load_checkpoint(model, path)
    except CheckpointError as error:
        after = model.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        return error


class Runs:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".h5", ".keras", ".onnx", ".safetensors", "")
AROUND = {
    "itself": lambda runs: runs,
    "a value": lambda runs: {**net().state_dict(), "epoch": runs},
    "a key": lambda runs: {(1, runs): 1},
    "a nest": lambda runs: {"model": [{"state_dict": {"0.weight": runs}}]},
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("how", ["zip", "old", "pickle 2", "pickle 5"])
def test_nothing_runs(tmp_path, how, suffix, around):
    marker, path = tmp_path / "ran", tmp_path / f"weights{suffix}"
    held = AROUND[around](Runs(marker))
    if how.startswith("pickle"):
        path.write_bytes(pickle.dumps(held, int(how[-1])))
    else:
        torch.save(held, path, _use_new_zipfile_serialization=how == "zip")
    assert isinstance(loaded(path), CheckpointError)
    assert not marker.exists()


@pytest.fixture(scope="module")
def whole():
    buffer = io.BytesIO()
    torch.save(net().state_dict(), buffer)
    return buffer.getvalue()


@quick
@given(data=st.data())
def test_damaged_files_are_refused_or_read(whole, data):
    """Cut, or with bytes changed: an error of ours, never one of the library's, and no crash."""
    end = data.draw(st.integers(0, len(whole)))
    damaged = bytearray(whole[:end])
    places = st.tuples(st.integers(0, max(0, end - 1)), st.integers(0, 255))
    for place, byte in data.draw(st.lists(places, max_size=4)):
        if damaged:
            damaged[place] = byte
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.pt")
        path.write_bytes(damaged)
        found = loaded(path)
    assert isinstance(found, (tuple, CheckpointError))
    assert not HARM.search(str(found).replace("\n", ""))


@pytest.mark.parametrize("member", ["data.pkl", "data/0"])
def test_an_archive_that_unpacks_to_too_much_is_refused_unopened(tmp_path, whole, member):
    path, mebibyte = tmp_path / "bomb.pt", bytes(1 << 20)
    source = zipfile.ZipFile(io.BytesIO(whole))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            with archive.open(name, "w") as inner:
                inner.write(source.read(name))
                for _ in range(80 if name.endswith(member) else 0):
                    inner.write(mebibyte)
    assert path.stat().st_size < 1 << 20
    assert "many times what the file holds: refused" in str(loaded(path))


def test_nests_that_share_each_other_end(tmp_path):
    held = [{"x": torch.ones(1)}]
    for _ in range(6):
        held = [held] * 40  # 4 billion nests in a file of two kilobytes
    torch.save(held, tmp_path / "laughs.pt")
    start = time.monotonic()
    assert "the same nests again and again" in str(loaded(tmp_path / "laughs.pt"))
    assert time.monotonic() - start < 120  # hours, else


def test_nests_that_hold_themselves_end(tmp_path):
    held = {"epoch": 1, "list": []}
    held["self"] = held
    held["list"] += [held, [held]]
    torch.save(held, tmp_path / "cycle.pt")
    assert "holds no tensors with names" in str(loaded(tmp_path / "cycle.pt"))
    held["model"] = net().state_dict()
    torch.save(held, tmp_path / "cycle.pt")
    assert loaded(tmp_path / "cycle.pt") == ("weights taken from 'model' of the checkpoint",)


def test_one_set_under_several_keys_is_still_found_by_each(tmp_path):
    state = net().state_dict()
    torch.save({"model": state, "ema": state, "best": [state, state]}, tmp_path / "twice.pt")
    for key in ("model", "ema", "best.1"):
        assert f"'{key}'" in loaded(f"{tmp_path / 'twice.pt'}#{key}")[0]


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 30, 1 << 30)])
def test_shapes_that_no_memory_holds(tmp_path, shape):
    one = torch.as_strided(torch.zeros(1), shape, (0,) * len(shape))
    torch.save({**net().state_dict(), "0.weight": one}, tmp_path / "huge.pt")
    assert "1 shape is different" in str(loaded(tmp_path / "huge.pt"))


NAMES = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            ["\x1b[2J", "\n::error::", "\u202e", "../", "<script>", "[bold red]", "\ud800", "\x00"]
        ),
        st.just("long" * 5000),
    ),
    max_size=3,
).map("".join)


@quick
@given(name=NAMES, where=st.sampled_from(["key", "nest", "prefix", "asked"]))
def test_keys_of_a_file_move_nothing_in_what_is_said(name, where):
    state = net().state_dict()
    held = {
        "key": {**state, name: torch.ones(2)},
        "nest": {name: state},
        "prefix": {f"{name}.{key}": value for key, value in state.items()},
        "asked": {"model": state},
    }[where]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.pt")
        torch.save(held, path)
        found = loaded(f"{path}#{name}" if where == "asked" else path)
    said = [str(found)] if isinstance(found, CheckpointError) else found
    for sentence in said:
        assert len(sentence) < 1500
        assert not HARM.search(sentence)


def test_what_is_to_be_typed_is_one_word_of_a_shell(tmp_path):
    state = net().state_dict()
    other = {name: value + 1 for name, value in state.items()}
    path = tmp_path / "my weights; rm.pt"
    torch.save({"$(x)": state, "b": other}, path)
    said = str(loaded(path))
    words = shlex.split(said[said.index("--checkpoint") :])
    assert words == ["--checkpoint", f"{path}#$(x)"]
