"""The calculator against numbers worked out by hand, and line by line against the laws."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
import torch

from varshift import theory
from varshift.errors import UsageError
from varshift.theory import calculator
from varshift.theory.calculator import RATES, amount

CLOSE = 1e-14  # some roundings of float64


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def every():
    half = amount(drop_p=0.5)
    return [
        calculator.direct(half, 1, 2),
        calculator.width(half, 0.4, 0.34, 0.1, 15, 0.0214, -1.9),
        calculator.after(half, 2, 3),
        calculator.invert(half, 1, 5),
        calculator.angle(576, 64),
        calculator.moments("relu"),
    ]


def test_direct_by_hand():
    # v = 2, c² + v = 3, τ = 1: 2 + 3 = 5; the bound 0.95 allows τ = 2·0.05/(0.95·3) = 2/57.
    out = calculator.direct(amount(drop_p=0.5), mean=1, var=2).outputs
    assert out["shift"] == 2 / 5
    assert out["train_var"] == 5
    assert out["severity"] == 5 / 2
    assert out["max_tau"] == pytest.approx(2 / 57, rel=CLOSE)
    assert out["max_drop_p"] == pytest.approx(2 / 59, rel=CLOSE)


def test_width_by_hand():
    # A = 0.34(1 + 0.1·14) = 0.816, c² + v = 0.5.
    half = amount(drop_p=0.5)
    made = calculator.width(half, 0.4, 0.34, 0.1, 15, slope=0.0214, intercept=-1.9)
    out = made.outputs
    assert out["shift"] == pytest.approx(0.816 / 1.316, rel=CLOSE)
    assert out["direct_shift"] == pytest.approx(0.34 / 0.84, rel=CLOSE)
    assert out["max_tau"] == pytest.approx(0.816 * 0.05 / (0.95 * 0.5), rel=CLOSE)
    # d·cos²θ ≥ 1 + (0.95·0.5/(0.05·0.34) − 1)/0.1 = 270.41, so d ≥ (270.41 + 1.9)/0.0214.
    assert out["min_width"] == 12725

    def at(d):
        return calculator.width(half, 0.4, 0.34, 0.1, 0.0214 * d - 1.9).outputs["shift"]

    assert at(12724) < 0.95 <= at(12725)


def test_after_and_invert_by_hand():
    assert calculator.after(amount(tau=2.0), var_test=2, energy=3).outputs["shift"] == 2 / 8
    back = calculator.invert(amount(keep_p=0.5), mean=1, stored_var=5).outputs
    assert (back["var"], back["shift"]) == (2, 2 / 5)  # direct, undone


def test_angle_and_moments_by_hand():
    out = calculator.angle(2).outputs  # cos²θ of a uniform angle: 2cos²θ = 1 + cos 2θ
    assert out["d_cos2_sd"] ** 2 == pytest.approx(1 / 2, rel=CLOSE)
    assert out["low"] == pytest.approx(1 - math.cos(math.pi * 0.025), rel=1e-12)
    out = calculator.moments("relu").outputs
    assert out["mean"] == pytest.approx(1 / math.sqrt(2 * math.pi), rel=1e-10)
    assert out["var"] == pytest.approx(1 / 2 - 1 / (2 * math.pi), rel=1e-10)
    assert out["second"] == pytest.approx(1 / 2, rel=1e-10)
    assert out["gain"] == pytest.approx(1 / 2, rel=1e-10)


def test_uout_at_a_tenth():
    # The note this project starts from prints 300/301 for β = 0.01; it belongs to 0.1.
    assert calculator.direct(amount(beta=0.1), 0, 1).outputs["shift"] == pytest.approx(
        300 / 301, rel=CLOSE
    )
    assert calculator.direct(amount(beta=0.01), 0, 1).outputs["shift"] == pytest.approx(
        30000 / 30001, rel=CLOSE
    )


def test_the_allowed_noise_meets_the_bound():
    direct = calculator.direct(amount(drop_p=0.5), 0.7, 1.3, bound=0.9)
    again = calculator.direct(amount(drop_p=direct.outputs["max_drop_p"]), 0.7, 1.3)
    assert again.outputs["shift"] == pytest.approx(0.9, rel=CLOSE)
    after = calculator.after(amount(tau=1.0), 2, 5, bound=0.9)
    again = calculator.after(amount(tau=after.outputs["max_tau"]), 2, 5)
    assert again.outputs["shift"] == pytest.approx(0.9, rel=CLOSE)


@pytest.mark.parametrize(
    "given", [{"drop_p": 0.2}, {"keep_p": 0.8}, {"sigma": 0.5}, {"tau": 0.25}, {"beta": 0.75**0.5}]
)
def test_equal_noise_shifts_equally(given):
    out = calculator.direct(amount(**given), 1, 2).outputs
    assert out["shift"] == pytest.approx(2 / 2.75, rel=CLOSE)
    rates = {"drop_p": 0.2, "tau": 0.25, "sigma": 0.5, "beta": 0.75**0.5}
    assert {key: out[key] for key in rates} == pytest.approx(rates, rel=CLOSE)
    for key in given.keys() & out.keys():
        assert out[key] == given[key]  # to the last bit


def test_uout_ends_where_beta_is_one():
    assert amount(drop_p=0.25).equal()["beta"] == pytest.approx(1, rel=CLOSE)
    assert amount(drop_p=0.26).equal()["beta"] is None


def test_every_line_is_the_law_at_its_rate():
    direct, width, after, invert, angle, moments = every()
    c, v = number(0.0), number(1.0)
    relu = theory.gaussian_moments(torch.relu, c, v)
    for i, rate in enumerate(RATES):
        tau = theory.tau_of(rate)
        for made in (direct, width, after, invert, moments):
            assert made.lines[i]["drop_p"] == rate
            assert made.lines[i]["tau"] == tau
        one, two, three, five = map(number, (1.0, 2.0, 3.0, 5.0))
        assert direct.lines[i]["shift"] == theory.dropout_ratio(one, two, tau).item()
        assert direct.lines[i]["train_var"] == theory.train_var(one, two, tau).item()
        assert width.lines[i]["shift"] == theory.width_ratio(0.4, 0.34, 0.1, tau, 15.0)
        least = theory.min_width(0.4, 0.34, 0.1, tau, 0.0214, -1.9)
        assert width.lines[i]["min_width"] == least
        assert after.lines[i]["shift"] == theory.ratio_after(two, three, tau).item()
        assert invert.lines[i]["var"] == theory.invert_stored(one, five, tau).item()
        assert moments.lines[i]["shift"] == theory.dropout_ratio(*relu, tau).item()
    assert [line["d"] for line in angle.lines] == [9, 64, 576, 4608]
    for line in angle.lines:
        assert (line["low"], line["high"]) == theory.null_band(int(line["d"]))


def test_results_are_frozen_and_json_ready():
    for made in every():
        held = made.to_dict()
        assert held["schema"] == "varshift.calculation/1"
        assert json.loads(json.dumps(held, allow_nan=False)) == held
        assert len({tuple(row) for row in made.rows()}) == 1
        assert set(held["headline"]) <= set(held["outputs"])
        with pytest.raises(dataclasses.FrozenInstanceError):
            made.name = "another"


def test_a_document_says_what_went_in_and_what_came_out():
    """Names of fields and outputs are what scripts read."""
    went_in = {
        "direct": {"drop_p": 0.5, "mean": 1, "var": 2, "bound": 0.95},
        "width": {
            **{"drop_p": 0.5, "mean": 0.4, "var": 0.34, "rho": 0.1, "d_cos2": 15, "bound": 0.95},
            **{"slope": 0.0214, "intercept": -1.9},
        },
        "after": {"drop_p": 0.5, "var_test": 2, "energy": 3, "bound": 0.95},
        "invert": {"drop_p": 0.5, "mean": 1, "stored_var": 5},
        "angle": {"d": 576, "filters": 64, "level": 0.95},
        "moments": {"activation": "relu", "mean": 0, "var": 1},
    }
    shifts, rates = {"shift", "severity"}, {"drop_p", "tau", "sigma", "beta"}
    allowed = {"max_drop_p", "max_tau"}
    came_out = {
        "direct": {"train_var", *shifts, *rates, *allowed},
        "width": {"direct_shift", "min_width", *shifts, *rates, *allowed},
        "after": {"train_var", *shifts, *rates, *allowed},
        "invert": {"var", *shifts, *rates},
        "angle": {"d_cos2_mean", "d_cos2_sd", "low", "high", "mean_low", "mean_high"},
        "moments": {"mean", "var", "second", "gain"},
    }
    fields = ["schema", "name", "formula", "inputs", "outputs", "headline", "rows", "notes"]
    for made in every():
        held = made.to_dict()
        assert list(held) == fields
        assert held["inputs"] == went_in[held["name"]]
        assert set(held["outputs"]) == came_out[held["name"]]
        assert held["formula"] == made.formula != ""
    assert {made.name for made in every()} == set(went_in)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_goes_in_is_finite(bad):
    tau = amount(tau=1.0)
    for call in (
        lambda: calculator.direct(tau, 0, bad),
        lambda: calculator.after(tau, bad, 1),
        lambda: calculator.invert(tau, bad, 1),
        lambda: calculator.invert(tau, 0, bad),
        lambda: calculator.width(tau, bad, 1, 0.1, 2),
        lambda: calculator.width(tau, 0, 1, 0.1, bad),
        lambda: calculator.width(tau, 0, 1, 0.1, 2, slope=bad, intercept=0),
        lambda: calculator.moments("relu", bad, 1),
    ):
        with pytest.raises(UsageError, match=f"is {bad}"):
            call()


def test_what_has_no_value_says_so():
    half = amount(drop_p=0.5)
    dead = calculator.direct(half, 0, 0)
    assert dead.to_dict()["outputs"]["shift"] is None
    assert "dead channel" in dead.notes[0]
    impossible = calculator.invert(half, mean=3, stored_var=1)
    assert impossible.outputs["var"] == -4
    assert math.isnan(impossible.outputs["shift"])
    assert "no input under this noise" in impossible.notes[0]
    narrow = calculator.width(half, 0, 1, 0.0, 4, slope=0.02, intercept=0)
    assert narrow.outputs["min_width"] == math.inf
    assert "no width" in narrow.notes[0]
    huge = calculator.width(half, 1e200, 1, 0.5, 4, slope=0.02, intercept=0)
    assert huge.outputs["min_width"] == math.inf


@pytest.mark.parametrize("name", calculator.ACTIVATIONS)
def test_every_activation_is_elementwise_and_settles(name):
    function = getattr(torch.nn.functional, name)
    x = torch.linspace(-4, 4, 9, dtype=torch.float64)
    assert torch.equal(function(x), torch.stack([function(part) for part in x]))
    out = calculator.moments(name, mean=0.3, var=2).outputs
    assert all(math.isfinite(value) for value in out.values())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: amount(), "given as nothing; pass exactly one of drop_p"),
        (lambda: amount(drop_p=0.5, tau=1.0), "given as drop_p and tau"),
        (lambda: amount(drop_p=1.0), r"drop_p is 1.0; pass a probability in \[0, 1\)"),
        (lambda: amount(keep_p=0.0), "keep_p is 0.0"),
        (lambda: amount(beta=1.5), "beta is 1.5"),
        (lambda: amount(tau=-1.0), "tau is -1.0; pass a finite number"),
        (lambda: amount(sigma=1e200), r"sigma is 1e\+200; pass a finite number"),
        (lambda: calculator.direct(amount(tau=1.0), math.nan, 1), "mean is nan"),
        (lambda: calculator.direct(amount(tau=1.0), 0, -1), "pass a number of 0 or more"),
        (lambda: calculator.direct(amount(tau=1.0), 0, 1, bound=1), "bound is 1"),
        (lambda: calculator.after(amount(tau=1.0), 1, math.inf), "energy is inf"),
        (lambda: calculator.width(amount(tau=1.0), math.inf, 1, 0, 1), "mean is inf"),
        (lambda: calculator.width(amount(tau=1.0), 0, math.inf, 0, 1), "var is inf"),
        (lambda: calculator.width(amount(tau=1.0), 0, 1, 2, 1), "rho is 2"),
        (lambda: calculator.width(amount(tau=1.0), 0, 1, 0, -1), "d_cos2 is -1"),
        (lambda: calculator.width(amount(tau=1.0), 0, 1, 0, 1, slope=1), "both or neither"),
        (lambda: calculator.width(amount(tau=1.0), 0, 1, -0.1, 1, 1, 0), "rho from 0 to 1"),
        (lambda: calculator.angle(1), "d is 1"),
        (lambda: calculator.angle(9, level=1), "level is 1"),
        (lambda: calculator.angle(9, filters=0), "filters is 0"),
        (lambda: calculator.moments("softmax"), "pass one of celu"),
        (lambda: calculator.moments("relu", var=-1), "pass a number of 0 or more"),
    ],
)
def test_bad_numbers_are_sentences(call, said):
    with pytest.raises(UsageError, match=said):
        call()
