"""Blocks that an interrupt has left half entered are ended before anything else is put back."""

from __future__ import annotations

import contextlib
import sys
from contextlib import contextmanager

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine.borrow.suspended import close_suspended
from varshift._engine.tap import Tap

STACK = []


@contextmanager
def pushed(name):
    STACK.append(name)
    try:
        yield
    finally:
        STACK.remove(name)


def strike(frame, event, arg):
    """An interrupt between a block's `__exit__` and its generator."""
    code = frame.f_code
    if event == "call" and (code.co_filename, code.co_name) == (contextlib.__file__, "__exit__"):
        sys.setprofile(None)
        raise KeyboardInterrupt


def broken_off():
    with pushed("one"):
        sys.setprofile(strike)


def test_a_block_is_ended_while_the_traceback_is_still_held():
    with pytest.raises(KeyboardInterrupt) as caught:
        broken_off()
    assert STACK == ["one"]  # the traceback holds the block
    close_suspended(caught.value)
    assert STACK == []
    close_suspended(caught.value)


def test_errors_that_are_each_others_cause_are_gone_through_once():
    def forward(model, x):
        first, second = ValueError("first"), ValueError("second")
        first.__cause__, second.__cause__ = second, first
        raise first

    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    with pytest.raises(vs.ForwardError, match="first"):
        vs.measure(model, [torch.randn(8, 3)], forward=forward)
    assert not any(module._forward_hooks for module in model.modules())


class Slow(nn.Module):
    def __init__(self, event, name):
        super().__init__()
        self.where = event, name, "handle_torch_function"
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(3)

    def forward(self, x):
        sys.setprofile(self.strike)
        try:
            return self.norm(self.drop(x))
        finally:
            sys.setprofile(None)

    def strike(self, frame, event, arg):
        """Where torch has set the mode aside for a call, or is about to set it back."""
        caller = frame.f_back.f_code.co_name if frame.f_back is not None else ""
        if (event, frame.f_code.co_name, caller) == self.where:
            sys.setprofile(None)
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "where",
    [
        *(("call", "__enter__"), ("c_return", "__enter__"), ("return", "__enter__")),
        *(("call", "__exit__"), ("c_call", "__exit__"), ("return", "__exit__")),
    ],
)
@pytest.mark.parametrize("verb", ["measure", "recalibrate", "explain"])
def test_no_mode_comes_back_once_the_error_is_thrown_away(verb, where):
    before = torch._C._len_torch_function_stack()
    with pytest.raises(KeyboardInterrupt) as caught:
        getattr(vs, verb)(Slow(*where), [torch.randn(8, 3) for _ in range(3)])
    assert torch._C._len_torch_function_stack() == before
    del caught
    assert torch._C._len_torch_function_stack() == before


def test_a_tap_is_left_where_torch_does_not_show_its_stack(monkeypatch):
    monkeypatch.setattr("varshift._engine.tap.function_modes", lambda: None)
    before = torch._C._len_torch_function_stack()
    with Tap(nn.BatchNorm1d(3), lambda call: None):
        assert torch._C._len_torch_function_stack() == before + 1
    assert torch._C._len_torch_function_stack() == before
