"""Networks really trained on digits: the weights moved, the statistics remember some 19 batches."""

from __future__ import annotations

import pytest
import torch

from problems.rememberers import PLACES, Rememberer, trained
from varshift._footprint.estimating import footprint
from varshift._loading import load_images


@pytest.fixture(scope="module")
def digits():
    images = load_images("digits")
    return torch.cat([images.train, images.test]), torch.cat(
        [images.train_labels, images.test_labels]
    )


def checkpoint(digits, drop_p, placement):
    """A trained net from whose code dropout has gone."""
    net = trained(drop_p, placement, *digits)
    bare = Rememberer(0.0, "none")
    bare.load_state_dict(net.state_dict())
    return bare


def batches(digits):
    x = digits[0]
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    return x[order[:1792]].split(64)


@pytest.mark.parametrize("placement", ["a", "b"])
@pytest.mark.parametrize("drop_p", [0.1, 0.3, 0.5])
def test_place_and_rate_are_read_from_the_checkpoint(digits, drop_p, placement):
    net = checkpoint(digits, drop_p, placement)
    f = footprint(net, batches(digits), places=PLACES[placement])
    assert len(f.sites) == 3
    for site in f.sites.values():
        assert site.drop_p == pytest.approx(drop_p, abs=0.02)
        assert site.low < drop_p < site.high
        assert site.claimed
        assert site.p_value < 1e-4
    left_to_itself = footprint(net, batches(digits))
    for path in ("norm2", "norm3"):
        assert left_to_itself.sites[path].placement == placement
        assert left_to_itself.sites[path].drop_p == pytest.approx(drop_p, abs=0.02)


def test_the_twin_without_dropout_claims_none(digits):
    net = checkpoint(digits, 0.0, "none")
    for places in PLACES.values():
        f = footprint(net, batches(digits), places=places)
        assert f.claimed == ()
        assert all(site.low < 0 < site.high for site in f.sites.values())
        assert all(abs(site.drop_p) < 0.02 for site in f.sites.values())
    assert footprint(net, batches(digits)).claimed == ()


def test_a_wrong_place_shows_as_misfit(digits):
    net = checkpoint(digits, 0.3, "a")
    right = footprint(net, batches(digits), places=PLACES["a"])
    wrong = footprint(net, batches(digits), places=PLACES["b"])
    assert right.notes == ()
    assert all(site.misfit < 2 for site in right.sites.values())
    assert "norm2" in wrong.notes[0]
    assert "the channels agree on no single amount of noise" in wrong.notes[0]
    assert wrong["norm2"].misfit > 10
