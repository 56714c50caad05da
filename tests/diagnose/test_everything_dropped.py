"""Dropout of rate 1 draws nothing, yet is why both modes differ: it is named, with what to do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs


@pytest.fixture
def shut():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Dropout(1.0), nn.Linear(16, 16), nn.BatchNorm1d(16)
    )
    data = [torch.randn(32, 8) for _ in range(8)]
    for batch in 12 * data:
        model(batch)
    return model, data


def test_the_reason_and_the_first_change_of_code_name_it(shut):
    model, data = shut
    found = vs.diagnose(model, data)
    assert found.verdict == "unattributed"
    assert "'2' has drop_p 1: nothing passes there in training" in found.explanation.reason
    steps = {step.kind: step for step in found.advice}
    assert steps["lower-rate"].sources == ("2",)
    assert steps["lower-rate"].line == "vs.replace(model, example, {'2': 0.5})"
    assert "find-draw" not in steps


def test_what_is_advised_lets_noise_through(shut):
    model, data = shut
    changed = vs.replace(model, data[0], {"2": 0.5})
    assert "Noise reached no norm, and reaches 1 norm now." in str(changed)
    assert vs.diagnose(model, data).verdict != "unattributed"
