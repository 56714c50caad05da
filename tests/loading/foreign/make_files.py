"""Made `files.zip`, with tensorflow 2.21.0, keras 3.15.1 and tf_keras 2.21.0 (no test runs this).

    python make_files.py files           # Keras 3, TensorFlow 2 and 1
    python make_files.py files keras2    # the older Keras, with TF_USE_LEGACY_KERAS=1
    (cd files && zip -r ../files.zip .)

Weights are random, so that no two layers could be taken for each other; `NAME.npz` has an input and
the output that the framework itself gives for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

FOLDER = Path(sys.argv[1])
OLD = len(sys.argv) > 2
if OLD:
    import tf_keras as keras
else:
    import keras
L = keras.layers
RNG = np.random.default_rng(0)


def maps():
    """Maps: every kind of convolution, norms without scale or offset, a flattening."""
    layers = [
        L.Conv2D(3, 3, activation="relu"),
        L.BatchNormalization(),
        L.SeparableConv2D(4, 2),
        L.BatchNormalization(scale=False),
        L.DepthwiseConv2D(2, depth_multiplier=2, use_bias=False),
        L.Conv2DTranspose(5, 2, strides=2),
        L.BatchNormalization(epsilon=1e-4, momentum=0.9),
        L.Flatten(),
        L.Dropout(0.5),
        L.Dense(6),
        L.BatchNormalization(center=False),
        L.Dense(2),
    ]
    return keras.Sequential([keras.Input((6, 5, 1)), *layers], name="maps")


def steps():
    """Sequences, with a sum, a model inside, and a norm behind the flattening."""
    inside = keras.Sequential(
        [keras.Input((8, 4)), L.Conv1D(4, 3, padding="same"), L.BatchNormalization()], name="inside"
    )
    x = at = keras.Input((8, 3))
    x = L.BatchNormalization()(L.Conv1D(4, 3, padding="same", use_bias=False)(x))
    x = L.Add()([x, inside(L.ReLU()(x))])
    x = L.Flatten()(L.Conv1DTranspose(2, 2, strides=2)(x))
    return keras.Model(at, L.Dense(2)(L.BatchNormalization()(x)), name="steps")


def drawn(name, shape):
    values = RNG.normal(0, 0.4, shape).astype(np.float32)
    return np.abs(values) + 0.5 if "variance" in name or "gamma" in name else values


def fill(model):
    for variable in model.variables:
        if "seed" not in variable.name:
            variable.assign(drawn(variable.name, variable.shape))


def shown(name, x, y):
    np.savez_compressed(FOLDER / f"{name}.npz", x=x, y=y)


def write(make, suffixes, name):
    keras.backend.clear_session()
    model = make()
    fill(model)
    x = RNG.normal(size=(3, *model.inputs[0].shape[1:])).astype(np.float32)
    shown(name, x, model(x, training=False).numpy())
    for suffix in suffixes:
        model.save(FOLDER / f"{name}{suffix}")
    tf.train.Checkpoint(model=model).write(str(FOLDER / name))


def tensorflow_1(folder):
    """A graph with a Saver, and files whose names begin with nothing, as musicnn ships them."""
    tf1 = tf.compat.v1
    with tf.Graph().as_default(), tf1.Session() as session:

        def variable(name, *shape):
            return tf1.get_variable(name, initializer=drawn(name, shape), use_resource=False)

        def norm(x, name, width):
            with tf1.variable_scope(name):
                held = [variable(part, width) for part in ("gamma", "beta")]
                held += [variable(part, width) for part in ("moving_mean", "moving_variance")]
            return tf1.nn.fused_batch_norm(
                x, *held, epsilon=1e-3, is_training=False, name=f"model/{name}/FusedBatchNorm"
            )[0]

        def conv(x, name, *shape):
            with tf1.variable_scope(name):
                kernel, bias = variable("kernel", *shape), variable("bias", shape[-1])
            return tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "VALID") + bias)

        at = tf1.placeholder(tf.float32, (None, 6, 5, 1))
        # Two norms before the first convolution's: names alone would not tell the order.
        x = norm(at, "batch_normalization", 1)
        x = norm(conv(x, "1CNN", 3, 3, 1, 4), "batch_normalization_1", 4)
        x = norm(conv(x, "2CNN", 3, 2, 4, 4), "batch_normalization_2", 4)
        with tf1.variable_scope("dense"):
            x = tf.matmul(tf.reduce_mean(x, (1, 2)), variable("kernel", 4, 2)) + variable("bias", 2)
        slot = tf1.get_variable("1CNN/bias/Adam", initializer=np.ones(4, np.float32))
        session.run(tf1.global_variables_initializer())
        batch = RNG.normal(size=(3, 6, 5, 1)).astype(np.float32)
        shown("tensorflow1", batch, session.run(x, {at: batch}))
        folder.mkdir(exist_ok=True)
        tf1.train.Saver([*tf1.global_variables()]).save(session, str(folder / "x"))
        assert slot is not None
    for path in folder.glob("x.*"):
        path.rename(folder / path.name[1:])
    (folder / "checkpoint").unlink()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    if OLD:
        write(maps, (".h5", ".keras"), "keras2")
    else:
        write(maps, (".h5", ".keras"), "maps")
        write(steps, (".keras",), "steps")
        tensorflow_1(FOLDER / "tensorflow1")
