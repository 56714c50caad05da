"""Where a prediction is found in what a model returns, and labels that are nearly shares."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from varshift._repair.choosing import Labels
from varshift._repair.losses import cross_entropy
from varshift._repair.predictions import Reader, prediction_of
from varshift._repair.scoring import Scorer
from varshift.errors import DataError, ModelError

X, Y = torch.randn(4, 2), torch.randn(4)


@pytest.mark.parametrize(
    ("out", "found"),
    [
        (X, X),
        ((X, Y), X),
        ([[Y], X], Y),
        ({"loss": torch.tensor(1.0), "logits": X}, X),
        ({"loss": torch.tensor(1.0), "hidden": Y, "other": X}, Y),
        (SimpleNamespace(logits=X), X),
    ],
)
def test_the_prediction_is_found(out, found):
    assert prediction_of(out, None) is found


@pytest.mark.parametrize(
    "out", [(), [], {}, None, torch.tensor(1.0), X.long(), "text", {"loss": torch.tensor(1.0)}]
)
def test_where_there_is_none_it_is_asked_for(out):
    match = rf"no prediction found in what the model returned \(a {type(out).__name__}\)"
    with pytest.raises(ModelError, match=match):
        prediction_of(out, None)


def test_readers_that_read_alike_are_equal_whatever_was_guessed():
    assert Reader("values", guessed="taken for numbers") == Reader("values")
    assert Reader("values") != Reader("logits")


def test_shares_may_miss_one_by_a_hundredth():
    prediction = torch.randn(3, 2).log_softmax(1)
    cross_entropy(prediction, torch.tensor([[0.5, 0.505], [0.2, 0.8], [0.3, 0.695]]))
    for sums in (0.98, 1.02):
        with pytest.raises(DataError, match="must be shares of classes and sum to 1"):
            cross_entropy(prediction, torch.full((3, 2), sums / 2))


def test_what_a_model_is_held_against_has_a_name():
    labelled = Scorer(Reader("values"), True, Labels(1))
    without = Scorer(Reader("values"), False, Labels(None))
    assert (labelled.by, labelled.measure) == ("labels", "loss")
    assert without.by == "noise-averaged prediction"
    assert without.measure == "divergence from the noise-averaged prediction"
