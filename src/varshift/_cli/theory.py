"""`varshift theory`: the closed forms, one sub-command each. No model, no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from varshift._cli.command import SETTINGS, add_command, epilog, examples
from varshift._cli.options import Debug, TextOrJson
from varshift._cli.output import known, show

if TYPE_CHECKING:
    from varshift.theory.calculator import Amount, Calculation

__all__ = ["theory"]

Bound = Annotated[float, typer.Option(help="smallest Δ allowed, for the inverse questions")]
Mean = Annotated[float, typer.Option(help="mean of the noised value, noise off")]
Var = Annotated[float, typer.Option(help="variance of the noised value, noise off")]


@dataclass(frozen=True)
class Rates:
    """The options of which exactly one says how much noise there is."""

    drop_p: Annotated[float | None, typer.Option(help="dropout, torch's p")] = None
    keep_p: Annotated[float | None, typer.Option(help="dropout, the paper's p: 1 - drop_p")] = None
    sigma: Annotated[float | None, typer.Option(help="Gaussian noise N(1, sigma^2)")] = None
    beta: Annotated[float | None, typer.Option(help="Uout, 1 + U(-beta, beta)")] = None
    tau: Annotated[
        float | None, typer.Option(help="any mean-one noise, by its relative variance")
    ] = None

    @property
    def amount(self) -> Amount:
        """The noise; raises UsageError where it is not given exactly once."""
        from varshift.theory import calculator

        return calculator.amount(self.drop_p, self.keep_p, self.sigma, self.beta, self.tau)


@dataclass(frozen=True)
class TheoryAnswer:
    """The options by which a calculation is shown."""

    format: TextOrJson = "text"
    debug: Debug = False

    def __post_init__(self) -> None:
        known(self.format, ("text", "json"))

    def show(self, calculation: Calculation) -> None:
        """As text or JSON."""
        show(calculation, self.format)


@examples(
    "varshift theory direct --drop-p 0.5 --mean 1 --var 2",
    "varshift theory direct --beta 0.1 --mean 0 --var 1",
)
def direct(
    *, mean: Mean, var: Var, rates: Rates, bound: Bound = 0.95, answer: TheoryAnswer
) -> None:
    """Noise straight into the norm, placement (a)."""
    from varshift.theory import calculator

    answer.show(calculator.direct(rates.amount, mean, var, bound))


@examples(
    "varshift theory width --drop-p 0.5 --mean 0.4 --var 0.34 --rho 0.1 \\",
    "    --d-cos2 15",
)
def width(
    *,
    mean: Mean,
    var: Var,
    rho: Annotated[float, typer.Option(help="correlation of any two inputs")],
    d_cos2: Annotated[float, typer.Option("--d-cos2", help="(Σw)²/Σw² of the filter")],
    rates: Rates,
    slope: Annotated[float | None, typer.Option(help="of d·cos²θ over d")] = None,
    intercept: Annotated[float | None, typer.Option(help="of d·cos²θ over d")] = None,
    bound: Bound = 0.95,
    answer: TheoryAnswer,
) -> None:
    """The paper's Δ(p, d) after weights.

    With a fit of d·cos²θ over d (--slope, --intercept) also the smallest width.
    """
    from varshift.theory import calculator

    answer.show(calculator.width(rates.amount, mean, var, rho, d_cos2, slope, intercept, bound))


@examples("varshift theory after --drop-p 0.5 --var-test 2 --energy 3")
def after(
    *,
    var_test: Annotated[float, typer.Option(help="variance at the norm, noise off")],
    energy: Annotated[float, typer.Option(help="noise energy N of the layer between")],
    rates: Rates,
    bound: Bound = 0.95,
    answer: TheoryAnswer,
) -> None:
    """Weights between noise and norm, placement (b)."""
    from varshift.theory import calculator

    answer.show(calculator.after(rates.amount, var_test, energy, bound))


@examples("varshift theory invert --drop-p 0.5 --mean 1 --stored-var 5")
def invert(
    *,
    mean: Annotated[float, typer.Option(help="running_mean of the norm")],
    stored_var: Annotated[float, typer.Option(help="running_var of the norm")],
    rates: Rates,
    answer: TheoryAnswer,
) -> None:
    """From stored statistics to the noise-free variance."""
    from varshift.theory import calculator

    answer.show(calculator.invert(rates.amount, mean, stored_var))


@examples("varshift theory angle --d 576 --filters 64")
def angle(
    *,
    d: Annotated[int, typer.Option(help="weights of one filter: channels × k × k")],
    filters: Annotated[int | None, typer.Option(help="how many, for the band of the mean")] = None,
    level: Annotated[float, typer.Option(help="probability inside the band")] = 0.95,
    answer: TheoryAnswer,
) -> None:
    """What d·cos²θ is for random filters.

    That is what trained ones are compared with.
    """
    from varshift.theory import calculator

    answer.show(calculator.angle(d, filters, level))


@examples("varshift theory moments relu --mean 0 --var 1")
def moments(
    *,
    activation: Annotated[str, typer.Argument(help="from torch.nn.functional, such as relu")],
    mean: Annotated[float, typer.Option(help="of the Gaussian input")] = 0.0,
    var: Annotated[float, typer.Option(help="of the Gaussian input")] = 1.0,
    answer: TheoryAnswer,
) -> None:
    """A Gaussian after an activation, and dropout after that."""
    from varshift.theory import calculator

    answer.show(calculator.moments(activation, mean, var))


theory = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
    help="The closed forms as a calculator: Δ from a few numbers.",
    epilog="The noise is given as one of --drop-p, --keep-p, --sigma, --beta and --tau.\n\n"
    + epilog("varshift theory direct --drop-p 0.5 --mean 1 --var 2"),
)
for _command in (direct, width, after, invert, angle, moments):
    add_command(theory, _command)
