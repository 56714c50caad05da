"""Which layer goes where: by name, by order and shape, and not by a guess."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from varshift._loading.foreign import ForeignFile, ForeignLayer, Mismatch, laid
from varshift.errors import CheckpointError


def conv(name, before, after, size=3):
    shape = (size, size, before, after)
    kernel = np.random.default_rng(len(name) + sum(map(ord, name))).normal(size=shape)
    return ForeignLayer(name, "conv", {"kernel": kernel, "bias": np.zeros(after)}, flattened=0)


def norm(name, width, **told):
    parts = ("gamma", "beta", "moving_mean", "moving_variance")
    return ForeignLayer(name, "norm", {part: np.ones(width) for part in parts}, **told)


def dense(name, before, after):
    arrays = {"kernel": np.ones((before, after)), "bias": np.zeros(after)}
    return ForeignLayer(name, "dense", arrays, flattened=0)


def of(*layers, ordered="network"):
    return ForeignFile("Keras", layers, ordered)


def taken(model, file):
    """The name of the layer that each convolution has its weights from."""
    state, _ = laid(model, file)
    kernels = {layer.name: layer.arrays["kernel"] for layer in file.layers if layer.kind == "conv"}
    found = {}
    for key in (key for key in state if key.endswith("weight") and state[key].ndim == 4):
        own = state[key].numpy()
        found[key.removesuffix(".weight")] = next(
            name
            for name, kernel in kernels.items()
            if np.moveaxis(kernel, (-1, -2), (0, 1)).shape == own.shape
            and np.array_equal(np.moveaxis(kernel, (-1, -2), (0, 1)), own)
        )
    return found


def named(**modules):
    return nn.Sequential(torch.nn.modules.container.OrderedDict(modules))


def test_the_order_tells_layers_of_one_shape_apart_and_that_is_said():
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    file = of(conv("a", 4, 4), norm("n", 4), conv("b", 4, 4))
    assert taken(model, file) == {"0": "a", "2": "b"}
    said = " ".join(laid(model, file)[1])
    assert "2 layers have a twin of the same kind and shape, and their order alone" in said


def test_layers_that_the_model_lacks_at_the_end_are_said():
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    file = of(conv("a", 4, 4), norm("n", 4), conv("b", 4, 4), dense("head", 4, 2))
    assert taken(model, file) == {"0": "a"}
    assert "no place for 2 of the file's layers: 'b', 'head'" in " ".join(laid(model, file)[1])


def test_several_that_would_do_are_asked_about():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    file = of(conv("a", 1, 4), conv("b", 4, 4), conv("c", 4, 4), dense("head", 4, 2))
    with pytest.raises(Mismatch, match=r"'1' of the model may be any of 'b', 'c'.*call the module"):
        laid(model, file)
    model = named(a=nn.Conv2d(1, 4, 3), c=nn.Conv2d(4, 4, 3), flat=nn.Flatten(), o=nn.Linear(4, 2))
    assert taken(model, file) == {"a": "a", "c": "c"}


def test_a_branch_in_another_order_is_not_guessed():
    """Keras lists a block's shortcut before its last convolution, torchvision behind it."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8)
            self.conv2, self.bn2 = nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16)
            self.down, self.bn3 = nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16)

    file = of(
        *(conv("c1", 4, 8), norm("n1", 8), conv("short", 8, 16, 1), conv("c2", 8, 16, 1)),
        *(norm("n_short", 16), norm("n2", 16)),
    )
    with pytest.raises(Mismatch, match="'conv2' of the model may be any of 'short', 'c2'"):
        laid(Block(), file)


def test_shapes_alone_do_where_each_fits_one_place():
    model = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(1, 4, 3))
    file = of(conv("a", 1, 4), conv("b", 4, 8))
    assert taken(model, file) == {"0": "b", "1": "a"}
    assert "by shape alone" in laid(model, file)[1][0]


def test_lists_of_modules_kind_by_kind():
    class Lists(nn.Module):
        def __init__(self):
            super().__init__()
            self.convs = nn.ModuleList([nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)])
            self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])

    file = of(conv("a", 4, 4), norm("n", 4), conv("b", 4, 4), norm("o", 4))
    assert taken(Lists(), file) == {"convs.0": "a", "convs.1": "b"}
    assert "order within each kind" in laid(Lists(), file)[1][0]


def test_numbers_are_no_names_unless_they_all_agree():
    """A dropout more, and Sequential's numbers name other layers."""
    model = nn.Sequential(*(nn.Conv2d(4, 4, 3), nn.Dropout(), nn.Conv2d(4, 4, 3)))
    file = of(conv("0", 4, 4), conv("1", 4, 4), conv("2", 4, 4))
    assert taken(model, file) == {"0": "0", "2": "2"}  # all agree
    file = of(conv("1", 4, 4), conv("2", 4, 4))
    assert taken(model, file) == {"0": "1", "2": "2"}  # by order, not by the 2


def test_without_an_order_only_numbers_are():
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    file = of(conv("conv_1", 4, 4), conv("conv_2", 4, 4), ordered="names")
    assert taken(model, file) == {"0": "conv_1", "1": "conv_2"}
    with pytest.raises(Mismatch, match="may be any of 'left', 'right'"):
        laid(model, of(conv("left", 4, 4), conv("right", 4, 4), ordered="names"))


def test_another_eps_is_refused():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.BatchNorm1d(4))
    file = of(norm("n", 4, eps=1e-3), norm("o", 4, eps=1e-3))
    match = (
        r"norm '0' of the model has eps=1e-05, the file's 'n' was trained with 0.001, and 1 more"
    )
    with pytest.raises(Mismatch, match=match):
        laid(model, file)
    for each in model:
        each.eps = 0.001
    assert not any("eps" in note for note in laid(model, file)[1])
    model[1].eps = 1.1e-3
    with pytest.raises(Mismatch, match="norm '1'"):
        laid(model, file)


def test_momentum_is_said_and_left():
    model = nn.Sequential(nn.BatchNorm1d(4, eps=1e-3))
    notes = " ".join(laid(model, of(norm("n", 4, eps=1e-3, momentum=0.01)))[1])
    assert "is 0.01 in torch's sense (Keras writes it as 0.99); the model's ('0': 0.1)" in notes
    assert model[0].momentum == 0.1


def test_what_is_missing_is_named():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    match = (
        r"'0' of the model, of a Conv2d \(4, 1, 3, 3\), is missing.*'a' \(3, 3, 1, 5\) with a bias"
    )
    with pytest.raises(Mismatch, match=match):
        laid(model, of(conv("a", 1, 5), norm("n", 4)))
    with pytest.raises(Mismatch, match=r"of its kind there are none\. Exporters fold norms"):
        laid(model, of(conv("a", 1, 4)))
    with pytest.raises(Mismatch, match="'weight_ih_l0' of the model, of a LSTM, cannot be filled"):
        laid(nn.LSTM(2, 3), of(conv("a", 1, 4)))


def test_a_bias_that_has_no_place_is_not_lost():
    """A norm that was folded leaves its bias in a convolution that had none."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False))
    layer = conv("a", 1, 4)
    laid(model, of(layer))  # of zeros only
    layer.arrays["bias"][1] = 2.0
    with pytest.raises(Mismatch, match="is missing"):
        laid(model, of(layer))


def test_a_state_dict_of_the_models_own_making():
    class Net(nn.Conv2d):
        def state_dict(self, **kwargs):
            return {f"mine.{key}": value for key, value in super().state_dict(**kwargs).items()}

    with pytest.raises(CheckpointError, match="under 'mine', where it has no module"):
        laid(Net(1, 4, 3), of(conv("a", 1, 4)))


def test_buffers_are_kept_and_shared_modules_filled():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("window", torch.arange(3.0))
            self.conv = nn.Conv2d(1, 4, 3)
            self.again = self.conv

    state, notes = laid(Net(), of(conv("a", 1, 4)))
    assert state["window"].tolist() == [0, 1, 2]
    assert torch.equal(state["conv.weight"], state["again.weight"])
    assert any("buffers that such files do not have were kept" in note for note in notes)


def test_a_depthwise_kernel_is_no_convolution_of_one_channel():
    kernel = np.ones((3, 3, 4, 1))
    file = of(ForeignLayer("d", "depthwise", {"depthwise_kernel": kernel}, flattened=0))
    laid(nn.Conv2d(4, 4, 3, groups=4, bias=False), file)
    with pytest.raises(Mismatch, match="is missing"):
        laid(nn.Conv2d(1, 4, 3, bias=False), file)


def test_a_kernel_for_sequences_kept_as_one_for_maps():
    kernel = np.arange(24.0).reshape(1, 3, 2, 4)
    file = of(ForeignLayer("c", "conv", {"kernel": kernel}, flattened=0))
    state, _ = laid(nn.Conv1d(2, 4, 3, bias=False), file)
    assert torch.equal(state["weight"], torch.from_numpy(kernel[0].transpose(2, 1, 0)))


def test_halves_of_a_bfloat_and_bytes_in_another_order():
    kernel = np.arange(6.0).reshape(2, 3).astype(">f4")
    file = of(ForeignLayer("d", "dense", {"kernel": kernel, "bias": np.zeros(3, "f2")}))
    state, _ = laid(nn.Linear(2, 3), file)
    assert state["weight"].tolist() == kernel.T.tolist()
