"""Checkpoints in the layouts that people write: found by what fits the model."""

from __future__ import annotations

from argparse import Namespace
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from varshift._loading import is_checkpoint, load_checkpoint
from varshift.errors import CheckpointError


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width))
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def weights(value):
    """A state whose every value is `value`, so that what was taken can be told."""
    return OrderedDict(
        (name, torch.full_like(held, value)) for name, held in Net().state_dict().items()
    )


def prefixed(prefix, state):
    return {prefix + name: held for name, held in state.items()}


def parameters(state):
    return {name: held for name, held in state.items() if name in dict(Net().named_parameters())}


RAW, EMA = weights(1), weights(2)
OPTIMIZER = {
    "state": {0: {"exp_avg": torch.ones(4, 3, 3, 3)}},
    "param_groups": [{"lr": 0.1, "params": [0]}],
}

LAYOUTS = {
    "plain": (RAW, 1, []),
    "net": ({"net": RAW, "acc": 91.2, "epoch": 3}, 1, ["weights taken from 'net'"]),
    "model_state": ({"model_state": RAW, "optimizer_state": OPTIMIZER}, 1, ["from 'model_state'"]),
    "model_state_dict": (
        {"model_state_dict": RAW, "optimizer": OPTIMIZER},
        1,
        ["'model_state_dict'"],
    ),
    "a name nobody uses": ({"weights of Tuesday": RAW}, 1, ["from 'weights of Tuesday'"]),
    "ema within": ({"ema": {"shadow": EMA, "decay": 0.999}}, 2, ["from 'ema.shadow'"]),
    "ema in a flat key": ({"ema.shadow": EMA, "step": 7}, 2, ["from 'ema.shadow'"]),
    "timm": (
        {"state_dict": RAW, "state_dict_ema": EMA, "arch": "net"},
        1,
        ["'state_dict' of", "also holds 'state_dict_ema'"],
    ),
    "ema first": ({"model_ema": EMA, "model": RAW}, 1, ["from 'model'", "#model_ema takes it"]),
    "ema of parameters alone": (
        {"ema": {"shadow": parameters(EMA)}, "model": RAW},
        1,
        ["from 'model'"],
    ),
    "raw without buffers": ({"model": parameters(RAW), "model_ema": EMA}, 2, ["from 'model_ema'"]),
    "data parallel": (prefixed("module.", RAW), 1, ["prefix 'module.' taken off"]),
    "backbone": (prefixed("backbone.", RAW), 1, ["prefix 'backbone.' taken off"]),
    "net.": (prefixed("net.", RAW), 1, ["prefix 'net.' taken off"]),
    "compiled": (prefixed("_orig_mod.", RAW), 1, ["'_orig_mod.' taken out"]),
    "compiled in parallel": (
        {"model": prefixed("module._orig_mod.", RAW)},
        1,
        ["from 'model'", "prefix 'module.'", "'_orig_mod.'"],
    ),
    "compiled in part": (
        {n.replace("body.", "body._orig_mod."): v for n, v in RAW.items()},
        1,
        ["'_orig_mod.' taken out"],
    ),
    "lightning": (
        {
            "epoch": 1,
            "state_dict": prefixed("model.", RAW) | {"criterion.weight": torch.ones(2)},
            "optimizer_states": [OPTIMIZER],
            "hyper_parameters": {"width": 4},
        },
        1,
        ["from 'state_dict'", "prefix 'model.'", "1 key of the checkpoint without the prefix"],
    ),
    "averaged model": (
        {"n_averaged": torch.tensor(3), **prefixed("module.", RAW)},
        1,
        ["prefix 'module.'", "'n_averaged'"],
    ),
    "ema_pytorch": (
        {
            "initted": torch.tensor(True),
            **prefixed("online_model.", RAW),
            **prefixed("ema_model.", EMA),
        },
        1,
        ["prefix 'online_model.'", "10 keys", "#ema_model takes it"],
    ),
    "nested": (
        {"checkpoint": {"model": {"state_dict": prefixed("module.", RAW)}}},
        1,
        ["from 'checkpoint.model.state_dict'", "prefix"],
    ),
    "in a list": ([RAW, OPTIMIZER], 1, ["from '0'"]),
    "by parts": (
        {
            "body": prefixed("", {n[5:]: v for n, v in RAW.items() if n.startswith("body.")}),
            "head": {n[5:]: v for n, v in RAW.items() if n.startswith("head.")},
            "epoch": 3,
        },
        1,
        ["joined from 'body', 'head'"],
    ),
    "of two networks": (
        {"generator": {"a": torch.ones(3), "head.weight": torch.ones(5, 5)}, "critic": RAW},
        1,
        ["from 'critic'"],
    ),
    "twice the same": ({"last": RAW, "model": OrderedDict(RAW)}, 1, ["from 'last'"]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_fits_is_found_and_said(layout, tmp_path):
    held, value, said = LAYOUTS[layout]
    torch.save(held, tmp_path / "net.ckpt")
    model = Net()
    notes = load_checkpoint(model, tmp_path / "net.ckpt")
    assert all((each == value).all() for each in model.state_dict().values())
    for fragment in said:
        assert any(fragment in note for note in notes), notes
    assert bool(notes) == bool(said)


@pytest.mark.parametrize(
    ("key", "value"),
    [("state_dict", 1), ("state_dict_ema", 2), ("deep", 3), ("deep.inner", 3)],
)
def test_a_key_chooses(key, value, tmp_path):
    held = {"state_dict": RAW, "state_dict_ema": EMA, "deep": {"inner": prefixed("m.", weights(3))}}
    torch.save(held, tmp_path / "net.pt")
    place = f"{tmp_path / 'net.pt'}#{key}"
    assert is_checkpoint(place)
    model = Net()
    notes = load_checkpoint(model, place)
    assert (model.head.bias == value).all()
    assert not any("also holds" in note for note in notes)


def test_a_file_whose_name_has_the_sign(tmp_path):
    torch.save(RAW, tmp_path / "net#1.pt")
    model = Net()
    assert load_checkpoint(model, tmp_path / "net#1.pt") == ()
    assert (model.head.bias == 1).all()


def refused(held, folder, match, key=""):
    torch.save(held, folder / "net.pt")
    model = Net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=match):
        load_checkpoint(model, f"{folder / 'net.pt'}{key}")
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_two_that_have_the_same_right_are_not_chosen_from(tmp_path):
    held = {"student": RAW, "teacher": EMA}
    refused(
        held, tmp_path, r"2 sets of weights that fit the model: 'student', 'teacher'. Say which"
    )
    torch.save(held, tmp_path / "net.pt")
    model = Net()
    load_checkpoint(model, f"{tmp_path / 'net.pt'}#teacher")
    assert (model.head.bias == 2).all()
    refused({**prefixed("q.", RAW), **prefixed("k.", EMA)}, tmp_path, "'q', 'k'. Say which .*#q$")


def test_what_the_file_holds_and_what_the_model_wants(tmp_path):
    wants = r"the model wants 9 tensors, first 'body.0.weight' \(4, 3, 3, 3\)"
    refused(
        {"epoch": 3, "lr": 0.1},
        tmp_path,
        rf"no tensors with names \(it holds 'epoch', 'lr'\); {wants}",
    )
    refused(
        {"ema": {"shadow_params": [torch.ones(2)]}}, tmp_path, f"no tensors with names.*{wants}"
    )
    other = {"features.0.weight": torch.ones(64, 3), "features.0.bias": torch.ones(64)}
    match = rf"it holds 2 tensors at 'net', first 'features.0.weight' \(64, 3\); {wants}"
    refused({"net": other}, tmp_path, match)
    refused(
        {"net": RAW}, tmp_path, "no weights of the model under 'model', but under 'net'$", "#model"
    )


def test_what_almost_fits_is_told_where_it_stands(tmp_path):
    wide = prefixed("module.", Net(8).state_dict())
    match = (
        r"at 'net', does not fit the model: 7 shapes are different \(first 'body.0.weight' is \(8"
    )
    refused({"net": wide}, tmp_path, match)
    missing = {name: value for name, value in RAW.items() if name != "head.bias"}
    refused({"net": missing | {"extra": torch.ones(1)}}, tmp_path, "1 key is missing.*unexpected")


@pytest.mark.skipif(not hasattr(torch.serialization, "safe_globals"), reason="before torch 2.5")
def test_settings_beside_the_weights(tmp_path):
    args = Namespace(lr=0.1, milestones=[30, 60])
    best = {"acc": np.float64(0.91), "epoch": np.int64(7), "loss": np.float32(0.3)}
    torch.save({"model": RAW, "args": args, **best}, tmp_path / "net.pth")
    model = Net()
    assert load_checkpoint(model, tmp_path / "net.pth") == (
        "weights taken from 'model' of the checkpoint",
    )


def test_a_file_that_lightning_writes(tmp_path):
    lightning = pytest.importorskip("lightning", reason="no lightning; '.[lightning]'")

    class Trained(lightning.LightningModule):
        def __init__(self, classes=2):
            super().__init__()
            self.save_hyperparameters()
            self.model = Net()
            self.loss = nn.CrossEntropyLoss(weight=torch.ones(classes))

    trainer = lightning.Trainer(logger=False, accelerator="cpu", barebones=True)
    trainer.strategy.connect(made := Trained())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    model = Net()
    notes = load_checkpoint(model, tmp_path / "last.ckpt")
    assert torch.equal(model.head.weight, made.model.head.weight)
    assert notes[0] == "weights taken from 'state_dict' of the checkpoint"
    assert "1 key of the checkpoint without the prefix 'model.'" in notes[2]


def test_a_file_that_holds_itself_ends(tmp_path):
    held = {"net": RAW}
    held["again"] = held
    torch.save(held, tmp_path / "net.pt")
    model = Net()
    load_checkpoint(model, tmp_path / "net.pt")
    assert (model.head.bias == 1).all()


def test_a_compiled_model_takes_plain_weights(tmp_path):
    torch.save({"model": prefixed("module.", RAW)}, tmp_path / "net.pt")
    model = torch.compile(Net())
    load_checkpoint(model, tmp_path / "net.pt")
    assert (model.head.bias == 1).all()
