"""The rest of the house reads the layers: `inspect`, `predict` and `measure`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from varshift import theory


def test_inspect_reads_law_tau_and_sharing(layer):
    structure = vs.inspect(nn.Sequential(layer, nn.BatchNorm2d(3)), torch.randn(4, 3, 5, 5))
    (found,) = structure.noises
    assert found.module == type(layer).__name__
    assert found.law == ("uniform" if isinstance(layer, vs.nn.Uout) else "gaussian")
    assert found.tau == pytest.approx(layer.tau)
    assert found.sharing == layer.sharing
    assert structure.routes[0].placement == "a"


def test_inspect_reads_half_precision(layer):
    net = nn.Sequential(layer, nn.BatchNorm2d(3)).bfloat16()
    (found,) = vs.inspect(net, torch.randn(4, 3, 5, 5, dtype=torch.bfloat16)).noises
    assert (found.tau, found.sharing) == (pytest.approx(layer.tau), layer.sharing)


@pytest.mark.parametrize("sharing", ["element", "channel", "sample"])
def test_predict_reads_the_sharing(sharing):
    net = nn.Sequential(nn.Dropout(0.3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    data = [torch.randn(16, 3, 8, 8) + 1 for _ in range(2)]

    def shifts(noise):
        return vs.predict(net, data, noise={"*": noise}).sites["2"].shift

    layer = vs.nn.Uout(0.3, sharing=sharing)
    # `theory.uout(0.3)` keeps the source's own sharing, which is "element" here.
    assert shifts(layer) == pytest.approx(shifts(theory.uout(0.3, sharing)), rel=1e-9)
    gaussian = vs.nn.GaussianDropout(layer.tau**0.5, sharing=sharing)
    assert shifts(gaussian) == pytest.approx(shifts(layer), rel=1e-9)
    if sharing == "channel":
        assert shifts(vs.nn.Uout2d(0.3)) == shifts(layer)
        assert shifts(layer) != pytest.approx(shifts(vs.nn.Uout(0.3)), rel=1e-4)


def test_predict_reads_the_channel_forms_without_data():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout2d(0.3), nn.BatchNorm2d(3))
    x = torch.randn(4, 3, 5, 5)
    net(x)  # a network without statistics of its own is not predicted
    found = vs.predict(net, example=x, noise={"*": vs.nn.Uout2d(0.3)})
    expected = vs.predict(net, example=x, noise={"*": theory.uout(0.3, "channel")})
    assert found.asked == expected.asked == {"1": pytest.approx(0.03)}
    assert found.sites["2"].shift == expected.sites["2"].shift


def test_measure_finds_the_predicted_shift(layer):
    """Prediction integrates the noise out, measurement draws it."""
    net = nn.Sequential(layer, nn.BatchNorm2d(3, momentum=None))
    data = [torch.randn(64, 3, 5, 5) + 0.5 for _ in range(30)]
    predicted = vs.predict(net, data).sites["1"].shift
    assert predicted < 0.95
    measured = vs.measure(net, data).sites["1"]
    assert predicted == pytest.approx(measured.shift, abs=5 * measured.shift_se)
