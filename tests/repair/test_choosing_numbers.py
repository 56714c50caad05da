"""Numbers in a list or an array: labels, unless the model predicts from them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from varshift._engine import piece
from varshift._engine.session import session
from varshift._repair.choosing import Labels, choose
from varshift.judging import Judge

STATES = torch.randn(64, 6)
CLASSES = (STATES[:, 0] > 0).long()


def chosen(value, forward):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 2))
    with session(net, forward=forward) as run:
        whole = dataclasses.replace(run.example(value), samples=64)
        halves = [piece(whole, start, start + 32) or whole for start in (0, 32)]
        return choose(run, [run.example(half.value) for half in halves], Judge())


@pytest.mark.parametrize("form", [list, np.array])
def test_numbers_in_a_list_that_the_model_predicts_from(form):
    gains = [0.5 + 0.01 * index for index in range(64)]
    value = (STATES, form(gains), CLASSES)
    used = lambda model, batch: model(batch[0] * torch.tensor(gains_of(batch))[:, None])  # noqa: E731

    def gains_of(batch):
        return [float(gain) for gain in batch[1]]

    assert chosen(value, used) == Labels(2, 1, input=True)
    assert chosen(value, lambda model, batch: model(batch[0])).item == 1
    same = (STATES, form([1.0] * 64), CLASSES)  # in any order the same: nothing can be seen
    assert chosen(same, used).item == 1
