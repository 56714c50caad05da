"""Inference mode is left by guards that are closed again; a fork waits for no thread."""

from __future__ import annotations

import os
import threading
import warnings

import pytest
import torch

from faults.features import FEATURES
from varshift._engine.borrow import process as parts
from varshift._engine.borrow import turns
from varshift._engine.borrow.model import borrowed
from varshift._engine.borrow.process import process_state, set_process_state


def test_inference_mode_is_left_and_entered_by_guards_that_are_all_closed():

    assert parts._guards.open == []
    with torch.inference_mode():
        inside = process_state()
        for _ in range(3):  # within each other, as verbs that call verbs
            parts.leave_inference_mode()
            assert not torch.is_inference_mode_enabled()
            assert len(parts._guards.open) == 1
            set_process_state(inside)
            assert torch.is_inference_mode_enabled()
            assert parts._guards.open == []
        parts.leave_inference_mode()
        parts._set_inference(True)
        assert parts._guards.open == []
    assert not torch.is_inference_mode_enabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_waits_for_nobody():
    """The other threads are not there any more, and would never end their turns."""

    entered, leave = threading.Event(), threading.Event()

    def second():
        with borrowed(FEATURES["counter"]()):
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=second)
    thread.start()
    assert entered.wait(60)
    try:
        assert turns._IN_TURN
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads, from 3.12
            child = os.fork()
        if child == 0:
            os._exit(int(bool(turns._IN_TURN or turns._IN_USE)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert turns._IN_TURN
    finally:
        leave.set()
        thread.join()
