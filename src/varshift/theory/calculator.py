"""The closed forms as a calculator: a few numbers in, Δ and a small table over drop rates out.

The laws are those of `varshift.theory`, computed in float64; `docs/theory.md` derives them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from varshift import theory
from varshift._base import Result, plain
from varshift.errors import UsageError

__all__ = [
    "ACTIVATIONS",
    "RATES",
    "Amount",
    "Calculation",
    "after",
    "amount",
    "angle",
    "direct",
    "invert",
    "moments",
    "width",
]

RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""The drop rates that a table runs over."""

ACTIVATIONS = (
    *("celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu"),
    *("logsigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softshrink"),
    *("softsign", "tanh", "tanhshrink"),
)
"""Names of `torch.nn.functional` that `moments` takes.

Not all of them: softmax and glu are not elementwise, dropout and rrelu draw.
"""

_VARIANCES = ("var", "var_test", "energy", "stored_var")
_WIDTHS = (9, 64, 576, 4608)
_TAU_OF: dict[str, Callable[[float], float]] = {
    "drop_p": theory.tau_of,
    "keep_p": theory.tau_of_keep_p,
    "sigma": theory.tau_of_sigma,
    "beta": theory.tau_of_beta,
    "tau": float,
}


@dataclass(frozen=True, repr=False)
class Calculation(Result):
    """One law with its numbers: what went in, what came out, and a table beside it.

    NaN stands for what has no value (the Δ of a dead channel), `math.inf` for what no finite number
    reaches; None for a β that would exceed 1. In JSON all three are null.

    Attributes:
        name: of the law: "direct", "after", "width", "invert", "angle" or "moments".
        formula: the law.
        inputs: what went in.
        outputs: what came out.
        headline: names of the outputs that answer the question.
        lines: the table: by drop rate, or by d for "angle".
        notes: what else a reader must know.

    >>> made = direct(amount(drop_p=0.5), mean=0, var=1)
    >>> made.headline, made.outputs["shift"], made.outputs["severity"]
    (('shift',), 0.5, 2.0)
    >>> len(made.rows()) == len(RATES)
    True
    """

    name: str
    formula: str
    inputs: dict[str, float | str]
    outputs: dict[str, float | None]
    headline: tuple[str, ...]
    lines: tuple[dict[str, float | None], ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the schema `varshift.calculation/1`."""
        return {
            "schema": "varshift.calculation/1",
            "name": self.name,
            "formula": self.formula,
            "inputs": plain(self.inputs),
            "outputs": plain(self.outputs),
            "headline": list(self.headline),
            "rows": plain(self.rows()),
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One dict per line of the table."""
        return [dict(line) for line in self.lines]


@dataclass(frozen=True)
class Amount:
    """How much noise, in the one unit it was given in: drop_p, keep_p, sigma, beta or tau.

    Attributes:
        unit: which of the five.
        value: the number given.

    >>> Amount("drop_p", 0.5).equal()
    {'drop_p': 0.5, 'tau': 1.0, 'sigma': 1.0, 'beta': None}
    """

    unit: str
    value: float

    @property
    def tau(self) -> float:
        """The relative variance τ, the only thing a shift depends on."""
        return _TAU_OF[self.unit](self.value)

    def equal(self) -> dict[str, float | None]:
        """The rates of all shapes at this τ; `beta` is None where it would exceed 1."""
        tau = self.tau
        rates: dict[str, float | None] = {
            "drop_p": theory.drop_p_of(tau),
            "tau": tau,
            "sigma": theory.sigma_of(tau),
            "beta": _beta(tau),
        }
        # The way there and back would cost the last digit.
        return rates | {self.unit: self.value} if self.unit in rates else rates


def amount(
    drop_p: float | None = None,
    keep_p: float | None = None,
    sigma: float | None = None,
    beta: float | None = None,
    tau: float | None = None,
) -> Amount:
    """The noise from exactly one of its rates; `drop_p` is torch's p and `keep_p` the paper's.

    Raises:
        UsageError: not exactly one rate, or one out of its range.

    >>> amount(keep_p=0.5).tau
    1.0
    """
    units = {"drop_p": drop_p, "keep_p": keep_p, "sigma": sigma, "beta": beta, "tau": tau}
    given = {unit: value for unit, value in units.items() if value is not None}
    if len(given) != 1:
        raise UsageError(
            f"the noise is given as {' and '.join(given) or 'nothing'}; pass exactly one of "
            f"{', '.join(units)}"
        )
    ((unit, value),) = given.items()
    tau = _TAU_OF[unit](value)
    if tau == math.inf:  # a number whose square is beyond all numbers, say
        raise UsageError(f"{unit} is {value}; pass a finite number, of a finite relative variance")
    theory.Noise(tau)  # refuses what is no relative variance
    return Amount(unit, value)


def direct(noise: Amount, mean: float, var: float, bound: float = 0.95) -> Calculation:
    """Δ where noise feeds the norm directly, placement (a); `mean` and `var` are noise-free.

    Raises:
        UsageError: numbers that are not finite, a negative variance, or a bound outside (0, 1).

    >>> direct(amount(drop_p=0.5), mean=1, var=2).outputs["shift"]
    0.4
    """
    return _placed(
        "direct",
        "Δ = v / (v + τ(c² + v)), noise straight into the norm",
        noise,
        {"mean": mean, "var": var},
        bound,
        _DIRECT,
    )


def after(noise: Amount, var_test: float, energy: float, bound: float = 0.95) -> Calculation:
    """Δ after weights, placement (b), from the noise energy N of the layer between.

    Raises:
        UsageError: numbers that are not finite or negative, or a bound outside (0, 1).

    >>> after(amount(tau=2.0), var_test=2, energy=3).outputs["shift"]
    0.25
    """
    return _placed(
        "after",
        "Δ = var_test / (var_test + τ·N), weights between noise and norm",
        noise,
        {"var_test": var_test, "energy": energy},
        bound,
        _AFTER,
    )


class _Laws(NamedTuple):
    """Of two numbers and τ: Δ and var_train; of two numbers and a bound: what it allows."""

    ratio: Callable[..., Tensor]
    train_var: Callable[..., Tensor]
    max_drop_p: Callable[..., Tensor]
    max_tau: Callable[..., Tensor]


_DIRECT = _Laws(theory.dropout_ratio, theory.train_var, theory.max_drop_p, theory.max_tau)
_AFTER = _Laws(
    theory.ratio_after, theory.train_var_after, theory.max_drop_p_after, theory.max_tau_after
)


def _placed(
    name: str, formula: str, noise: Amount, given: dict[str, float], bound: float, laws: _Laws
) -> Calculation:
    """Placement (a) or (b), from the two numbers that its laws take."""
    _finite(**given)
    one, two = map(_number, given.values())

    def at(tau: float) -> dict[str, float | None]:
        return {
            **_shifted(laws.ratio(one, two, tau)),
            "train_var": laws.train_var(one, two, tau).item(),
        }

    return Calculation(
        name=name,
        formula=formula,
        inputs={noise.unit: noise.value, **given, "bound": bound},
        outputs={
            **at(noise.tau),
            **noise.equal(),
            "max_drop_p": laws.max_drop_p(one, two, bound).item(),
            "max_tau": laws.max_tau(one, two, bound).item(),
        },
        headline=("shift",),
        lines=_over_rates(at),
        notes=_dead(not any(given.values())),
    )


def width(
    noise: Amount,
    mean: float,
    var: float,
    rho: float,
    d_cos2: float,
    slope: float | None = None,
    intercept: float | None = None,
    bound: float = 0.95,
) -> Calculation:
    """The paper's Δ(p, d), and how much noise it allows; with a fit of d·cos²θ, which width.

    The fit is d·cos²θ = slope·d + intercept, of trained filters; give both or neither.

    Raises:
        UsageError: numbers that no inputs have, half a fit, or a bound outside (0, 1).

    >>> width(amount(drop_p=0.5), mean=0, var=1, rho=0.5, d_cos2=5).outputs["shift"]
    0.75
    """
    _finite(mean=mean, var=var, d_cos2=d_cos2)
    if d_cos2 < 0:
        raise UsageError(f"d_cos2 is {d_cos2}; pass (Σw)²/Σw², a number of 0 or more")
    inputs = {"mean": mean, "var": var, "rho": rho, "d_cos2": d_cos2, "bound": bound}
    filters = _number(d_cos2)
    outputs = {
        **_shifted(theory.width_ratio(mean, var, rho, noise.tau, filters)),
        "direct_shift": theory.dropout_ratio(_number(mean), _number(var), noise.tau).item(),
        **noise.equal(),
        "max_drop_p": theory.max_drop_p_for_width(mean, var, rho, d_cos2, bound),
        "max_tau": theory.max_tau_for_width(mean, var, rho, d_cos2, bound),
    }
    fit = _fit(slope, intercept)
    notes = []
    if fit is not None:
        inputs |= {"slope": fit[0], "intercept": fit[1]}
        outputs["min_width"] = _min_width(mean, var, rho, noise.tau, fit, bound)
        if outputs["min_width"] == math.inf:
            notes.append(f"no width brings Δ to {bound:g} with this fit")
    if d_cos2 == 1:
        notes.append("d·cos²θ = 1, the average of random filters, gives the shift without weights")

    def line(tau: float) -> dict[str, float | None]:
        shift = theory.width_ratio(mean, var, rho, tau, filters)
        least = {"min_width": _min_width(mean, var, rho, tau, fit, bound)} if fit else {}
        alone = theory.dropout_ratio(_number(mean), _number(var), tau).item()
        return {**_shifted(shift), "direct_shift": alone, **least}

    return Calculation(
        name="width",
        formula="Δ = A / (A + τ(c² + v)),  A = v(1 + ρ(d·cos²θ − 1))",
        inputs={noise.unit: noise.value, **inputs},
        outputs=outputs,
        headline=("shift", "min_width") if fit else ("shift",),
        lines=_over_rates(line),
        notes=(*notes, *_dead(math.isnan(outputs["shift"] or 0.0))),
    )


def invert(noise: Amount, mean: float, stored_var: float) -> Calculation:
    """The noise-free variance from stored statistics alone, placement (a).

    Raises:
        UsageError: numbers that are not finite, or a negative variance.

    >>> invert(amount(drop_p=0.5), mean=1, stored_var=5).outputs["var"]
    2.0
    """
    _finite(mean=mean, stored_var=stored_var)
    c, stored = _number(mean), _number(stored_var)

    def line(tau: float) -> dict[str, float | None]:
        var = theory.invert_stored(c, stored, tau)
        # Where no input has such statistics there is no Δ either.
        return {"var": var.item(), **_shifted(torch.where(var < 0, math.nan, var / stored))}

    outputs = line(noise.tau)
    impossible = (outputs["var"] or 0.0) < 0
    return Calculation(
        name="invert",
        formula="v = (V − τc²) / (1 + τ),  Δ = v / V, noise straight into the norm",
        inputs={noise.unit: noise.value, "mean": mean, "stored_var": stored_var},
        outputs={**outputs, **noise.equal()},
        headline=("var", "shift"),
        lines=_over_rates(line),
        notes=(
            *["V < τc²: no input under this noise has such statistics, so they arose otherwise"]
            * impossible,
            *_dead(mean == 0 and stored_var == 0),
        ),
    )


def angle(d: int, filters: int | None = None, level: float = 0.95) -> Calculation:
    """What d·cos²θ is for filters of random direction: the null beside trained ones.

    With `filters`, also the band of the mean over so many of them.

    Raises:
        UsageError: a d below 2, filters below 1, or a level outside (0, 1).

    >>> angle(576).outputs["d_cos2_mean"]
    1.0
    """

    def line(d: int) -> dict[str, float | None]:
        low, high = theory.null_band(d, level)
        sd = math.sqrt(theory.d_cos2_var(d))
        mean = theory.d_cos2_mean(d)
        return {"d_cos2_mean": mean, "d_cos2_sd": sd, "low": low, "high": high}

    outputs = line(d)
    inputs: dict[str, float | str] = {"d": d, "level": level}
    if filters is not None:
        inputs["filters"] = filters
        low, high = theory.null_band_of_mean(d, filters, level)
        outputs |= {"mean_low": low, "mean_high": high}
    return Calculation(
        name="angle",
        formula="cos²θ ~ Beta(1/2, (d − 1)/2): E[d·cos²θ] = 1 at every d",
        inputs=inputs,
        outputs=outputs,
        headline=("d_cos2_mean", "low", "high"),
        lines=tuple({"d": float(each), **line(each)} for each in sorted({*_WIDTHS, d})),
        notes=("growth of d·cos²θ with d is a property of trained filters, not of geometry",),
    )


def moments(activation: str, mean: float = 0.0, var: float = 1.0) -> Calculation:
    """Mean and variance of a torch.nn.functional activation of N(mean, var), by quadrature.

    The table is that of dropout right after the activation, placement (a).

    Raises:
        UsageError: no such activation, or numbers that are not finite.

    >>> round(moments("relu").outputs["var"], 6)  # 1/2 − 1/(2π)
    0.340845
    """
    if activation not in ACTIVATIONS:
        raise UsageError(f"activation is {activation!r}; pass one of {', '.join(ACTIVATIONS)}")
    _finite(mean=mean, var=var)
    function = getattr(torch.nn.functional, activation)
    c, v = _number(mean), _number(var)
    first, second = theory.gaussian_moments(function, c, v)
    gain = theory.gaussian_covariance(function, c, v) / v
    return Calculation(
        name="moments",
        formula="E f = ∫ f(c + √v·z) φ(z) dz and Var f, by quadrature",
        inputs={"activation": activation, "mean": mean, "var": var},
        outputs={
            "mean": first.item(),
            "var": second.item(),
            "second": (first.square() + second).item(),
            "gain": gain.item(),
        },
        headline=("mean", "var"),
        lines=_over_rates(lambda tau: _shifted(theory.dropout_ratio(first, second, tau))),
        notes=_dead(bool((first == 0) & (second == 0))),
    )


def _number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, device="cpu")


def _finite(**numbers: float) -> None:
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise UsageError(f"{name} is {value}; pass a finite number")
        if value < 0 and name in _VARIANCES:
            raise UsageError(f"{name} is {value}; pass a number of 0 or more")


def _shifted(ratio: Tensor) -> dict[str, float | None]:
    return {"shift": ratio.item(), "severity": theory.severity(ratio).item()}


def _over_rates(
    line: Callable[[float], dict[str, float | None]], rates: Iterable[float] = RATES
) -> tuple[dict[str, float | None], ...]:
    """One line per drop rate: the equal rates of the other shapes, then what the law gives."""
    noises = [Amount("drop_p", rate) for rate in rates]
    return tuple({**noise.equal(), **line(noise.tau)} for noise in noises)


def _beta(tau: float) -> float | None:
    try:
        return theory.beta_of(tau)
    except UsageError:
        return None


def _fit(slope: float | None, intercept: float | None) -> tuple[float, float] | None:
    if slope is None and intercept is None:
        return None
    if slope is None or intercept is None:
        raise UsageError("a fit of d·cos²θ is slope·d + intercept; pass both or neither")
    _finite(slope=slope, intercept=intercept)
    return slope, intercept


def _min_width(
    mean: float, var: float, rho: float, tau: float, fit: tuple[float, float], bound: float
) -> float:
    try:
        return theory.min_width(mean, var, rho, tau, *fit, bound)
    except OverflowError:  # a width beyond what a float holds is as good as none
        return math.inf


def _dead(dead: bool) -> tuple[str, ...]:
    return ("a dead channel: both variances are 0, and there is no Δ",) * dead
