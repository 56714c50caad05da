"""The calculator as a reader moves it: the page's laws are those of `varshift.theory`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from varshift.theory import dropout_ratio, tau_of, uout_ratio, width_ratio


def value(page, name):
    return float(page.get_attribute(f"#calculator-{name}", "data-value"))


LAWS = [
    ({"placement": "a", "law": "dropout", "drop_p": 0.5, "mean": 0.4, "var": 0.34}),
    ({"placement": "a", "law": "dropout", "drop_p": 0.0, "mean": -2.0, "var": 3.0}),
    ({"placement": "a", "law": "dropout", "drop_p": 0.95, "mean": 1e3, "var": 1e-3}),
    ({"placement": "a", "law": "uout", "beta": 0.1, "mean": 0.0, "var": 1.0}),
    ({"placement": "a", "law": "uout", "beta": 1.0, "mean": 1.5, "var": 0.2}),
    (
        {"placement": "b", "law": "dropout", "drop_p": 0.5, "mean": 0.4, "var": 0.34}
        | {"rho": 0.1, "d_cos2": 15.0}
    ),
    (
        {"placement": "b", "law": "dropout", "drop_p": 0.3, "mean": 1.0, "var": 2.0}
        | {"rho": -0.01, "d_cos2": 40.0}
    ),
    (
        {"placement": "b", "law": "uout", "beta": 0.5, "mean": 0.0, "var": 1.0}
        | {"rho": 0.5, "d_cos2": 1.0}
    ),
]


def by_theory(at):
    tau = tau_of(at["drop_p"]) if at["law"] == "dropout" else at["beta"] ** 2 / 3
    if at["placement"] == "b":
        return width_ratio(at["mean"], at["var"], at["rho"], tau, at["d_cos2"])
    mean, var = (torch.tensor(at[name], dtype=torch.float64) for name in ("mean", "var"))
    if at["law"] == "uout":
        return float(uout_ratio(mean, var, at["beta"]))
    return float(dropout_ratio(mean, var, tau))


def test_the_calculator_says_what_the_theory_says(every, opened):
    page = opened(every["structure"])
    for at in LAWS:
        page.check(f"input[name=placement][value={at['placement']}]")
        page.check(f"input[name=law][value={at['law']}]")
        for name in at.keys() - {"placement", "law"}:
            page.fill(f"#calculator-set-{name}", repr(at[name]))
        expected = by_theory(at)
        assert value(page, "shift") == pytest.approx(expected, rel=1e-12), at
        assert value(page, "severity") == pytest.approx(1 / expected, rel=1e-12)
        assert float(page.inner_text("#calculator-shift").replace("−", "-")) == pytest.approx(
            expected, rel=1e-4
        )
    most = value(page, "max_drop_p")  # of the last law: A = v
    page.check("input[name=law][value=dropout]")
    page.fill("#calculator-set-drop_p", repr(most))
    assert value(page, "shift") == pytest.approx(0.95, rel=1e-12)
    assert page.said == []


def test_a_slider_moves_the_number(every, opened):
    page = opened(every["structure"])
    before = value(page, "shift"), page.get_attribute("#calculator-curve-now", "cy")
    page.focus("#calculator-slide-drop_p")
    page.keyboard.press("ArrowRight")
    assert float(page.input_value("#calculator-set-drop_p")) == pytest.approx(0.51)
    after = value(page, "shift"), page.get_attribute("#calculator-curve-now", "cy")
    assert after[0] == pytest.approx(0.49)  # 1 − drop_p at c = 0
    assert after[0] < before[0]
    assert float(after[1]) > float(before[1])  # down, as pictures count
    assert not page.is_visible("#calculator-slide-rho")
    page.check("input[name=placement][value=b]")
    assert page.is_visible("#calculator-slide-rho")
    page.focus("#calculator-slide-d_cos2")
    page.keyboard.press("End")
    assert value(page, "shift") > after[0]


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("drop_p", "1", "drop_p goes from 0 to below 1"),
        ("drop_p", "", "drop_p goes from 0 to below 1"),
        ("var", "0", "v is above 0"),
        ("mean", "", "c any number"),
        ("d_cos2", "-1", "d·cos²θ is 0 or more"),
        ("rho", "2", "ρ goes from −1 to 1"),
    ],
)
def test_what_cannot_be_is_said(every, opened, name, typed, said):
    page = opened(every["structure"])
    page.check("input[name=placement][value=b]")
    page.fill(f"#calculator-set-{name}", typed)
    assert said in page.inner_text("#calculator-law")
    assert page.inner_text("#calculator-shift") == "—"
    assert page.inner_text("#calculator-alike") == "—"
    assert page.said == []


def test_without_a_signal_there_is_no_ratio(every, opened):
    page = opened(every["structure"])
    page.check("input[name=placement][value=b]")
    for name, typed in (("rho", "1"), ("d_cos2", "0"), ("drop_p", "0")):  # A = v(1 − ρ)
        page.fill(f"#calculator-set-{name}", typed)
    assert "no variance is left without the noise" in page.inner_text("#calculator-law")
    assert page.inner_text("#calculator-shift") == "—"


def test_a_preset_is_the_channel_that_was_measured(opened):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.3), nn.BatchNorm1d(3), nn.Dropout(0.6), nn.BatchNorm1d(3))
    m = vs.measure(net, (torch.randn(2000, 3) + 1).split(250))
    page = opened(m)
    shown = []
    for _ in page.locator("#calculator-preset option").all()[1:]:
        page.select_option("#calculator-preset", str(len(shown)))
        shown.append((float(page.input_value("#calculator-set-drop_p")), value(page, "shift")))
    assert [round(drop_p, 6) for drop_p, _ in shown] == [0.6, 0.3]  # the worst first
    # Noise reaches the second norm through the first as well, which the calculator leaves out: what
    # was measured stands beside it, until a figure is changed.
    assert shown[1][1] == pytest.approx(m.sites["1"].shift, rel=0.05)
    page.select_option("#calculator-preset", "0")
    assert value(page, "measured") == pytest.approx(m.sites["3"].shift, rel=0.1)
    assert "the rest comes through earlier norms" in page.inner_text("#calculator-figures")
    page.fill("#calculator-set-mean", "0.5")
    assert page.input_value("#calculator-preset") == ""
    assert "earlier norms" not in page.inner_text("#calculator-figures")
