"""Outputs of many forms, read as predictions and held against labels or references."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

import varshift as vs
from varshift._repair.labels import labels_of
from varshift._repair.predictions import Reader

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def test_every_form_of_the_same_scores_reads_alike():
    expected = LOGITS.log_softmax(1)
    for out in (
        LOGITS,
        LOGITS.log_softmax(1),
        (LOGITS, "auxiliary"),
        {"loss": torch.zeros(()), "logits": LOGITS},
        {"out": LOGITS, "aux": LOGITS + 1},
        SimpleNamespace(logits=LOGITS),
    ):
        reader = Reader.of(out, [LABELS])
        assert reader.kind == "logits"
        torch.testing.assert_close(reader.read(out), expected)
    chances = LOGITS.softmax(1)
    reader = Reader.of(chances)
    assert reader.kind == "probabilities"
    torch.testing.assert_close(reader.read(chances), expected)
    reader = Reader.of(LOGITS, output=lambda out: 2 * out)
    torch.testing.assert_close(reader.read(LOGITS), (2 * LOGITS).log_softmax(1))


def test_one_score_per_sample_is_two_classes():
    score, labels = torch.randn(5, 1), torch.tensor([0, 1, 1, 0, 1])
    reader = Reader.of(score, [labels])
    found = reader.scored(reader.read(score), labels)
    expected = functional.binary_cross_entropy_with_logits(
        score[:, 0], labels.float(), reduction="none"
    )
    torch.testing.assert_close(found.loss, expected.double(), rtol=1e-5, atol=1e-6)
    assert found.right.tolist() == [
        (s > 0) == bool(y) for s, y in zip(score[:, 0], labels, strict=True)
    ]
    assert Reader.of(score.sigmoid(), [labels]).kind == "probabilities"
    chance = Reader("probabilities").read(score.sigmoid())
    torch.testing.assert_close(chance, reader.read(score), rtol=1e-4, atol=1e-5)


def test_dense_labels_are_averaged_over_places_and_ignored_where_marked():
    scores, labels = torch.randn(3, 4, 5, 5), torch.randint(0, 4, (3, 5, 5))
    labels[:, 0] = -100
    reader = Reader.of(scores, [labels])
    found = reader.scored(reader.read(scores), labels)
    for index in range(3):
        expected = functional.cross_entropy(scores[index : index + 1], labels[index : index + 1])
        assert float(found.loss[index]) == pytest.approx(float(expected), rel=1e-5)
        right = (scores[index].argmax(0) == labels[index])[1:].float().mean()
        assert float(found.right[index]) == pytest.approx(float(right))


def test_values_are_squared_errors_whatever_trailing_one_there_is():
    values, labels = torch.randn(6, 1), torch.randn(6)
    reader = Reader.of(values, [labels])
    assert reader.kind == "values"
    expected = (values[:, 0].double() - labels.double()).square()
    torch.testing.assert_close(reader.scored(values, labels).loss, expected)
    with pytest.raises(vs.DataError, match=r"labels of shape \(6, 2\) do not fit"):
        reader.scored(values, torch.randn(6, 2))


@pytest.mark.parametrize(
    ("output", "labels"), [((6, 2, 5), (6, 5, 2)), ((6, 3, 4, 5), (6, 4, 5, 3)), ((6, 4), (4, 6))]
)
def test_values_in_another_order_are_no_labels(output, labels):
    # As many numbers: they used to be held against each other, one coordinate against another.
    reader = Reader.of(torch.randn(output), kind="values")
    with pytest.raises(vs.errors.DataError, match="in another order"):
        reader.scored(reader.read(torch.randn(output)), torch.randn(labels))


@pytest.mark.parametrize(
    ("output", "labels"),
    [((6, 10), (6, 5, 2)), ((6, 1, 4, 4), (6, 4, 4)), ((6, 2, 3, 4), (6, 6, 4)), ((6, 1), (1, 6))],
)
def test_values_whose_dimensions_are_taken_together_are(output, labels):
    found, told = torch.randn(output), torch.randn(labels)
    difference = found.flatten().double() - told.flatten().double()
    expected = difference.square().reshape(6, -1).mean(1)
    losses = Reader.of(found, kind="values").scored(found, told)
    torch.testing.assert_close(losses.loss, expected)


def test_divergence_is_kullback_and_leiblers_and_zero_at_home():
    reader = Reader("logits")
    one, other = LOGITS.log_softmax(1), (LOGITS + torch.randn(6, 4)).log_softmax(1)
    found = reader.divergence(other, one)
    expected = functional.kl_div(other, one, log_target=True, reduction="none").sum(1)
    torch.testing.assert_close(found, expected)
    assert bool((found > 0).all())
    assert float(reader.divergence(one, one).abs().max()) == 0
    dense = LOGITS.log_softmax(1)[:, :, None, None].expand(-1, -1, 2, 2)
    assert reader.divergence(dense, dense).shape == (6,)
    values = Reader("values")
    assert values.divergence(torch.zeros(4), torch.ones(4)).tolist() == [1.0] * 4


def test_averages_are_of_probabilities():
    reader, parts = Reader("logits"), [torch.randn(6, 4).log_softmax(1) for _ in range(5)]
    expected = torch.stack([part.exp() for part in parts]).mean(0).log()
    torch.testing.assert_close(reader.average(parts), expected)
    assert Reader("values").average([torch.zeros(3), torch.ones(3)]).tolist() == [0.5] * 3


def test_where_labels_are_looked_for():
    assert labels_of((LOGITS, LABELS)) is LABELS
    assert labels_of({"x": LOGITS, "labels": LABELS}) is LABELS
    assert labels_of(SimpleNamespace(y=LABELS)) is LABELS
    assert labels_of(LOGITS) is None
    assert labels_of((LOGITS,)) is None
    assert labels_of({"x": LOGITS}) is None
    assert labels_of((LOGITS, "names")) is None


def test_outputs_without_a_prediction():
    with pytest.raises(vs.ModelError, match="pass output=lambda out"):
        Reader.of({"losses": {"box": LOGITS}})
    with pytest.raises(vs.ModelError, match="pass output=lambda out"):
        Reader.of(LABELS)
