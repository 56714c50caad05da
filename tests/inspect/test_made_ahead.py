"""What a kept mask tells of its law, and which kept numbers change nothing."""

from __future__ import annotations

import pytest
import torch

from varshift._engine.ahead import _does_nothing, law_of_values
from varshift._engine.trace.laws import UNKNOWN
from varshift._engine.trace.outside import Meets


@pytest.mark.parametrize(
    ("operation", "value", "nothing"),
    [
        *(("mul", 1.0, True), ("div_", 1.0, True), ("add_", 0.0, True), ("sub", 0.0, True)),
        *(("mul", 0.0, False), ("div", 2.0, False), ("add", 1.0, False), ("sub_", 1.0, False)),
        *(("mul", None, False), ("where", 0.5, True), ("where", None, False)),
    ],
)
def test_a_number_that_changes_nothing(operation, value, nothing):
    assert _does_nothing(Meets("layer", operation, None), value) is nothing


def mask(ones, of, scale):
    values = torch.zeros(of)
    values[:ones] = scale
    return values.reshape(2, -1)


@pytest.mark.parametrize("keep_p", [0.5, 0.8, 0.9])
def test_the_scale_of_a_mask_tells_its_rate(keep_p):
    for shown in (keep_p, keep_p + 0.03):  # as many as chance may leave of 200
        law = law_of_values(mask(round(200 * shown), 200, 1 / keep_p))
        assert (law.kind, law.second) == ("bernoulli", 0.0)
        assert law.first == pytest.approx(1 / keep_p)
        assert law.chance == pytest.approx(keep_p, rel=1e-5)


def test_without_a_scale_that_fits_its_zeros_do():
    assert law_of_values(mask(150, 200, 1.0)).chance == 0.75
    assert law_of_values(mask(150, 200, 0.5)).chance == 0.75  # a half is no 1/keep_p
    assert law_of_values(mask(190, 200, 2.0)).chance == 0.95  # too many for keep_p = 1/2


@pytest.mark.parametrize(
    "values",
    [torch.zeros(9), torch.ones(9), torch.tensor([0.0, 1.0, 2.0]), torch.empty(0), torch.rand(9)],
)
def test_what_is_no_mask_has_no_law(values):
    assert law_of_values(values) == UNKNOWN
