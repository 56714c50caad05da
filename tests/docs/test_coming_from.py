"""What the page for those who come from elsewhere says of other libraries, by running them."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn
from torch.optim import swa_utils

import varshift as vs
from problems.libraries import library
from ranks.harness import on_ranks

# Two batches with means far apart, of as many samples.
_GENERATOR = torch.Generator().manual_seed(0)
BATCHES = [torch.randn(40, 3, generator=_GENERATOR).double() + mean for mean in (0, 5)]
WHOLE = torch.cat(BATCHES)
AVERAGED = torch.stack([batch.var(0) for batch in BATCHES]).mean(0)


def norm():
    return nn.BatchNorm1d(3).double()


def test_torch_averages_variances_draws_dropout_and_resets_frozen_norms():
    theirs, ours = nn.Sequential(norm()), nn.Sequential(norm())
    swa_utils.update_bn(BATCHES, theirs)
    vs.update_bn(BATCHES, ours)
    torch.testing.assert_close(theirs[0].running_var, AVERAGED)
    torch.testing.assert_close(ours[0].running_var, WHOLE.var(0))

    noisy = nn.Sequential(nn.Dropout(0.5), norm())
    noisy.eval()
    swa_utils.update_bn([WHOLE], noisy)
    assert not torch.allclose(noisy[1].running_var, WHOLE.var(0), rtol=0.1)

    for update, stays in ((swa_utils.update_bn, False), (vs.update_bn, True)):
        frozen = nn.Sequential(norm(), norm())
        frozen[0].eval()
        update(BATCHES, frozen)
        assert torch.equal(frozen[0].running_var, torch.ones(3).double()) is stays


def test_fvcore_merges_exactly_keeps_the_mode_and_asserts_the_number_of_batches():
    update_bn_stats = library("fvcore.nn.precise_bn").update_bn_stats
    model, ours = (nn.Sequential(norm(), nn.ReLU(), norm()) for _ in "12")
    update_bn_stats(model, BATCHES, 2)
    vs.recalibrate(ours, BATCHES)
    torch.testing.assert_close(model[0].running_var, WHOLE.var(0, unbiased=False))
    # The second norm got batches that the first had made alike, as evaluation does not.
    assert not torch.allclose(model[2].running_var, ours[2].running_var, rtol=0.1)
    with pytest.raises(AssertionError, match="meant to run for 3 iterations"):
        update_bn_stats(model, BATCHES, 3)
    noisy = nn.Sequential(nn.Dropout(0.5), norm())
    update_bn_stats(noisy, [WHOLE], 1)
    assert noisy[0].training
    assert not torch.allclose(noisy[1].running_var, WHOLE.var(0), rtol=0.1)


def distributed(rank, ranks, reduce):
    from timm.utils import distribute_bn

    model = nn.Sequential(norm())
    model[0].momentum = 1.0
    model(BATCHES[rank])
    distribute_bn(model, ranks, reduce)
    return model[0].running_var


def test_timm_averages_the_ranks_variances_or_takes_the_first_ranks():
    library("timm")
    for found in on_ranks(2, distributed, True):
        torch.testing.assert_close(found, AVERAGED)
    for found in on_ranks(2, distributed, False):
        torch.testing.assert_close(found, BATCHES[0].var(0))
    assert (WHOLE.var(0) > 3 * AVERAGED).all()  # what is between the means is not in it


@pytest.mark.filterwarnings("ignore::Warning")
def test_lightning_averages_buffers_unless_told_otherwise():
    callbacks = library("lightning.pytorch.callbacks")
    for callback in (callbacks.WeightAveraging, callbacks.EMAWeightAveraging):
        assert inspect.signature(callback).parameters["use_buffers"].default is True
