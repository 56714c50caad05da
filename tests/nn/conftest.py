"""Every layer in every form, on loan to each test."""

from __future__ import annotations

import copy

import pytest
import torch

import varshift as vs

FORMS = {
    "uout": vs.nn.Uout(0.6),
    "uout, channel": vs.nn.Uout(0.6, sharing="channel"),
    "uout, sample": vs.nn.Uout(0.6, sharing="sample"),
    "uout2d": vs.nn.Uout2d(0.6),
    "gaussian": vs.nn.GaussianDropout(0.5),
    "gaussian, channel": vs.nn.GaussianDropout(0.5, sharing="channel"),
    "gaussian, sample": vs.nn.GaussianDropout(0.5, sharing="sample"),
    "gaussian2d": vs.nn.GaussianDropout2d(0.5),
}


@pytest.fixture(params=FORMS)
def layer(request):
    torch.manual_seed(0)
    return copy.deepcopy(FORMS[request.param]).train()


@pytest.fixture
def seeded(layer):
    """The layer as a function that draws the same each time."""

    def call(x):
        torch.manual_seed(0)
        return layer(x)

    return call
