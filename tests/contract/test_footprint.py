"""`footprint`: reads back the rate that the statistics were taken with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from contract.cases import case, settle


def remembering(name, drop_p):
    """The statistics are plain averages over 40 batches with this rate, which is then forgotten."""
    found = case(name, batches=40, rounds=0)
    norm = next(m for m in found.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
    norm.momentum = None
    found.model[0].p = drop_p
    settle(found, 1)
    found.model[0] = nn.Identity()
    return found


@pytest.mark.parametrize("drop_p", [0.1, 0.3, 0.5])
@pytest.mark.parametrize(("name", "placement"), [("direct", "a"), ("linear", "b"), ("conv", "b")])
def test_reads_back_a_known_rate(name, placement, drop_p):
    found = remembering(name, drop_p)
    site = vs.footprint(*found.lent, places=["1"]).sites["1" if name == "direct" else "2"]
    assert site.claimed
    assert site.placement == placement
    assert site.low < site.drop_p < site.high
    tau = drop_p / (1 - drop_p)
    assert abs(site.tau - tau) < 5 * site.tau_se
    assert site.tau_se < 0.2 * tau  # τ = drop_p would be 5 of these away at 0.5
    assert site.drop_p == pytest.approx(site.tau / (1 + site.tau))
    assert site.channels == site.used == 4


@pytest.mark.parametrize("name", ["direct", "linear", "conv"])
def test_no_noise_is_not_claimed(name):
    footprint = vs.footprint(*remembering(name, 0.0).lent, places=["1"])
    assert footprint.claimed == ()
    (site,) = footprint.sites.values()
    assert site.tau == pytest.approx(0, abs=1e-9)  # the very same batches were averaged


def test_what_cannot_be_judged_is_skipped_with_a_reason():
    model, batches = case("through").lent
    model.train()[1].eval()  # frozen
    footprint = vs.footprint(model, batches)
    assert set(footprint.sites) == {"4"}
    assert set(footprint.skipped) == {"1"}
    with pytest.raises(vs.UsageError, match="no norm site '1' was judged"):
        footprint["1"]


def test_too_few_batches_are_refused():
    found = case("linear")
    with pytest.raises(vs.DataError, match="data gave 3 batches"):
        vs.footprint(found.model, found.batches[:3])
    with pytest.raises(vs.UsageError, match="nowhere"):
        vs.footprint(*found.lent, places=["nowhere"])
    with pytest.raises(vs.ModelError, match="no BatchNorm"):
        vs.footprint(nn.Linear(6, 2).double(), [torch.randn(8, 6).double()] * 4)
