"""Reading Keras' files: what is told of each layer, and what is refused."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest

from varshift._loading.foreign import read_foreign
from varshift.errors import CheckpointError, MissingExtraError

h5py = pytest.importorskip("h5py", reason="pip install 'varshift[foreign]'")


@pytest.mark.parametrize("name", ["maps.keras", "maps.h5", "keras2.keras", "keras2.h5"])
def test_what_is_told_of_each_layer(files, name):
    found = {layer.name: layer for layer in read_foreign(files / name).layers}
    kinds = {name.split("/")[-1]: layer.kind for name, layer in found.items()}
    assert list(kinds.values()) == [
        *("conv", "norm", "depthwise", "conv", "norm", "depthwise", "transposed", "norm"),
        *("dense", "norm", "dense"),
    ]
    norms = [layer for layer in found.values() if layer.kind == "norm"]
    assert [layer.eps for layer in norms] == [1e-3, 1e-3, 1e-4, 1e-3]
    assert [layer.momentum for layer in norms] == [0.01, 0.01, 0.1, 0.01]  # torch's sense
    assert ["gamma" in layer.arrays for layer in norms] == [True, False, True, True]
    assert ["beta" in layer.arrays for layer in norms] == [True, True, True, False]
    dense = [layer for layer in found.values() if layer.kind == "dense"]
    assert [layer.flattened for layer in dense] == [5, 0]


def test_a_model_inside_stands_in_the_order_of_the_whole(files):
    names = [layer.name for layer in read_foreign(files / "steps.keras").layers]
    assert [name.startswith("inside/") for name in names[1:5]] == [False, True, True, False]
    flat = read_foreign(files / "steps.keras").layers[-2:]
    assert [layer.flattened for layer in flat] == [2, 2]  # the norm behind Flatten, and its Dense


def written(path, arrays, config=None):
    """An HDF5 file in the older form of Keras, by hand."""
    with h5py.File(path, "w") as root:
        top = root.create_group("model_weights")
        names = list(dict.fromkeys(name.split("/")[0] for name in arrays))
        top.attrs["layer_names"] = names
        for name in names:
            group = top.create_group(name)
            held = {key: value for key, value in arrays.items() if key.split("/")[0] == name}
            group.attrs["weight_names"] = list(held)
            for key, value in held.items():
                group[key] = value
        if config:
            root.attrs["model_config"] = json.dumps(config)
    return path


def test_layers_without_a_config(tmp_path):
    path = written(
        tmp_path / "x.hdf5",
        {"c/kernel:0": np.zeros((3, 3, 1, 2)), "n/moving_mean:0": np.zeros(2), "n/count:0": 1.0},
    )
    found = read_foreign(path).layers
    assert [(layer.name, layer.kind, layer.eps) for layer in found] == [
        ("c", "convolution", None),
        ("n", "norm", None),
    ]


def test_weights_alone_do_not_tell_which_a_norm_lacks(tmp_path):
    with h5py.File(tmp_path / "x.weights.h5", "w") as root:
        group = root.create_group("layers/batch_normalization/vars")
        for place in range(3):
            group[str(place)] = np.ones(4)
    with pytest.raises(
        CheckpointError, match=r"has three variables.*save the whole model as \.keras"
    ):
        read_foreign(tmp_path / "x.weights.h5")


def test_weights_of_a_model_of_a_users_class(tmp_path):
    """Groups by the attributes' names; where no class is known, arrays tell the kind."""
    with h5py.File(tmp_path / "x.weights.h5", "w") as root:
        for name, shapes in {
            "first": [(3, 3, 1, 4), (4,)],
            "norm": [(4,)] * 4,
            "layers/conv2d": [(1, 1, 4, 4), (4,)],
            "optimizer": [(4,)] * 4,
        }.items():
            group = root.create_group(f"{name}/vars")
            for place, shape in enumerate(shapes):
                group[str(place)] = np.full(shape, place)
    found = read_foreign(tmp_path / "x.weights.h5")
    assert found.ordered == "names"
    assert {layer.name: layer.kind for layer in found.layers} == {
        "conv2d": "conv",
        "first": "convolution",
        "norm": "norm",
    }
    (norm,) = (layer for layer in found.layers if layer.kind == "norm")
    held = {role: int(array[0]) for role, array in norm.arrays.items()}
    assert held == {"gamma": 0, "beta": 1, "moving_mean": 2, "moving_variance": 3}


def flattened_of(tmp_path, *between, data_format="channels_last"):
    """What is told of a Dense behind a convolution of five channels and these layers."""
    first = {"name": "c", "filters": 5, "data_format": data_format}
    layers = [{"class_name": "Conv2D", "config": first}, *between]
    if not between or between[-1]["class_name"] != "Sequential":
        layers.append({"class_name": "Dense", "config": {"name": "d"}})
    for place, layer in enumerate(layers):
        layer["config"].setdefault("name", f"layer{place}")
    arrays = {"c/kernel": np.ones((1, 1, 1, 5)), "d/kernel": np.ones((20, 2))}
    if layers[-1]["class_name"] == "Sequential":
        arrays = {
            "c/kernel": arrays["c/kernel"],
            f"layer{len(layers) - 1}/d/kernel": np.ones((4, 2)),
        }
    config = {"class_name": "Sequential", "config": {"layers": layers}}
    return read_foreign(written(tmp_path / "x.h5", arrays, config)).layers[-1].flattened


def layer(class_name, **config):
    return {"class_name": class_name, "config": config}


def test_which_layers_take_flattened_maps(tmp_path):
    flat = layer("Flatten", data_format="channels_last")
    passing = [layer("MaxPooling2D"), layer("ReLU"), flat, layer("Dropout")]
    assert flattened_of(tmp_path, *passing) == 5
    assert flattened_of(tmp_path, layer("Reshape", target_shape=[-1])) == 5
    assert flattened_of(tmp_path, layer("GlobalAveragePooling2D")) == 0
    assert flattened_of(tmp_path, flat, data_format="channels_first") == 0
    turned = layer("Flatten", data_format="channels_first")  # which Keras turns to channels last
    assert flattened_of(tmp_path, turned, data_format="channels_first") == 5
    assert flattened_of(tmp_path, layer("Permute", dims=[3, 1, 2]), flat) is None
    assert flattened_of(tmp_path, layer("Lambda"), flat) is None


def test_a_model_inside_is_not_told_what_it_is_given(tmp_path):
    start = layer("InputLayer", name="i", batch_shape=[None, 20])
    inside = layer("Sequential", layers=[start, layer("Dense", name="d")])
    assert flattened_of(tmp_path, layer("Flatten"), inside) is None
    assert read_foreign(tmp_path / "x.h5").layers[-1].kind == "dense"


def test_links_to_other_files_are_refused(tmp_path):
    written(tmp_path / "other.h5", {"c/kernel": np.ones((1, 1))})
    path = written(tmp_path / "x.h5", {"c/bias": np.ones(1)})
    with h5py.File(path, "a") as root:
        root["model_weights/c"].attrs["weight_names"] = ["c/kernel"]
        root["model_weights/c/c/kernel"] = h5py.ExternalLink("other.h5", "model_weights/c/c/kernel")
    with pytest.raises(CheckpointError, match=r"is a link to another file, 'other\.h5'"):
        read_foreign(path)


def test_values_in_other_files_are_refused(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(32))
    path = written(tmp_path / "x.h5", {"c/bias": np.ones(1)})
    with h5py.File(path, "a") as root:
        group = root["model_weights/c/c"]
        group.create_dataset("kernel", (2, 2), "f4", external=str(tmp_path / "secret"))
        root["model_weights/c"].attrs["weight_names"] = ["c/kernel"]
    with pytest.raises(CheckpointError, match="the values of 'c/kernel' lie in another file"):
        read_foreign(path)


def test_more_than_the_file_can_hold_is_refused(tmp_path):
    path = written(tmp_path / "x.h5", {"c/bias": np.ones(1)})
    with h5py.File(path, "a") as root:  # chunks that were never written take no room
        root["model_weights/c/c"].create_dataset("kernel", (1 << 20, 1 << 16), "f4", chunks=True)
        root["model_weights/c"].attrs["weight_names"] = ["c/kernel"]
    with pytest.raises(CheckpointError, match="would be many times what the file holds: refused"):
        read_foreign(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(64 << 20))
    with pytest.raises(CheckpointError, match="would unpack to 67108864 bytes"):
        read_foreign(path)


@pytest.mark.parametrize("name", ["x.keras", "x.h5"])
def test_what_is_no_such_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="cannot be read as a file of Keras"):
        read_foreign(tmp_path / name)


def test_contents_count_and_not_the_name(files, tmp_path):
    shutil.copy(files / "maps.keras", tmp_path / "weights.zip")
    shutil.copy(files / "maps.h5", tmp_path / "weights")
    for name in ("weights.zip", "weights"):
        assert len(read_foreign(tmp_path / name).layers) == 11


def test_nothing_of_a_config_is_built(tmp_path):
    """A Lambda's code is text here."""
    inside = {"class_name": "Lambda", "config": {"name": "f", "function": ["4wEAAA==", None, None]}}
    last = {"class_name": "Dense", "config": {"name": "d"}}
    config = {"class_name": "Sequential", "config": {"layers": [inside, last]}}
    path = written(tmp_path / "x.h5", {"d/kernel": np.ones((2, 3))}, config)
    (layer,) = read_foreign(path).layers
    assert (layer.kind, layer.flattened) == ("dense", None)


def test_without_h5py_the_extra_is_named(files, monkeypatch):
    monkeypatch.setattr("varshift._loading.foreign.reading.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"Keras needs h5py.*varshift\[foreign\]"):
        read_foreign(files / "maps.h5")
