"""Tests here change the process on purpose, some without a loan: the next test finds it as it was.

Without this, whatever runs after them in the same process computes with their autocast and hooks.
"""

from __future__ import annotations

import pytest

from varshift._engine.borrow.process import process_state, set_process_state


@pytest.fixture(autouse=True)
def process_comes_back():
    state = process_state()
    yield
    set_process_state(state)
