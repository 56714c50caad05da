"""Keras models on torch are refused by every verb: a false all-clear would be worse."""

from __future__ import annotations

import os
import warnings

import pytest
import torch
from torch import nn

import varshift as vs
from varshift.errors import ModelError

os.environ.setdefault("KERAS_BACKEND", "torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras", reason="no Keras; pip install '.[dev]'")
if keras.backend.backend() != "torch":
    pytest.skip("Keras runs on another backend here", allow_module_level=True)

VERBS = {
    "inspect": lambda model, x: vs.inspect(model, x),
    "measure": lambda model, x: vs.measure(model, [x, x]),
    "explain": lambda model, x: vs.explain(model, [x, x]),
    "predict": lambda model, x: vs.predict(model, [x, x]),
    "predict blind": lambda model, x: vs.predict(model, example=x),
    "footprint": lambda model, x: vs.footprint(model, [x, x]),
    "check": lambda model, x: vs.check(model, x),
    "repair": lambda model, x: vs.repair(model, [x, x]),
    "recalibrate": lambda model, x: vs.recalibrate(model, [x, x]),
    "relocate": lambda model, x: vs.relocate(model, x),
    "replace": lambda model, x: vs.replace(model, x, "uout"),
    "update_bn": lambda model, x: vs.update_bn([x, x], model),
}


def network():
    return keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2),
        ]
    )


@pytest.mark.parametrize("verb", VERBS)
def test_a_keras_model_is_refused_by(verb):
    model = network()
    before = {name: held.detach().clone() for name, held in model.named_parameters()}
    with pytest.raises(ModelError, match=r"is a Keras model \(Sequential\) on torch, which varsh"):
        VERBS[verb](model, torch.randn(32, 8))
    assert all(torch.equal(before[name], held) for name, held in model.named_parameters())


def test_test_statistics_refuses_before_the_block():
    with (
        pytest.raises(ModelError, match=r"--checkpoint model\.keras"),
        vs.test_statistics(network(), [torch.randn(32, 8)]),
    ):
        pytest.fail("the block must not run")


def test_a_keras_layer_inside_a_torch_model_is_named():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.bn = nn.BatchNorm1d(8)
            self.drop = keras.layers.Dropout(0.5)

        def forward(self, x):
            return self.bn(self.drop(x, training=self.training))

    with pytest.raises(ModelError, match=r"'drop' is a Keras layer \(Dropout\) on torch"):
        vs.measure(Mixed(), [torch.randn(32, 8)])


def test_so_is_one_of_a_class_of_ones_own_and_one_that_no_module_holds():
    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    class Hides(nn.Module):
        def __init__(self):
            super().__init__()
            self.held = [Own()]

        def forward(self, x):
            return self.held[0](x)

    with pytest.raises(ModelError, match=r"'held.0' is a Keras layer \(Own\)"):
        vs.inspect(nn.Sequential(Hides()).append(nn.BatchNorm1d(8))[0], torch.randn(4, 8))
