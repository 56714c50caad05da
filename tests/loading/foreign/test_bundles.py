"""Reading TensorFlow's files: what they prove, and what is refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from varshift._loading.foreign import read_foreign
from varshift._loading.foreign.bundle.crc32c import crc32c, extended, masked
from varshift._loading.foreign.bundle.tensors import opened
from varshift.errors import CheckpointError


def crc_by_bits(data):
    """A slow twin: the remainder of a polynomial, bit by bit."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


# RFC 3720, B.4, and the check value of the catalogue of CRCs.
PUBLISHED = {
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
    b"123456789": 0xE3069283,
}


@pytest.mark.parametrize("data", PUBLISHED)
def test_published_checksums(data):
    assert crc32c(data) == PUBLISHED[data]


@pytest.mark.parametrize("size", [0, 1, 4096 * 8 - 1, 4096 * 8, 4096 * 9 + 5])
def test_lanes_agree_with_bits(size):
    data = np.random.default_rng(size).bytes(size)
    assert crc32c(data) == crc_by_bits(data)
    assert extended(crc32c(data[:100]), data[100:]) == crc32c(data)


def test_masks_as_leveldb_does():
    # Of LevelDB's own crc32c_test: a mask changes a value, and its mask again.
    crc = crc32c(b"foo")
    assert len({crc, masked(crc), masked(masked(crc))}) == 3
    assert masked(0) == 0xA282EAD8


def test_layers_in_the_order_of_the_graph(files):
    found = read_foreign(files / "tensorflow1")
    names = [layer.name for layer in found.layers]
    assert names == [
        *("batch_normalization", "1CNN", "batch_normalization_1", "2CNN"),
        *("batch_normalization_2", "dense"),
    ]
    assert found.ordered == "network"
    assert {layer.eps for layer in found.layers if layer.kind == "norm"} == {0.001}
    assert found.others == ("1CNN/bias/Adam",)


def test_without_the_graph_names_are_all_there_is(files, tmp_path):
    for path in (files / "tensorflow1").iterdir():
        if path.name != ".meta":
            shutil.copy(path, tmp_path / f"x{path.name}")
    found = read_foreign(tmp_path / "x")
    assert found.ordered == "names"
    norms = [layer for layer in found.layers if layer.kind == "norm"]
    assert [layer.name[-2:] for layer in norms] == ["on", "_1", "_2"]
    assert {layer.eps for layer in norms} == {None}


@pytest.mark.parametrize("prefix", ["maps", "steps", "keras2", "tensorflow1/"])
def test_each_tensor_has_its_checksum(files, prefix):
    bundle = opened(str(files / prefix) + ("/" if prefix.endswith("/") else ""))
    for name, entry in bundle.entries.items():
        if entry.is_numeric:
            assert bundle.read(name).shape == entry.shape
        else:
            assert bundle.text(name)


@pytest.mark.parametrize(
    ("name", "at", "match"),
    [
        ("maps.data-00000-of-00001", 40, "does not match its stored checksum: the file is damaged"),
        ("maps.data-00000-of-00001", -9, "does not match its stored checksum"),
        ("maps.index", 30, "a block of its index does not match its stored"),
    ],
)
def test_a_bit_that_is_not_what_it_was(files, tmp_path, name, at, match):
    for each in ("maps.index", "maps.data-00000-of-00001"):
        shutil.copy(files / each, tmp_path)
    data = bytearray((tmp_path / name).read_bytes())
    data[at] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=match):
        read_foreign(tmp_path / "maps.index")


def test_what_is_cut_short_or_missing(files, tmp_path):
    index, data = tmp_path / "maps.index", tmp_path / "maps.data-00000-of-00001"
    shutil.copy(files / "maps.index", index)
    with pytest.raises(CheckpointError, match="lies in a data file that is not there, number 0"):
        read_foreign(index)
    data.write_bytes((files / data.name).read_bytes()[:50])
    with pytest.raises(CheckpointError, match="which is cut short"):
        read_foreign(index)
    index.write_bytes(b"no table at all" * 10)
    with pytest.raises(CheckpointError, match="does not end as an index of TensorFlow does"):
        read_foreign(index)
