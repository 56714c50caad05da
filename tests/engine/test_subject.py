"""What a model is called at the head of a report."""

from __future__ import annotations

import pytest
from torch import nn

from varshift._engine.subject import _short, subject_of


@pytest.mark.parametrize(
    ("count", "said"),
    [
        *((8, "8"), (9_999, "9,999"), (10_000, "10 k"), (12_345, "12.3 k"), (999_000, "999 k")),
        *((1_000_000, "1 M"), (25_557_032, "25.6 M"), (2_500_000_000, "2.5 G")),
    ],
)
def test_numbers_of_parameters_are_short(count, said):
    assert _short(count) == said


def test_a_parameter_that_is_shared_is_counted_once():
    layer = nn.Linear(3, 2)
    assert subject_of(nn.Sequential(layer, nn.Sequential(layer))) == (
        "Sequential, 8 parameters, float32 on cpu"
    )
    assert subject_of(nn.ReLU()) == "ReLU, without parameters"
    assert "float32 and float64 on cpu" in subject_of(
        nn.Sequential(layer, nn.Linear(2, 2).double())
    )
