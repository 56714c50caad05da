"""Models without a line of their own, and modes beside torch's compiler."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine.trace import mode


def test_a_model_that_is_torchs_all_the_way_up_has_no_line():
    """Not even the line that calls the verb: that is where the model is used, not what it is."""
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 6), nn.BatchNorm1d(6))
    (source,) = vs.inspect(net, torch.randn(8, 6)).noises
    assert source.line is None
    assert (source.operation, source.drop_p) == ("dropout", 0.5)


def test_a_mode_stands_aside_once_the_compiler_is_there(monkeypatch):

    if not hasattr(mode.DispatchModeBase, "_should_skip_dynamo"):
        pytest.skip("this torch lets its compiler skip modes by itself")
    seen = []

    class Counts(mode.DispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            seen.append(operation)
            return operation(*args, **(kwargs or {}))

    ours = Counts.__torch_dispatch__
    for loaded in (False, True, True):
        monkeypatch.setattr(mode.compiler, "loaded", lambda loaded=loaded: loaded)
        seen.clear()
        with Counts():
            assert torch.ones(2).add(1).tolist() == [2, 2]
        assert seen
        assert (Counts.__torch_dispatch__ is ours) == (not loaded)
