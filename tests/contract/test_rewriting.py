"""`relocate` and `replace`: other noise before training, the state_dict's keys as they were."""

from __future__ import annotations

import pytest
from torch import nn

import varshift as vs
from contract.cases import NAMES, case

BY_HAND = ("functional", "mask")  # noise that is written in code


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*BY_HAND, "depth")])
def test_relocate_leaves_no_noise_before_a_norm(name):
    found = case(name)
    keys = list(found.model.state_dict())
    rewrite = vs.relocate(found.model, found.batches[0], **found.keywords)
    assert rewrite.clean
    assert rewrite.added
    assert rewrite.changes
    assert rewrite.before.routes
    assert list(found.model.state_dict()) == keys
    assert not vs.inspect(found.model, found.batches[0], **found.keywords).routes
    head = found.model.get_submodule(rewrite.added)
    assert isinstance(head.noise_before, nn.Dropout)


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_written_in_code_becomes_a_patch(name):
    found = case(name)
    rewrite = vs.relocate(found.model, found.batches[0])
    assert not rewrite.clean
    assert not rewrite.changes
    (patch,) = rewrite.patches
    assert patch.line.file.endswith("models.py")
    if name == "functional":
        assert "-        x = self.tap(self.linear(functional.dropout(x, 0.3" in rewrite.diff()
        assert patch.new == "        x = self.tap(self.linear(x))\n"
    else:
        assert patch.new is None
        assert patch.why


def test_replace_keeps_the_amount_or_takes_another():
    found = case("linear")
    rewrite = vs.replace(found.model, found.batches[0], "gaussian")
    (change,) = rewrite.changes
    assert isinstance(found.model[0], vs.nn.GaussianDropout)
    assert change.tau_after == pytest.approx(change.tau_before) == pytest.approx(3 / 7)
    vs.replace(found.model, found.batches[0], {"0": vs.nn.Uout(0.1)})
    assert found.model[0].beta == 0.1
    (noise,) = vs.inspect(found.model, found.batches[0]).noises
    assert noise.tau == pytest.approx(0.1**2 / 3)


def test_replace_within_a_bound():
    found = case("direct")
    rewrite = vs.replace(found.model, found.batches[0], 0.4, max_severity=1.25, data=found.batches)
    assert rewrite.severities["1"] <= 1.25 + 1e-6
    assert 0 < found.model[0].p < 0.4


def test_wrong_calls():
    found = case("linear")
    with pytest.raises(vs.UsageError, match="'9'"):
        vs.replace(found.model, found.batches[0], {"9": 0.1})
    with pytest.raises(vs.UsageError, match=r"drop_p is 1\.5"):
        vs.relocate(found.model, found.batches[0], drop_p=1.5)
    with pytest.raises(vs.UsageError, match="'nowhere'"):
        vs.relocate(found.model, found.batches[0], before="nowhere")
