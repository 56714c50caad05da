"""Stored statistics that are none: said of the norm that holds them, with what to do."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import varshift as vs
from varshift.errors import ModelError

STORED = {
    "NaN (running_var, 1 of": ("running_var", math.nan),
    "NaN (running_mean, 1 of": ("running_mean", math.nan),
    "infinity (running_var, 1 of": ("running_var", math.inf),
    "infinity (running_mean, 1 of": ("running_mean", -math.inf),
    "a variance below 0 (running_var, 1 of": ("running_var", -0.1),
}
VERBS = {
    "measure": vs.measure,
    "explain": vs.explain,
    "predict": vs.predict,
    "diagnose": vs.diagnose,
    "check": lambda model, data: vs.check(model, data=data),
    "check by an example": lambda model, data: vs.check(model, data[0]),
}


def lent(at: int, name: str, value: float):
    """A trained net of two norms, and what one of them has stored in its last channel."""
    torch.manual_seed(0)
    first = (nn.Linear(8, 16), nn.Dropout(0.3), nn.BatchNorm1d(16), nn.ReLU())
    net = nn.Sequential(*first, nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Linear(16, 2))
    data = list(torch.randn(8, 32, 8))
    for batch in data * 5:
        net(batch)
    getattr(net[at], name)[-1] = value
    return net, data


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("says", STORED)
@pytest.mark.parametrize("at", [2, 5])
def test_the_norm_is_named_wherever_evaluation_runs(verb, says, at):
    net, data = lent(at, *STORED[says])
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(ModelError) as raised:
        VERBS[verb](net, data)
    assert f"the norm '{at}' has stored {says}" in str(raised.value)
    assert "vs.recalibrate(model, data)" in str(raised.value)
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("says", STORED)
def test_taking_them_anew_helps_as_it_says(says):
    net, data = lent(2, *STORED[says])
    vs.recalibrate(net, data)
    assert vs.diagnose(net, data).verdict in ("none", "noise", "small-batch")
    with torch.no_grad():
        assert net.eval()(data[0]).isfinite().all()


class ByBatch(nn.Sequential):
    """Its last norm goes by the batch in evaluation too."""

    def eval(self):
        super().eval()
        self[5].train()
        return self


def test_what_evaluation_does_not_read_may_be_anything():
    net, data = lent(5, "running_var", math.nan)
    assert "5" in vs.explain(ByBatch(*net), data).skipped


def test_a_repair_says_why_the_loss_is_no_number():
    net, data = lent(2, "running_var", math.nan)
    held = [(x, (x[:, 0] > 0).long()) for x in torch.randn(4, 32, 8)]
    found = vs.repair(net, data, held_out=held)
    assert not found.accepted
    assert "'2' has stored NaN" in found.reason
