"""The noise layers: their arguments and conventions, as `torch.nn.Dropout` has them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import varshift as vs

ELEMENTWISE = [vs.nn.Uout, vs.nn.GaussianDropout]
CHANNELWISE = {
    1: (vs.nn.Uout1d, vs.nn.GaussianDropout1d),
    2: (vs.nn.Uout2d, vs.nn.GaussianDropout2d),
    3: (vs.nn.Uout3d, vs.nn.GaussianDropout3d),
}
NAMED = [kind for kinds in CHANNELWISE.values() for kind in kinds]


@pytest.mark.parametrize("make", ELEMENTWISE)
def test_torchs_conventions(make):
    x = torch.randn(5, 3)
    assert make(0.5).eval()(x) is x
    assert make(0.0).train()(x) is x
    y = x.clone()
    assert make(0.5, inplace=True).train()(y) is y
    assert not torch.equal(x, y)
    x.requires_grad_()
    noisy = make(0.5).train()(x)
    noisy.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), noisy.detach())


def test_evaluation_returns_its_input(layer):
    x = torch.randn(2, 3, 4, 4)
    assert layer.eval()(x) is x


def test_in_place_is_the_same_noise(layer, seeded):
    x = torch.randn(2, 3, 4, 4)
    noisy = seeded(x)
    assert not torch.equal(noisy, x)
    layer.inplace = True
    assert seeded(x) is x
    assert torch.equal(x, noisy)


def test_the_functional_twin_draws_the_same(layer, seeded):
    x = torch.randn(2, 3, 4, 4)
    noisy = seeded(x)
    torch.manual_seed(0)
    if isinstance(layer, vs.nn.Uout):
        twin = vs.nn.functional.uout(x, layer.beta, sharing=layer.sharing)
    else:
        twin = vs.nn.functional.gaussian_dropout(x, layer.sigma, sharing=layer.sharing)
    assert torch.equal(twin, noisy)


@pytest.mark.parametrize("make", [*ELEMENTWISE, *NAMED])
@pytest.mark.parametrize("rate", [-0.1, math.nan, math.inf, True, "0.1", None])
def test_a_wrong_rate_is_refused_when_the_layer_is_made(make, rate):
    with pytest.raises(vs.UsageError, match=f"(beta|sigma) is {rate!r}; pass a number"):
        make(rate)


def test_a_rate_set_later_is_refused_when_the_layer_is_called():
    layer = vs.nn.Uout(0.5)
    layer.beta = 1.5
    with pytest.raises(vs.UsageError, match=r"beta is 1\.5"):
        layer(torch.ones(2))


def test_uout_stops_at_one():
    with pytest.raises(vs.UsageError, match=r"beta is 1\.5; pass a number between 0 and 1"):
        vs.nn.Uout(1.5)
    assert float(vs.nn.functional.uout(torch.ones(1000), 1.0).min()) >= 0


@pytest.mark.parametrize("make", ELEMENTWISE)
def test_a_wrong_sharing_is_refused(make):
    with pytest.raises(vs.UsageError, match="sharing is 'batch'; pass one of element, channel"):
        make(0.5, sharing="batch")
    with pytest.raises(vs.UsageError, match="sharing is 'batch'"):
        vs.nn.functional.uout(torch.ones(2), sharing="batch")
    with pytest.raises(vs.UsageError, match="x has 1 dimensions; sharing channel needs at least 2"):
        make(0.5, sharing="channel")(torch.ones(3))
    with pytest.raises(vs.UsageError, match="x has 0 dimensions; sharing sample needs at least 1"):
        make(0.5, sharing="sample")(torch.tensor(1.0))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_what_is_not_floating_point_is_refused(layer, dtype):
    with pytest.raises(vs.UsageError, match=f"x is {dtype}; pass a floating-point tensor"):
        layer(torch.ones(2, 3, 4, 4, dtype=dtype))


def test_an_empty_batch_passes(layer):
    assert layer(torch.ones(0, 3, 4, 4)).shape == (0, 3, 4, 4)


def test_what_print_shows():
    assert str(vs.nn.Uout()) == "Uout(beta=0.1, inplace=False)"
    assert str(vs.nn.Uout(1)) == "Uout(beta=1.0, inplace=False)"
    assert str(vs.nn.GaussianDropout(0.5, True, "channel")) == (
        "GaussianDropout(sigma=0.5, inplace=True, sharing='channel')"
    )
    for make in NAMED:
        assert eval(f"vs.nn.{make(0.5)}").sharing == "channel"


@pytest.mark.parametrize("drop_p", [0.0, 0.1, 0.25])
@pytest.mark.parametrize("make", [*ELEMENTWISE, *NAMED])
def test_like_dropout_has_its_tau(make, drop_p):
    layer = make.like_dropout(drop_p, inplace=True)
    assert type(layer) is make
    assert layer.inplace
    assert layer.tau == pytest.approx(drop_p / (1 - drop_p), rel=1e-12)


def test_uout_cannot_be_like_more_dropout_than_a_quarter():
    with pytest.raises(vs.UsageError, match=r"drop_p is 0\.5 \(tau 1\), but Uout ends at .*0\.25"):
        vs.nn.Uout.like_dropout(0.5)
    assert vs.nn.GaussianDropout.like_dropout(0.5, sharing="sample").sharing == "sample"
    for make in ELEMENTWISE:
        for wrong in (1.0, -0.1, math.nan, False):
            with pytest.raises(vs.UsageError, match="drop_p is"):
                make.like_dropout(wrong)


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_channels_come_first_without_a_batch(spatial):
    for make in CHANNELWISE[spatial]:
        for lead in ((4, 3), (3,)):
            x = torch.ones(*lead, *(5,) * spatial)
            noisy = make(0.5)(x).flatten(len(lead))
            assert bool((noisy == noisy[..., :1]).all())
            assert len(noisy[..., 0].unique()) == math.prod(lead)
            y = x.clone()
            assert make(0.5, inplace=True)(y) is y
            assert make(0.5).eval()(x) is x
        for rank in {0, spatial, spatial + 3}:
            with pytest.raises(
                vs.UsageError, match=rf"x has {rank} dimensions; pass \(N, C, ...\)"
            ):
                make(0.5)(torch.ones((2,) * rank))
            with pytest.raises(vs.UsageError, match=f"x has {rank} dimensions"):
                make(0.5).eval()(torch.ones((2,) * rank))


def test_torch_reads_three_dimensions_otherwise():
    """The one difference; when torch changes as it announces, this test says so."""
    x = torch.ones(4, 3, 5)
    with pytest.warns(UserWarning, match="behavior will change in a future release"):
        theirs = nn.Dropout2d(0.5)(x)
    assert bool((theirs == theirs[:, :, :1]).all())
    ours = vs.nn.Uout2d(0.5)(x)
    assert len(ours.flatten(1)[:, 0].unique()) == len(ours.unique()) == 4
