"""The teacher reads what evaluation returns, or is refused: its average judges and teaches."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import varshift as vs
from problems.settling import settled


class Rooted(nn.Module):
    """Its one dropout is called in the root, so that noise comes only with the root's own mode."""

    def __init__(self, back):
        super().__init__()
        self.one, self.norm, self.two = nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)
        self.back = back

    def forward(self, x):
        x = functional.dropout(self.one(x), 0.5, self.training)
        return self.back(self, self.two(self.norm(x).relu()))


def made(back):
    torch.manual_seed(0)
    net = Rooted(back)
    with torch.no_grad():
        net.two.weight.mul_(8)
    return settled(net, torch.randn(512, 6).split(64), 4)


def data(labelled=False):
    draws = torch.Generator().manual_seed(1)
    x = torch.randn(640, 6, generator=draws)
    y = torch.randint(0, 3, (640,), generator=draws)
    return list(zip(x.split(32), y.split(32), strict=True)) if labelled else list(x.split(32))


def either(training, evaluation):
    return lambda net, y: training(y) if net.training else evaluation(y)


OTHER = {
    "scores in training, probabilities else": (
        either(lambda y: y, lambda y: y.softmax(1)),
        "in training the model returns scores, in evaluation probabilities",
    ),
    "probabilities in training, scores else": (
        either(lambda y: y.softmax(1), lambda y: y),
        "in training the model returns probabilities, in evaluation scores",
    ),
    "another order of a dict": (
        either(lambda y: {"aux": -y, "main": y}, lambda y: {"main": y, "aux": -y}),
        r"returns dict\(aux: a tensor of shape \(8, 3\), main: .* in evaluation dict\(main: ",
    ),
    "another shape": (
        either(lambda y: y[:, :2], lambda y: y),
        r"in training the model returns a tensor of shape \(8, 2\), in evaluation a tensor",
    ),
    "something else of the same form": (
        either(lambda y: (-y, y), lambda y: (y, -y)),
        "predict otherwise than evaluation does",
    ),
    "nothing that is a prediction": (
        either(lambda y: {"losses": {"all": y}}, lambda y: y),
        "in training the model returns dict",
    ),
}


@pytest.mark.parametrize("case", OTHER)
def test_without_labels_another_output_in_training_is_refused(case):
    back, match = OTHER[case]
    net = made(back)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(vs.ModelError, match=rf"{match}[\s\S]*pass output=lambda out"):
        vs.repair(net, data())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("case", list(OTHER)[:4])
def test_with_labels_only_what_is_taught_fails(case):
    r = vs.repair(made(OTHER[case][0]), data(labelled=True))
    assert r["distill"].score is None
    assert "pass output=lambda out" in r["distill"].reason
    assert r["recalibrate"].score is not None
    assert r.reference is None


def test_with_labels_a_doubt_is_a_note():
    r = vs.repair(made(OTHER["something else of the same form"][0]), data(labelled=True))
    assert r["distill"].score is not None
    assert any("predict otherwise than evaluation does" in note for note in r.notes)
    r = vs.repair(made(either(lambda y: y, lambda y: y)), data(labelled=True))
    assert not any("otherwise than evaluation" in note for note in r.notes)


@pytest.mark.parametrize(
    "back",
    [
        either(lambda y: (y, "auxiliary"), lambda y: y),
        either(lambda y: {"logits": y, "loss": y.sum()}, lambda y: {"logits": y}),
        either(lambda y: y, lambda y: y.log_softmax(1)),
    ],
)
def test_the_same_predictions_in_another_wrapping_are_taken(back):
    r = vs.repair(made(back), data())
    assert r["distill"].score is not None


def test_output_may_say_where_the_same_predictions_are():
    back = OTHER["another order of a dict"][0]
    r = vs.repair(made(back), data(), output=lambda out: out["main"])
    assert r["distill"].score is not None
