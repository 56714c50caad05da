"""Reading ONNX: by the graph, against the reference evaluator of ONNX itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from varshift._loading import load_checkpoint
from varshift._loading.foreign import read_foreign
from varshift.errors import CheckpointError

onnx = pytest.importorskip("onnx", reason="pip install 'varshift[foreign]'")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
RNG = np.random.default_rng(0)


def drawn(*shape):
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def model_of(nodes, arrays, shape):
    inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)]
    held = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def norm_arrays(name, width):
    return {
        f"{name}.weight": np.abs(drawn(width)) + 0.5,
        f"{name}.bias": drawn(width),
        f"{name}.running_mean": drawn(width),
        f"{name}.running_var": np.abs(drawn(width)) + 0.5,
    }


def network(last=False):
    """Convolution, norm, another convolution, flattening, Gemm and MatMul with Add.

    The other convolution is a transposed one; with `last` a plain one, whose maps are flattened
    with channels last, as converters of Keras' models write it.
    """
    norm, other = norm_arrays("norm", 3), norm_arrays("other", 5)
    arrays = {"conv.weight": drawn(3, 2, 3, 3), "conv.bias": drawn(3), **norm, **other}
    arrays |= {"more.weight": drawn(7, 3, 2, 2) if last else drawn(3, 4, 2, 2)}
    arrays |= {"hidden": drawn(5, 28 if last else 64), "hidden.bias": drawn(5)}
    arrays |= {"m": drawn(5, 2), "head.bias": drawn(2)}
    turned = helper.make_node("Transpose", ["u"], ["t"], perm=[0, 2, 3, 1])
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("BatchNormalization", ["b", *norm], ["c"], epsilon=1e-3, momentum=0.99),
        helper.make_node("Conv" if last else "ConvTranspose", ["c", "more.weight"], ["u"]),
        *([turned] if last else []),
        helper.make_node("Flatten", ["t" if last else "u"], ["f"]),
        helper.make_node("Identity", ["hidden"], ["same"]),
        helper.make_node("Gemm", ["f", "same", "hidden.bias"], ["h"], transB=1, alpha=0.5),
        helper.make_node("BatchNormalization", ["h", *other], ["n"]),
        helper.make_node("MatMul", ["n", "m"], ["l"]),
        helper.make_node("Add", ["head.bias", "l"], ["y"]),
    ]
    return model_of(nodes, arrays, (3, 2, 5, 5))


def twin(last=False):
    more = nn.Conv2d(3, 7, 2, bias=False) if last else nn.ConvTranspose2d(3, 4, 2, bias=False)
    return nn.Sequential(
        *(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3, eps=1e-3)),
        *(more, nn.Flatten(), nn.Linear(28 if last else 64, 5)),
        *(nn.BatchNorm1d(5), nn.Linear(5, 2)),
    )


def agree(model, held):
    from onnx.reference import ReferenceEvaluator

    x = drawn(3, 2, 5, 5)
    (y,) = ReferenceEvaluator(held).run(None, {"x": x})
    with torch.no_grad():
        np.testing.assert_allclose(model.eval()(torch.from_numpy(x)).numpy(), y, atol=1e-5, rtol=0)


@pytest.mark.parametrize("last", [False, True])
def test_outputs_agree(tmp_path, last):
    held = network(last)
    onnx.save(held, tmp_path / "x.onnx")
    model = twin(last)
    notes = load_checkpoint(model, tmp_path / "x.onnx")
    agree(model, held)
    assert "(ONNX writes it as 0.99)" in " ".join(notes)
    assert ("flattened maps go into '5': reordered from channels last" in " ".join(notes)) == last


def test_arrays_in_a_file_beside_it(tmp_path):
    held = network()
    onnx.save(held, tmp_path / "x.onnx", save_as_external_data=True, size_threshold=0,
              location="x.data", convert_attribute=False)  # fmt: skip
    assert (tmp_path / "x.data").stat().st_size > 1000
    model = twin()
    load_checkpoint(model, tmp_path / "x.onnx")
    agree(model, onnx.load(tmp_path / "x.onnx"))


@pytest.mark.parametrize("place", ["../secret", "/etc/hostname", "link"])
def test_arrays_outside_its_folder_are_refused(tmp_path, place):
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(1 << 12))
    (folder / "link").symlink_to(tmp_path / "secret")
    held = network()
    tensor = held.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    (folder / "x.onnx").write_bytes(held.SerializeToString())
    with pytest.raises(CheckpointError, match="outside the folder of the file: refused"):
        read_foreign(folder / "x.onnx")


def test_norms_that_were_folded_are_said(tmp_path):
    nodes = [helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["y"])]
    arrays = {"conv.weight": drawn(3, 2, 3, 3), "conv.bias": drawn(3)}
    onnx.save(model_of(nodes, arrays, (3, 2, 5, 5)), tmp_path / "x.onnx")
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    with pytest.raises(CheckpointError, match="Exporters fold norms into the weights before them"):
        load_checkpoint(model, tmp_path / "x.onnx")


def test_a_bias_that_another_operation_adds_is_not_taken_for_none(tmp_path):
    """Added along the last axis, it is none of the convolution's, and nobody may set that to 0."""
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["a"]),
        helper.make_node("Add", ["a", "more"], ["y"]),
    ]
    arrays = {"conv.weight": drawn(3, 2, 3, 3), "more": drawn(3)}
    onnx.save(model_of(nodes, arrays, (3, 2, 5, 5)), tmp_path / "x.onnx")
    load_checkpoint(nn.Conv2d(2, 3, 3, bias=False), tmp_path / "x.onnx")
    with pytest.raises(CheckpointError, match="is missing in the file"):
        load_checkpoint(nn.Conv2d(2, 3, 3), tmp_path / "x.onnx")
    nodes[1].input[1] = "channels"
    arrays = {"conv.weight": drawn(3, 2, 3, 3), "channels": drawn(1, 3, 1, 1)}
    held = model_of(nodes, arrays, (3, 2, 5, 5))
    onnx.save(held, tmp_path / "x.onnx")
    model = nn.Conv2d(2, 3, 3)
    load_checkpoint(model, tmp_path / "x.onnx")
    agree(model, held)


def test_what_is_no_onnx(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"\xff" * 64)
    with pytest.raises(CheckpointError, match="cannot be read as a file of ONNX"):
        read_foreign(tmp_path / "x.onnx")
