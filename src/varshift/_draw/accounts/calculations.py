"""What a calculation is called by, number by number, and its account for a notebook."""

from __future__ import annotations

from varshift._draw.accounts.parts import MOST, Account, Row, Sheet, Words, account
from varshift._draw.figures import figure
from varshift.theory.calculator import Calculation

__all__ = ["answer", "given", "meaning", "over", "sign"]

# What a calculation calls its numbers: the sign of each, and in words.
_SIGNS = {
    "shift": "Δ",
    "direct_shift": "Δ direct",
    "train_var": "var_train",
    "var_test": "var_test",
    "var": "v",
    "mean": "c",
    "tau": "τ",
    "sigma": "σ",
    "beta": "β",
    "max_tau": "max τ",
    "max_drop_p": "max drop_p",
    "min_width": "min d",
    "second": "c² + v",
    "d_cos2": "d·cos²θ",
    "d_cos2_mean": "E[d·cos²θ]",
    "d_cos2_sd": "s.d.",
    "mean_low": "mean, low",
    "mean_high": "mean, high",
    "rho": "ρ",
    "energy": "N",
    "stored_var": "V",
}
_WORDS = {
    "shift": "variance at test ÷ variance in training",
    "severity": "Δ or 1/Δ, whichever is larger",
    "direct_shift": "with no weights between, or with d·cos²θ = 1",
    "train_var": "variance in training",
    "var": "variance, noise off",
    "mean": "mean, noise off",
    "second": "noise energy of dropout right after it",
    "gain": "mean slope, Cov(x, f)/Var x",
    "tau": "relative variance of the noise",
    "drop_p": "dropout of as much noise",
    "keep_p": "dropout of as much noise, the paper's p",
    "sigma": "Gaussian noise of as much, N(1, σ²)",
    "beta": "Uout of as much, U(−β, β); there is none above τ = 1/3",
    "max_drop_p": "the most that keeps Δ at the bound",
    "max_tau": "the same for any noise",
    "min_width": "the smallest width that keeps Δ at the bound",
    "d_cos2_mean": "of a filter of random direction",
    "d_cos2_sd": "standard deviation",
    "low": "of the band that holds it with probability level",
    "high": "and its other end",
    "mean_low": "of the band for the mean over the filters",
    "mean_high": "and its other end",
}


@account.register
def _calculation(result: Calculation, most: int = MOST) -> Account:
    numbers = [
        Row((sign(key), figure(value), Words(meaning(key))))
        for key, value in result.outputs.items()
    ]
    lines = [
        Row(tuple(figure(value, 4) for value in line.values())) for line in result.lines[:most]
    ]
    headings = [sign(key) for key in result.lines[0]]
    sheets = [
        Sheet("", ("", "", ""), numbers, len(numbers)),
        Sheet(f"Over {over(result)}", headings, lines, len(result.lines)),
    ]
    said = f"{result.formula}, at {given(result)}"
    return Account(f"{answer(result)}.", sheets, notes=list(result.notes), detail=said)


def answer(result: Calculation) -> str:
    """The numbers that were asked for."""
    return ", ".join(f"{sign(key)} = {figure(result.outputs[key])}" for key in result.headline)


def given(result: Calculation) -> str:
    """The numbers that went in."""
    return ", ".join(
        f"{sign(key)} {value if isinstance(value, str) else figure(value)}"
        for key, value in result.inputs.items()
    )


def over(result: Calculation) -> str:
    """What the table runs over."""
    return "widths" if "d" in result.lines[0] else "drop rates"


def sign(key: str) -> str:
    """The symbol of a number, or its name where it has none."""
    return _SIGNS.get(key, key)


def meaning(key: str) -> str:
    """A number in words."""
    return _WORDS.get(key, "")
