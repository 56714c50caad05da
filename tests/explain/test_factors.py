"""The factors multiply to the total exactly, and each is the estimator it says it is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import varshift as vs
from problems.noisy_nets import ByHand, Conv, Mlp
from problems.settling import settled

NETS = {
    "mlp": lambda: (Mlp(), [torch.randn(64, 8) for _ in range(12)]),
    "conv": lambda: (Conv(), [torch.randn(32, 3, 12, 12) for _ in range(6)]),
    "by hand": lambda: (ByHand(), [torch.randn(64, 6) for _ in range(12)]),
    "ragged": lambda: (Mlp(), [torch.randn(n, 8) for n in (64, 17, 5, 40, 64)]),
    "one batch": lambda: (Mlp(), [torch.randn(128, 8)]),
}


@pytest.mark.parametrize("name", NETS)
def test_factors_multiply_to_the_total(name):
    net, data = NETS[name]()
    settled(net, data, 3)
    shape = data[0].shape
    x = vs.explain(net, data, test_data=[1.2 * torch.randn(shape) + 0.1 for _ in range(4)])
    assert x.factors
    for site in x.factors.values():
        total, noise = site.total.value, site.noise.value
        assert noise * site.staleness.value * site.data.value == pytest.approx(total, rel=1e-10)
        fine = site.alone.value * site.batches.value * site.carried.value
        assert fine == pytest.approx(noise, rel=1e-10)
        assert site.composition.value * site.age.value == pytest.approx(
            site.staleness.value, rel=1e-10
        )
        c = site.channels
        product = c["noise"] * c["staleness"] * c["data"]
        torch.testing.assert_close(product[site.live], c["total"][site.live], rtol=1e-10, atol=0)


def test_estimators_are_those_of_measure():
    """Without noise both verbs see the same numbers, so the factors must equal their ratios."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8))
    net = nn.Sequential(net, nn.BatchNorm1d(8, momentum=0.03))
    data = [torch.randn(40, 8) + i % 3 for i in range(9)]
    settled(net, data, 1)
    test = [0.7 * torch.randn(50, 8) for _ in range(5)]
    m, x = vs.measure(net, data), vs.explain(net, data, test_data=test)
    other = vs.measure(net, test)
    for path, site in m.sites.items():
        c = x.factors[path].channels
        torch.testing.assert_close(c["noise"], site.test.var / site.train.var)
        torch.testing.assert_close(c["staleness"], site.train.var / site.stored.var)
        torch.testing.assert_close(c["data"], other[path].test.var / site.test.var)
        torch.testing.assert_close(c["age"], site.train.within / site.stored.var)
        torch.testing.assert_close(c["composition"], site.train.var / site.train.within)


def test_what_differs_between_batches_is_composition():
    """Class-sorted batches: stored statistics have never seen the spread between classes."""
    net = nn.Sequential(nn.BatchNorm1d(3, momentum=None))
    data = [torch.randn(256, 3) + 3 * (i % 4) for i in range(8)]
    settled(net, data, 1)
    x = vs.explain(net, data)
    site = x.factors["0"]
    # within: 1; between the four class means 0, 3, 6, 9: 11.25
    assert site.composition.value == pytest.approx(12.25, rel=0.05)
    assert site.age.value == pytest.approx(1, rel=1e-5)
    assert x.verdict == "small-batch"


def test_direct_noise_has_the_share_that_theory_gives_it():
    drop_p, mean = 0.3, 0.7
    net = nn.Sequential(nn.Dropout(drop_p), nn.BatchNorm1d(5, momentum=None))
    data = [torch.randn(512, 5) + mean for _ in range(16)]
    settled(net, data, 3)
    x = vs.explain(net, data)
    tau = drop_p / (1 - drop_p)
    share = tau * (mean**2 + 1) / (1 + tau * (mean**2 + 1))
    got = x.blame.at("0", "1")
    assert got.value == pytest.approx(share, abs=4 * got.se)
    assert got.se < 0.02
    assert x.factors["1"].alone.value == pytest.approx(1 - share, abs=0.02)
    assert x.verdict == "noise"
    assert "'0'" in x.reason


def test_errors_cover_the_truth():
    """The standard error of the noise factor against its spread over 60 independent repetitions."""
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 4), nn.BatchNorm1d(4))
    seen = []
    for _ in range(60):
        data = [torch.randn(64, 6) for _ in range(8)]
        seen.append(vs.explain(net, data).factors["2"].noise)
    values = torch.tensor([figure.value for figure in seen])
    claimed = torch.tensor([figure.se for figure in seen]).square().mean().sqrt()
    # 60 values know their own deviation to 9 %, and the jackknife over 16 groups adds as much.
    assert float(claimed / values.std()) == pytest.approx(1, abs=0.35)


def test_a_model_without_norms_is_explained_at_its_outputs():
    """Dropout → ReLU → Linear in regression: noise moves the mean of the prediction."""
    net = nn.Sequential(nn.Linear(6, 64), nn.Dropout(0.5), nn.ReLU(), nn.Linear(64, 2))
    net = nn.Sequential(nn.Linear(6, 64), nn.Dropout(0.5), nn.Linear(64, 64), nn.ReLU(), net[3])
    data = [torch.randn(256, 6) for _ in range(16)]
    x = vs.explain(net, data)
    out = x.outputs["output"]
    with torch.no_grad():
        on = torch.cat([net.train()(b) for _ in range(8) for b in data]).double()
        off = torch.cat([net.eval()(b) for b in data]).double()
    error = on.std(0) / len(on) ** 0.5
    assert ((out.mean_off - off.mean(0)).abs() < 1e-5).all()
    gap = (out.mean_on - on.mean(0)).abs()
    assert (gap < 5 * (error + out.mean_se)).all()
    assert ((out.var_on / on.var(0)).log().abs() < 0.15).all()
    moved = (on.mean(0) - off.mean(0)).abs() / error
    assert float(moved.max()) > 5  # there is something to find
    assert x.factors == {}
    assert x.blame["1", "output"] > 0.1
    assert x.blame.mean_shift["1", "output"].value > 0


def test_a_clean_model_gets_no_verdict_and_exact_ones():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=None), nn.Dropout(0.5))
    data = [torch.randn(128, 4) for _ in range(8)]
    settled(net, data, 1)
    x = vs.explain(net, data)
    assert x.verdict == "none"
    site = x.factors["1"]
    assert site.alone == vs.Figure(1.0, 0.0)
    assert site.data == vs.Figure(1.0, 0.0)
    assert x.blame["2", "1"] == 0.0
    assert x.blame.at("2", "output").value > 0.2  # noise after the last norm reaches the output
    assert any("test_data" in note for note in x.notes)


def test_figures_are_numbers_with_errors():
    import copy
    import pickle

    figure = vs.Figure(0.5, 0.01)
    assert figure * 2 == 1.0
    assert f"{figure:.2f}" == "0.50"
    for again in (copy.deepcopy(figure), pickle.loads(pickle.dumps(figure))):
        assert (again, again.se) == (0.5, 0.01)
    net, data = NETS["mlp"]()
    site = vs.explain(net, data).factors["body.5"]
    assert site.noise * site.staleness * site.data == pytest.approx(site.total, rel=1e-10)


def test_json_holds_nothing_that_json_cannot():
    import json

    net, data = NETS["one batch"]()
    x = vs.explain(net, data)
    text = json.dumps(x.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert back["schema"] == "varshift.explanation/1"
    assert {"noises", "norms", "routes", "factors", "blame", "verdict"} <= back.keys()
    assert len(x.rows()) == len(x.factors)
    assert all(math.isfinite(row["total"]) for row in x.rows())


def test_few_samples_are_as_noisy_as_many():
    """Fewer samples than groups: what the noise does must not be taken for small batches."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Dropout(0.5), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
    data = [torch.randn(2, 3, 24, 24) for _ in range(3)]
    settled(net, data, 20)
    x = vs.explain(net, data)
    site = x.factors["3"]
    assert site.alone.value == pytest.approx(site.noise.value, rel=0.1)
    assert site.batches.value == pytest.approx(1, abs=0.1)
    assert x.blame["1", "3"] == pytest.approx(1 - site.alone.value, abs=0.02)
    assert x.verdict == "noise"
