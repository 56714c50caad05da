from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
import torch

from varshift._loading import example_from_shapes, load_data, load_images
from varshift.errors import DataError, UsageError


def test_digits_are_halved_and_normalised():
    digits = load_images("digits", seed=3)
    assert digits.train.shape == (899, 1, 8, 8)
    assert digits.test.shape == (898, 1, 8, 8)
    assert abs(float(digits.train.mean())) < 1e-5
    again = load_images("digits", seed=3)
    assert torch.equal(digits.train, again.train)
    assert not torch.equal(digits.train, load_images("digits", seed=4).train)
    both = torch.cat([digits.train, digits.test]).flatten(1)
    assert len(both.unique(dim=0)) > 1780  # few scans are equal: no image is in both halves


def idx(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def test_fashion_mnist_from_idx_files(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("t10k", 4)):
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = rng.integers(0, 10, count, np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    images = load_images("fashion-mnist", tmp_path)
    assert images.train.shape == (6, 1, 28, 28)
    assert images.test_labels.tolist() == labels.tolist()
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels)[:-1])
    with pytest.raises(DataError, match="cut short"):
        load_images("fashion-mnist", tmp_path)


def test_cifar10_from_an_npz_of_jpegs(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="no Pillow; pip install '.[reproduce]'")
    packed, offsets = b"", [0]
    for shade in (0, 80, 160, 240):
        buffer = io.BytesIO()
        image.fromarray(np.full((32, 32, 3), shade, np.uint8)).save(buffer, "JPEG")
        packed += buffer.getvalue()
        offsets.append(len(packed))
    np.savez(
        tmp_path / "cifar10_jpeg.npz",
        jpeg=np.frombuffer(packed, np.uint8),
        offsets=np.array(offsets),
        label=np.array([1, 2, 3, 4]),
        is_test=np.array([False, False, False, True]),
    )
    images = load_images("cifar10", tmp_path)
    assert images.name == "CIFAR-10 (JPEG re-encoded)"
    assert images.train.shape == (3, 3, 32, 32)
    assert images.test_labels.tolist() == [4]
    assert float(images.train[0, 0, 0, 0]) < float(images.train[1, 0, 0, 0])


def test_missing_sets_say_what_would_bring_them(tmp_path):
    with pytest.raises(DataError, match="apt-get install dataset-fashion-mnist"):
        load_images("fashion-mnist", tmp_path)
    with pytest.raises(DataError, match="needs --root"):
        load_images("cifar10")
    with pytest.raises(UsageError, match="there are digits"):
        load_images("mnist")


@pytest.mark.parametrize("suffix", [".pt", ".npy", ".npz", ".safetensors"])
def test_files_of_inputs(tmp_path, suffix):
    from safetensors.torch import save_file

    x = torch.randn(10, 3)
    path = tmp_path / f"inputs{suffix}"
    if suffix == ".pt":
        torch.save(x, path)
    elif suffix == ".npy":
        np.save(path, x.numpy())
    elif suffix == ".npz":
        np.savez(path, x=x.numpy())
    else:
        save_file({"x": x}, path)
    assert torch.equal(torch.cat(list(load_data(str(path), batch_size=4))), x)


def test_sentences(tmp_path):
    with pytest.raises(UsageError, match="is no file of inputs"):
        load_data("nonsense")
    with pytest.raises(DataError, match="no file"):
        load_data(str(tmp_path / "x.npy"))
    (tmp_path / "x.npy").write_bytes(b"junk")
    with pytest.raises(DataError, match="cannot be read"):
        load_data(str(tmp_path / "x.npy"))
    with pytest.raises(UsageError, match="at least 1"):
        load_data("digits", batch_size=0)
    for shape in ("", "3,x", "3,0"):
        with pytest.raises(UsageError, match="as in 3,64,64"):
            example_from_shapes([shape])
    assert [x.shape for x in example_from_shapes(["3,4", "5"])] == [(2, 3, 4), (2, 5)]


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (np.array(3), r"holds a single number as labels; save a tensor of shape \(10, …\)"),
        (np.array(["cat"] * 10), "holds an array of <U3, which torch cannot take; save numbers"),
    ],
)
def test_labels_that_are_none(tmp_path, labels, match):
    path = tmp_path / "held.npz"
    np.savez(path, y=labels, x=np.ones((10, 3), np.float32))
    with pytest.raises(DataError, match=match):
        load_data(str(path), labelled=True)
    torch.save({"x": torch.ones(10, 3), "y": [0] * 10}, tmp_path / "held.pt")
    with pytest.raises(DataError, match="holds a list as labels"):
        load_data(str(tmp_path / "held.pt"), labelled=True)


def test_labels_come_along_where_they_are_asked_for(tmp_path):
    digits = load_images("digits")
    (x, y), *_ = load_data("digits", batch_size=10, labelled=True)
    assert torch.equal(x, digits.train[:10])
    assert torch.equal(y, digits.train_labels[:10])
    (x, y), *_ = load_data("digits:test", batch_size=10, labelled=True)
    assert torch.equal(y, digits.test_labels[:10])
    assert torch.equal(load_data("digits:test", batch_size=10)[0], digits.test[:10])
    path = tmp_path / "held.npz"
    np.savez(path, labels=np.arange(10), x=np.ones((10, 3), np.float32))
    pairs = load_data(str(path), batch_size=4, labelled=True)
    assert [len(y) for _, y in pairs] == [4, 4, 2]
    assert load_data(str(path), batch_size=4)[0].shape == (4, 3)
    np.savez(path, y=np.arange(9), x=np.ones((10, 3), np.float32))
    with pytest.raises(DataError, match="10 inputs but 9 labels"):
        load_data(str(path), labelled=True)


def test_what_holds_no_numbers_says_why_and_what_to_save(tmp_path):
    path = tmp_path / "held.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"ValueError: Object arrays.*save an array or a tensor"):
        load_data(str(path))
    for held in (torch.eye(3).to_sparse(), torch.ones(2, 3, device="meta")):
        torch.save(held, tmp_path / "held.pt")
        with pytest.raises(DataError, match="sparse, quantised or without values"):
            load_data(str(tmp_path / "held.pt"))
    torch.save(torch.nn.Linear(2, 3), tmp_path / "held.pt")
    with pytest.raises(DataError, match="holds more than tensors, and reading it would run code"):
        load_data(str(tmp_path / "held.pt"))
    torch.save(torch.ones(0, 3), tmp_path / "held.pt")
    with pytest.raises(DataError, match=r"holds no samples: its shape is \(0, 3\)"):
        load_data(str(tmp_path / "held.pt"))


def test_bytes_in_the_order_of_another_machine(tmp_path):
    x = np.arange(12, dtype=">f4").reshape(4, 3)
    np.savez(tmp_path / "held.npz", x=x, y=np.arange(4, dtype=">i8"))
    ((inputs, labels),) = load_data(str(tmp_path / "held.npz"), labelled=True)
    assert torch.equal(inputs, torch.arange(12.0).reshape(4, 3))
    assert labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "file"),
    [("fashion-mnist", "train-images-idx3-ubyte.gz"), ("cifar10", "cifar10.npz")],
)
def test_a_damaged_copy_of_a_named_set_is_named(tmp_path, name, file):
    (tmp_path / file).write_bytes(b"junk")
    with pytest.raises(DataError, match=rf"the copy of {name} in '{tmp_path}' cannot be read"):
        load_images(name, tmp_path)


def test_a_batch_of_all_samples_by_any_larger_number(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((10, 3), np.float32))
    (batch,) = load_data(str(tmp_path / "x.npy"), batch_size=10**30)
    assert batch.shape == (10, 3)
