"""What another framework computes, torch computes from its file: to rounding in float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loading.foreign.twins import Steps, TensorFlow1, given, maps
from varshift._loading import load_checkpoint
from varshift._loading.foreign import read_foreign
from varshift.errors import CheckpointError

# Outputs are of order one, sums have fifty terms at most: 1e-5 is far above rounding in float32
# and far below what another order or another eps makes.
CLOSE = {"rtol": 0, "atol": 1e-5}

# Bundles do not tell that maps were flattened, nor how: there the model flattens as Keras does.
FILES = {
    "maps.keras": maps,
    "maps.h5": maps,
    "maps.index": lambda: maps(last=True),
    "steps.keras": Steps,
    "steps.index": lambda: Steps(last=True),
    "keras2.keras": maps,
    "keras2.h5": maps,
    "keras2.index": lambda: maps(last=True),
    "tensorflow1/.index": TensorFlow1,
}


def shown(files, name):
    held = np.load(files / f"{name.split('/')[0].split('.')[0]}.npz")
    return held["x"], held["y"]


def needs(name):
    if name.endswith((".keras", ".h5")):
        pytest.importorskip("h5py", reason="pip install 'varshift[foreign]'")


@pytest.mark.parametrize("name", FILES)
def test_outputs_agree(files, name):
    needs(name)
    model = FILES[name]()
    notes = load_checkpoint(model, files / name)
    x, y = shown(files, name)
    np.testing.assert_allclose(given(model, x), y, **CLOSE)
    assert "order and shape" in notes[0]
    counters = [v for k, v in model.state_dict().items() if k.endswith("num_batches_tracked")]
    assert {int(each) for each in counters} == {0}


@pytest.mark.parametrize("name", ["maps.keras", "steps.keras"])
def test_the_wrong_order_of_flattening_would_be_seen(files, name):
    needs(name)
    model = maps(last=True) if name == "maps.keras" else Steps(last=True)
    load_checkpoint(model, files / name)
    x, y = shown(files, name)
    assert np.abs(given(model, x) - y).max() > 0.1


def test_a_bundle_is_named_in_five_ways(files):
    folder = files / "tensorflow1"
    ways = [folder, f"{folder}/", folder / ".index", folder / ".data-00000-of-00001"]
    first = read_foreign(ways[0])
    assert all(
        [layer.name for layer in read_foreign(way).layers] == [each.name for each in first.layers]
        for way in ways
    )
    assert read_foreign(files / "steps").format == "TensorFlow"  # the prefix, which is no file


def test_a_folder_of_several_bundles_is_asked_about(files):
    with pytest.raises(CheckpointError, match=r"several checkpoints \('keras2.index'"):
        load_checkpoint(maps(), files)


def test_names_agree_first(files):
    """Norms in an order that shapes could not tell: their names can."""

    class Turned(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.batch_normalization_2 = torch.nn.BatchNorm2d(4, eps=1e-3)
            self.batch_normalization_1 = torch.nn.BatchNorm2d(4, eps=1e-3)

    model = Turned()
    notes = load_checkpoint(model, files / "tensorflow1")
    assert "by name:" in notes[0]
    held = {each.name: each.arrays for each in read_foreign(files / "tensorflow1").layers}
    for name in ("batch_normalization_1", "batch_normalization_2"):
        own = getattr(model, name).running_var.numpy()
        np.testing.assert_array_equal(own, held[name]["moving_variance"])
