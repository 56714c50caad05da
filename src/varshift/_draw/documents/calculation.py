"""The document of a calculation: the numbers asked for, and a table over rates or widths."""

from __future__ import annotations

from varshift._draw.document import Cell, Column, Document, Row, Table
from varshift._draw.documents.base import document
from varshift._draw.documents.cells import words
from varshift._draw.documents.parts import add_calculator
from varshift._draw.figures import figure
from varshift.results.grading import Grade, grade_of
from varshift.theory.calculator import Calculation

__all__: list[str] = []

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


@document.register
def _calculation(result: Calculation) -> Document:
    made = Document(
        f"{', '.join(f'{_sign(key)} = {figure(result.outputs[key])}' for key in result.headline)}",
        detail=f"{result.formula}, at {_given(result)}.",
        notes=result.notes,
    )
    made.add("numbers", "The numbers", "", [_numbers(result), _lines(result)])
    add_calculator(made)
    return made


def _numbers(result: Calculation) -> Table:
    columns = [
        Column("number", numeric=False),
        Column("value"),
        Column("what it is", numeric=False),
    ]
    rows = [
        Row([Cell(_sign(key)), _cell(value, 6), words(_WORDS.get(key, ""))])
        for key, value in result.outputs.items()
    ]
    return Table("", columns, rows)


def _lines(result: Calculation) -> Table:
    columns = [Column(_sign(key)) for key in result.lines[0]]
    rows = [
        Row([_cell(value, 4) for value in line.values()], tone=_grade(line.get("severity")))
        for line in result.lines
    ]
    return Table(f"Over {_over(result)}", columns, rows)


def _grade(severity: float | None) -> Grade:
    return "none" if severity is None else grade_of(severity)


def _cell(value: float | None, digits: int) -> Cell:
    return Cell(figure(value, digits), sort="" if value is None or value != value else value)


def _given(result: Calculation) -> str:
    """The numbers that went in."""
    return ", ".join(
        f"{_sign(key)} {value if isinstance(value, str) else figure(value)}"
        for key, value in result.inputs.items()
    )


def _over(result: Calculation) -> str:
    """What the table runs over."""
    return "widths" if "d" in result.lines[0] else "drop rates"


def _sign(key: str) -> str:
    """The symbol of a number, or its name where it has none."""
    return _SIGNS.get(key, key)
