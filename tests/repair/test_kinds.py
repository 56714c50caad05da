"""What labels and outputs are taken for, and what is said of it; labels of every usual form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

import varshift as vs
from varshift._engine.batches import Batch
from varshift._repair.labels import labels_of
from varshift._repair.predictions import Reader

DRAWS = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(6, 4, generator=DRAWS)
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])
ONE_HOT = functional.one_hot(LABELS, 4)
YES = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 1.0])


def scored(out, *labels, **asked):
    reader = Reader.of(out, labels, **asked)
    return reader, reader.scored(reader.read(out), labels[0])


# Floating labels -------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{}, {"kind": "logits"}])
def test_one_hot_rows_are_classes(asked):
    expected = functional.cross_entropy(LOGITS, LABELS, reduction="none").double()
    for labels in (ONE_HOT.float(), ONE_HOT):
        reader, found = scored(LOGITS, labels, **asked)
        assert reader.kind == "logits"
        torch.testing.assert_close(found.loss, expected, rtol=1e-5, atol=1e-6)
        assert found.right.tolist() == (LOGITS.argmax(1) == LABELS).tolist()
        assert bool(reader.guessed) == (labels.is_floating_point() and not asked)
    reader, found = scored(LOGITS.softmax(1), ONE_HOT.float())
    assert reader.kind == "probabilities"
    torch.testing.assert_close(found.loss, expected, rtol=1e-4, atol=1e-5)


def test_smoothed_rows_are_shares():
    shares = 0.9 * ONE_HOT + 0.025
    expected = functional.cross_entropy(LOGITS, shares, reduction="none").double()
    reader, found = scored(LOGITS, shares)
    torch.testing.assert_close(found.loss, expected, rtol=1e-5, atol=1e-6)
    assert "rows sum to 1 were taken for shares of classes" in reader.guessed


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_zeros_and_ones_are_no_and_yes_and_that_is_said(shape):
    scores, labels = LOGITS[:, 0].reshape(shape), YES.reshape(shape)
    expected = functional.binary_cross_entropy_with_logits(scores, labels, reduction="none")
    reader, found = scored(scores, labels)
    assert reader.kind == "logits"
    assert "floating labels of 0 and 1 were taken for no and yes" in reader.guessed
    torch.testing.assert_close(found.loss, expected.flatten().double(), rtol=1e-5, atol=1e-6)
    assert Reader.of(scores.sigmoid(), [labels]).kind == "probabilities"
    assert scored(scores, labels, kind="logits")[0].guessed is None
    reader, found = scored(scores, labels, kind="values")
    torch.testing.assert_close(found.loss, (scores - labels).square().flatten().double())
    # All batches count, and only zeros are no yes and no.
    assert Reader.of(scores, [labels, labels + 0.5]).kind == "values"
    assert Reader.of(scores, [0 * labels]).kind == "values"


def test_chances_of_a_yes():
    labels = 0.8 * YES + 0.1
    _, found = scored(LOGITS[:, 0], labels, kind="logits")
    expected = functional.binary_cross_entropy_with_logits(LOGITS[:, 0], labels, reduction="none")
    torch.testing.assert_close(found.loss, expected.double(), rtol=1e-5, atol=1e-6)


def test_several_yes_or_no_labels_per_sample_are_asked_about():
    labels = (torch.rand(6, 4, generator=DRAWS) < 0.5).float()
    with pytest.raises(vs.DataError, match="several per sample: pass loss=lambda out, batch: bin"):
        Reader.of(LOGITS, [labels])
    with pytest.raises(vs.DataError, match="must be shares of classes and sum to 1; pass kind='v"):
        scored(LOGITS, labels.long())
    assert Reader.of(LOGITS, [labels], kind="values").kind == "values"
    own = Reader.of(LOGITS, [labels], loss=lambda out, batch: out.mean(1))
    assert own.guessed is None


# Dense predictions -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["whole", "floating", "with a channel"])
def test_one_score_per_pixel_is_two_classes_at_every_pixel(form):
    scores = 2 * torch.randn(3, 1, 5, 5, generator=DRAWS)
    mask = (torch.rand(3, 1, 5, 5, generator=DRAWS) < 0.4).float()
    labels = {"whole": mask[:, 0].long(), "floating": mask, "with a channel": mask.long()}[form]
    expected = functional.binary_cross_entropy_with_logits(scores, mask, reduction="none")
    expected = expected.flatten(1).mean(1).double()
    right = ((scores > 0) == (mask > 0)).flatten(1).double().mean(1)
    for out in (scores, scores.sigmoid()):
        reader, found = scored(out, labels)
        torch.testing.assert_close(found.loss, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.right, right)
        assert reader.read(out).shape == (3, 2, 5, 5)


def test_labels_that_are_to_be_ignored_are_left_out():
    labels = LABELS.clone()
    labels[[1, 4]] = -100
    _, found = scored(LOGITS, labels)
    kept = [0, 2, 3, 5]
    expected = functional.cross_entropy(LOGITS, LABELS, reduction="none").double()
    torch.testing.assert_close(found.loss, expected[kept], rtol=1e-5, atol=1e-6)
    assert found.right.tolist() == (LOGITS.argmax(1) == LABELS)[kept].tolist()
    dense = torch.randint(0, 4, (6, 3, 3), generator=DRAWS)
    dense[2] = -100
    assert len(scored(LOGITS[:, :, None, None].expand(-1, -1, 3, 3), dense)[1].loss) == 5


# Sentences -------------------------------------------------------------------------------------

WRONG = {
    "a mark of another library": (
        (LOGITS, torch.tensor([0, 1, 255, 3, 0, 1])),
        {},
        "labels from 0 to 255 do not fit 4 classes. Set those that are to be ignored to -100",
    ),
    "whole numbers to be predicted": (
        (LOGITS[:, :1], torch.tensor([3, 17, 40, 2, 5, 8])),
        {},
        "pass kind='values' if they are numbers to be predicted",
    ),
    "classes on the last dimension": (
        (torch.randn(6, 5, 4), torch.randint(0, 4, (6, 5))),
        {},
        r"lie on the last dimension: pass output=lambda out: ….movedim\(-1, 1\)",
    ),
    "numbers where classes were asked for": (
        (LOGITS, LABELS + 0.5),
        {"kind": "logits"},
        "floating labels from 0.5 to 3.5 are no classes; pass kind='values'",
    ),
    "another shape": (
        (LOGITS, torch.zeros(5, dtype=torch.long)),
        {},
        r"labels of shape \(5,\) do not fit predictions of shape \(6, 4\); pass loss=",
    ),
    "classes where numbers were asked for": (
        (LOGITS, LABELS),
        {"kind": "values"},
        "if they are classes, pass kind='logits'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_labels_that_do_not_fit_say_what_to_pass(case):
    (out, labels), asked, match = WRONG[case]
    with pytest.raises(vs.DataError, match=match):
        scored(out, labels, **asked)


def test_classes_on_the_last_dimension_work_once_moved():
    out, labels = torch.randn(6, 5, 4, generator=DRAWS), torch.randint(0, 4, (6, 5))
    _, found = scored(out, labels, output=lambda out: out.movedim(-1, 1))
    expected = functional.cross_entropy(out.movedim(-1, 1), labels, reduction="none").mean(1)
    torch.testing.assert_close(found.loss, expected.double(), rtol=1e-5, atol=1e-6)


def test_probabilities_that_are_none():
    with pytest.raises(vs.UsageError, match="first outputs\\), but the outputs range from"):
        Reader.of(LOGITS, kind="probabilities")
    with pytest.raises(vs.UsageError, match=r"sum to between .* over dimension 1; pass kind='val"):
        Reader.of(LOGITS.sigmoid(), kind="probabilities")
    assert Reader.of(LOGITS.softmax(1).half(), kind="probabilities").kind == "probabilities"
    # Scores that lay between 0 and 1 by chance are found out later, not clamped.
    reader = Reader.of(torch.tensor([0.2, 0.8]), [torch.tensor([0, 1])])
    assert reader.kind == "probabilities"
    with pytest.raises(vs.UsageError, match=r"range from -3 to 0\.5; pass kind='logits'"):
        reader.read(torch.tensor([-3.0, 0.5]))


@pytest.mark.parametrize("labels", [[0, 1, 2], (0.5, 1.5), np.array([0, 1]), [True, False]])
def test_labels_that_are_no_tensor(labels):
    for batch in ((LOGITS, labels), {"x": LOGITS, "y": labels}):
        with pytest.raises(vs.DataError, match=r"pass a tensor, as in torch\.tensor\(labels\)"):
            labels_of(batch)


def test_what_is_no_list_of_labels():
    for second in (3, "name", ["a", "b"], [], np.array("x"), {"boxes": LOGITS}, [LOGITS]):
        assert labels_of((LOGITS, second)) is None


def test_what_is_guessed_without_labels_is_said():
    assert "taken for scores of classes on dimension 1" in Reader.of(LOGITS).guessed
    assert "taken for numbers to be predicted" in Reader.of(LOGITS[:, :1]).guessed
    for asked in ({"kind": "logits"}, {"loss": lambda out, batch: out[:, 0]}):
        assert Reader.of(LOGITS, **asked).guessed is None
    assert Reader.of(LOGITS, [LABELS]).guessed is None


@pytest.mark.parametrize("loss", [lambda out, batch: out.mean()[None], lambda out, batch: 1.0])
def test_a_loss_of_ones_own_has_one_figure_per_sample(loss):
    reader, batch = Reader("logits", loss=loss), Batch(0, LOGITS, 6)
    with pytest.raises(vs.UsageError, match="for a batch of 6; it must give one loss per sample"):
        reader.against_labels(LOGITS, batch, None)
    fine = Reader("logits", loss=lambda out, batch: out[:, 0])
    assert len(fine.against_labels(LOGITS, batch, None).loss) == 6
    # Samples that the first dimension of the input does not count: graphs of several nodes.
    assert len(fine.against_labels(LOGITS[:2], batch, None).loss) == 2


# Numerics --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_widened_before_anything_is_squared_or_logged(dtype):
    sure = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=dtype)
    reader = Reader("probabilities")
    assert bool(torch.isfinite(reader.read(sure)).all())
    _, found = scored(sure, torch.tensor([1, 0]), kind="probabilities")
    assert found.loss.tolist() == pytest.approx([27.631, 27.631], abs=1e-3)
    large = torch.full((3, 2), 400.0, dtype=dtype)  # 400² is beyond float16
    values = Reader("values")
    assert values.scored(values.read(large), torch.zeros(3, 2)).loss.tolist() == [160000.0] * 3
    apart = values.divergence(values.read(large), values.read(-large))
    assert apart.tolist() == [640000.0] * 3


def test_masked_classes_leave_losses_and_gradients_finite():
    masked = LOGITS.clone()
    masked[:, 3] = -torch.inf
    reader = Reader("logits")
    target = reader.average([reader.read(masked), reader.read(masked + 0.1 * LOGITS)])
    free = masked.clone().requires_grad_()
    apart = reader.divergence(reader.read(2 * free), target)
    assert bool(torch.isfinite(apart).all())
    apart.sum().backward()
    assert bool(torch.isfinite(free.grad).all())
    labels = LABELS % 3
    for told in (labels, functional.one_hot(labels, 4).float()):
        assert bool(torch.isfinite(reader.scored(reader.read(masked), told).loss).all())
