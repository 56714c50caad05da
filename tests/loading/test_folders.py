"""Folders as data: pictures by class, and what `datasets` has written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from varshift._loading import Pictures, load_data, load_model
from varshift.errors import DataError, UsageError

Image = pytest.importorskip("PIL.Image", reason="no Pillow; pip install '.[zoo]'")
pytest.importorskip("torchvision", reason="no torchvision; pip install '.[zoo]'")


@pytest.fixture
def folder(tmp_path):
    """Six pictures of two classes; the shade of each is its number."""
    for number in range(6):
        place = tmp_path / "set" / ("cat" if number < 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.full((40, 48, 3), 40 * number, np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return tmp_path / "set"


def net(channels=3):
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4))


def test_pictures_are_shuffled_and_normalised_and_this_is_said(folder):
    notes = []
    data = load_data(str(folder), batch_size=4, pictures=Pictures(net(), size=16), notes=notes)
    (x, y), (last, classes) = data
    assert [tuple(x.shape), tuple(last.shape)] == [(4, 3, 16, 16), (2, 3, 16, 16)]
    assert sorted([*y.tolist(), *classes.tolist()]) == [0, 0, 1, 1, 1, 1]
    assert y.tolist() != [0, 0, 1, 1]
    # Pixel 40n of 255, by ImageNet's mean and deviation of the first channel.
    both = torch.cat([x, last])[:, 0, 0, 0]
    wanted = (40 * torch.arange(6) / 255 - 0.485) / 0.229
    assert torch.allclose(both.sort().values, wanted, atol=1e-6)
    assert "6 pictures of 2 classes, in a fixed random order; the model names no" in notes[0]
    again = [classes for _, classes in data]
    assert torch.equal(again[0], y)


def test_every_rank_takes_its_own_batches(folder):
    pictures = Pictures(net(), size=16)
    whole = list(load_data(str(folder), batch_size=1, pictures=pictures))
    for rank in range(4):
        own = list(load_data(str(folder), batch_size=1, pictures=pictures, shard=(rank, 4)))
        assert len(own) == len(whole[rank::4])
        pairs = zip(own, whole[rank::4], strict=True)
        assert all(torch.equal(a[0], b[0]) for a, b in pairs)


def test_grey_for_a_model_of_one_channel(folder):
    (x, _), *_ = load_data(str(folder), pictures=Pictures(net(1), size=16))
    assert x.shape == (6, 1, 16, 16)
    with pytest.raises(DataError, match="the model takes 5 channels, and pictures have 3 or 1"):
        load_data(str(folder), pictures=Pictures(net(5)))


def test_the_librarys_own_transform(folder):
    timm = pytest.importorskip("timm", reason="no timm; pip install '.[zoo]'")
    notes = []
    model = timm.create_model("test_resnet")
    (x, _), *_ = load_data(str(folder), pictures=Pictures(model), notes=notes)
    assert x.shape == (6, *timm.data.resolve_model_data_config(model)["input_size"])
    assert "as timm's data configuration says (160 × 160)" in notes[0]
    (x, _), *_ = load_data(str(folder), pictures=Pictures(model, size=32))
    assert x.shape == (6, 3, 32, 32)


def test_torchvisions_own_transform(folder):
    target, notes = "torchvision:squeezenet1_1", []
    pictures = Pictures(nn.Identity(), target, {"weights": "IMAGENET1K_V1"})
    (x, _), *_ = load_data(str(folder), pictures=pictures, notes=notes)
    assert x.shape == (6, 3, 224, 224)
    assert "torchvision's weights IMAGENET1K_V1 of squeezenet1_1" in notes[0]
    (x, _), *_ = load_data(str(folder), pictures=Pictures(nn.Identity(), target, size=32))
    assert x.shape == (6, 3, 32, 32)


def test_an_image_processor(folder, tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers", reason="no transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    place = tmp_path / "net"
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic", num_labels=3
    )
    transformers.ResNetForImageClassification(config).save_pretrained(place)
    model, target = load_model(f"hf:{place}"), f"hf:{place}"
    notes = []
    load_data(str(folder), pictures=Pictures(model, target), notes=notes)
    assert "the model names no transform" in notes[0]
    processor = transformers.ViTImageProcessor(size={"height": 24, "width": 24})
    processor.save_pretrained(place)
    (x, _), *_ = load_data(str(folder), pictures=Pictures(model, target), notes=notes)
    assert x.shape == (6, 3, 24, 24)
    assert "prepared by the image processor of hf:" in notes[1]
    (x, _), *_ = load_data(str(folder), pictures=Pictures(model, target, size=16))
    assert x.shape == (6, 3, 16, 16)


def test_a_part_of_a_folder(folder, tmp_path):
    parts = tmp_path / "whole"
    parts.mkdir()
    folder.rename(parts / "train")
    (parts / "val").mkdir()
    with pytest.raises(DataError, match="holds the parts train, val, no classes; name one of"):
        load_data(str(parts))
    assert len(load_data(f"{parts}:train", batch_size=2)) == 3
    assert len(load_data(str(parts / "train"), batch_size=2)) == 3


def test_what_is_no_folder_of_pictures(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no folders of pictures, one for each class"):
        load_data(str(tmp_path / "empty"))
    (tmp_path / "empty" / "cat").mkdir()
    with pytest.raises(DataError, match="has no pictures in cat"):
        load_data(str(tmp_path / "empty"))
    (folder / "cat" / "0.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"0\.png' cannot be read as a picture"):
        list(load_data(str(folder)))


def test_sizes_that_make_no_batch(folder):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(folder / "cat" / "small.png")
    pictures = Pictures(nn.Identity(), "torchvision:fasterrcnn_mobilenet_v3_large_fpn")
    with pytest.raises(DataError, match="which make no batch; pass --image-size, or --batch-size"):
        list(load_data(str(folder), pictures=pictures))


class TestSaved:
    @pytest.fixture(autouse=True)
    def quiet(self):
        self.datasets = pytest.importorskip("datasets", reason="no datasets")
        self.datasets.disable_progress_bars()

    def saved(self, columns, place):
        self.datasets.Dataset.from_dict(columns).save_to_disk(str(place))
        return str(place)

    def test_one_column_of_numbers_and_labels(self, tmp_path):
        x = np.arange(20, dtype=np.float32).reshape(10, 2)
        place = self.saved(
            {"x": x.tolist(), "label": list(range(10)), "name": ["a"] * 10}, tmp_path / "held"
        )
        notes = []
        data = load_data(place, batch_size=4, notes=notes)
        inputs, labels = (torch.cat(each) for each in zip(*data, strict=True))
        assert torch.equal(inputs[labels.argsort()], torch.from_numpy(x))
        assert "columns 'name' hold no pictures and no numbers: left out" in notes
        assert len(load_data(place, batch_size=4, shard=(1, 2))) == 1

    def test_several_columns_are_keywords(self, tmp_path):
        ids = [[1, 2, 3]] * 6
        place = self.saved(
            {"input_ids": ids, "attention_mask": ids, "labels": [0] * 6}, tmp_path / "held"
        )
        (batch,) = load_data(place)
        assert set(batch) == {"input_ids", "attention_mask"}
        assert batch["input_ids"].shape == (6, 3)
        (batch,) = load_data(place, labelled=True)
        assert set(batch) == {"input_ids", "attention_mask", "labels"}

    def test_a_column_of_pictures(self, folder, tmp_path):
        features = self.datasets.Features(
            {"image": self.datasets.Image(), "label": self.datasets.ClassLabel(names=["c", "d"])}
        )
        paths = [str(path) for path in sorted(folder.rglob("*.png"))]
        columns = {"image": paths, "label": [0, 0, 1, 1, 1, 1]}
        place = tmp_path / "held"
        self.datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(place))
        ((x, y),) = load_data(str(place), pictures=Pictures(net(), size=16))
        assert x.shape == (6, 3, 16, 16)
        # Shades below 80 are cats.
        assert torch.equal(y == 0, x[:, 0, 0, 0] < (79 / 255 - 0.485) / 0.229)

    def test_parts(self, tmp_path):
        one = self.datasets.Dataset.from_dict({"x": [[1.0], [2.0]]})
        parts = self.datasets.DatasetDict({"train": one, "test": one})
        parts.save_to_disk(str(tmp_path / "held"))
        assert len(load_data(f"{tmp_path}/held:train", batch_size=1)) == 2
        assert len(load_data(f"{tmp_path}/held/test", batch_size=1)) == 2
        with pytest.raises(UsageError, match=r"has several parts: name one, .*held:train"):
            load_data(f"{tmp_path}/held")
        with pytest.raises(UsageError, match="has no part 'val': name one"):
            load_data(f"{tmp_path}/held:val")

    def test_sentences(self, tmp_path):
        place = self.saved({"text": ["a", "b"]}, tmp_path / "text")
        with pytest.raises(DataError, match="no column of pictures or numbers but 'text'; token"):
            load_data(place)
        place = self.saved({"x": [[1.0], [1.0, 2.0]]}, tmp_path / "ragged")
        with pytest.raises(DataError, match=r"rows of the column 'x' make no batch .*pad them"):
            list(load_data(place))
        place = self.saved({"x": []}, tmp_path / "none")
        with pytest.raises(DataError, match=r"holds no rows|cannot be read by datasets"):
            load_data(place)
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "state.json").write_text("{}")
        with pytest.raises(DataError, match="cannot be read by datasets"):
            load_data(str(tmp_path / "broken"))


def test_a_loader_on_several_ranks(tmp_path):
    file = tmp_path / "loaders.py"
    file.write_text(
        "import torch\nfrom torch.utils.data import DataLoader, DistributedSampler\n"
        "held = list(range(7))\n"
        "def made():\n    return lambda: iter(held)\n"
        "dealt = DataLoader(held, sampler=DistributedSampler(held, 2, 0))\n"
    )
    assert list(load_data(f"{file}:held", shard=(1, 3))) == [1, 4]
    assert list(load_data(f"{file}:made", shard=(0, 2))()) == [0, 2, 4, 6]
    notes = []
    dealt = load_data(f"{file}:dealt", shard=(1, 2), notes=notes)
    assert isinstance(dealt, torch.utils.data.DataLoader)
    assert "DistributedSampler deals" in notes[0]
