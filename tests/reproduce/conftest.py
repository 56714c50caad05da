from __future__ import annotations

import pytest

from reproduce.small import DROPPED, few
from varshift.reproduce.training import train


@pytest.fixture(scope="session")
def digits():
    """128 images of 8×8 to train on, 64 to test."""
    return few()


@pytest.fixture(scope="session")
def trained(digits, tmp_path_factory):
    """A small network with Dropout-(a) 0.5 at the end of its training; nobody may change it."""
    return train(DROPPED, digits, tmp_path_factory.mktemp("trained") / "state.pt")
