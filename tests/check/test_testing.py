from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from problems.noisy_nets import Mlp
from varshift.testing import assert_no_variance_shift


def test_the_message_lists_what_was_found():
    with pytest.raises(AssertionError) as told:
        assert_no_variance_shift(Mlp(), torch.randn(256, 8))
    said = str(told.value)
    assert said.startswith("3 above severity 1.1:\n")
    assert "VS102 dropout 'body.3' (drop_p 0.5) reaches the norm 'body.5' through Linear" in said
    assert "noisy_nets.py:" in said
    assert "varshift.relocate" in said
    assert "note: no norm has been trained" in said


def test_it_passes_what_is_clean_or_allowed():
    assert vs.assert_no_variance_shift is assert_no_variance_shift
    assert vs.testing.assert_no_variance_shift is assert_no_variance_shift
    net = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    found = assert_no_variance_shift(net, torch.randn(64, 8))
    assert (found.norms, found.sources) == (1, 1)
    assert_no_variance_shift(Mlp(), torch.randn(256, 8), max_severity=100.0)
    assert_no_variance_shift(Mlp(), torch.randn(256, 8), ignore=["VS1"])
    with pytest.raises(AssertionError, match="VS102"):
        assert_no_variance_shift(Mlp(), data=[torch.randn(256, 8)] * 2)
