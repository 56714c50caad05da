"""`varshift theory`: the closed forms, one sub-command each. No model, no data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from varshift._cli.options import Debug, TextOrJson
from varshift._cli.output import known, show

if TYPE_CHECKING:
    from varshift.theory.calculator import Calculation

__all__ = ["theory"]

theory = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The closed forms as a calculator: Δ from a few numbers.",
    epilog="The noise is given as one of --drop-p, --keep-p, --sigma, --beta and --tau.",
)

DropP = Annotated[float | None, typer.Option(help="dropout, torch's p")]
KeepP = Annotated[float | None, typer.Option(help="dropout, the paper's p: 1 - drop_p")]
Sigma = Annotated[float | None, typer.Option(help="Gaussian noise N(1, sigma^2)")]
Beta = Annotated[float | None, typer.Option(help="Uout, 1 + U(-beta, beta)")]
Tau = Annotated[float | None, typer.Option(help="any mean-one noise, by its relative variance")]
Bound = Annotated[float, typer.Option(help="smallest Δ allowed, for the inverse questions")]
Mean = Annotated[float, typer.Option(help="mean of the noised value, noise off")]
Var = Annotated[float, typer.Option(help="variance of the noised value, noise off")]


@theory.command()
def direct(
    mean: Mean,
    var: Var,
    drop_p: DropP = None,
    keep_p: KeepP = None,
    sigma: Sigma = None,
    beta: Beta = None,
    tau: Tau = None,
    bound: Bound = 0.95,
    format: TextOrJson = "text",
    debug: Debug = False,
) -> None:
    """Noise straight into the norm, placement (a)."""
    from varshift.theory import calculator

    noise = calculator.amount(drop_p, keep_p, sigma, beta, tau)
    _answer(calculator.direct(noise, mean, var, bound), format)


@theory.command()
def width(
    mean: Mean,
    var: Var,
    rho: Annotated[float, typer.Option(help="correlation of any two inputs")],
    d_cos2: Annotated[float, typer.Option("--d-cos2", help="(Σw)²/Σw² of the filter")],
    drop_p: DropP = None,
    keep_p: KeepP = None,
    sigma: Sigma = None,
    beta: Beta = None,
    tau: Tau = None,
    slope: Annotated[float | None, typer.Option(help="of d·cos²θ over d")] = None,
    intercept: Annotated[float | None, typer.Option(help="of d·cos²θ over d")] = None,
    bound: Bound = 0.95,
    format: TextOrJson = "text",
    debug: Debug = False,
) -> None:
    """The paper's Δ(p, d) after weights; with a fit of d·cos²θ, the smallest width."""
    from varshift.theory import calculator

    noise = calculator.amount(drop_p, keep_p, sigma, beta, tau)
    made = calculator.width(noise, mean, var, rho, d_cos2, slope, intercept, bound)
    _answer(made, format)


@theory.command()
def after(
    var_test: Annotated[float, typer.Option(help="variance at the norm, noise off")],
    energy: Annotated[float, typer.Option(help="noise energy N of the layer between")],
    drop_p: DropP = None,
    keep_p: KeepP = None,
    sigma: Sigma = None,
    beta: Beta = None,
    tau: Tau = None,
    bound: Bound = 0.95,
    format: TextOrJson = "text",
    debug: Debug = False,
) -> None:
    """Weights between noise and norm, placement (b), from the noise energy."""
    from varshift.theory import calculator

    noise = calculator.amount(drop_p, keep_p, sigma, beta, tau)
    _answer(calculator.after(noise, var_test, energy, bound), format)


@theory.command()
def invert(
    mean: Annotated[float, typer.Option(help="running_mean of the norm")],
    stored_var: Annotated[float, typer.Option(help="running_var of the norm")],
    drop_p: DropP = None,
    keep_p: KeepP = None,
    sigma: Sigma = None,
    beta: Beta = None,
    tau: Tau = None,
    format: TextOrJson = "text",
    debug: Debug = False,
) -> None:
    """From stored statistics back to the noise-free variance, placement (a)."""
    from varshift.theory import calculator

    noise = calculator.amount(drop_p, keep_p, sigma, beta, tau)
    _answer(calculator.invert(noise, mean, stored_var), format)


@theory.command()
def angle(
    d: Annotated[int, typer.Option(help="weights of one filter: channels × k × k")],
    filters: Annotated[int | None, typer.Option(help="how many, for the band of the mean")] = None,
    level: Annotated[float, typer.Option(help="probability inside the band")] = 0.95,
    format: TextOrJson = "text",
    debug: Debug = False,
) -> None:
    """What d·cos²θ is for random filters, the null beside trained ones."""
    from varshift.theory import calculator

    _answer(calculator.angle(d, filters, level), format)


@theory.command()
def moments(
    activation: Annotated[str, typer.Argument(help="from torch.nn.functional, such as relu")],
    mean: Annotated[float, typer.Option(help="of the Gaussian input")] = 0.0,
    var: Annotated[float, typer.Option(help="of the Gaussian input")] = 1.0,
    format: TextOrJson = "text",
    debug: Debug = False,
) -> None:
    """Moments of a Gaussian after an activation, and what dropout then does."""
    from varshift.theory import calculator

    _answer(calculator.moments(activation, mean, var), format)


def _answer(calculation: Calculation, format: str) -> None:
    known(format, ("text", "json"))
    show(calculation, format, None, ())
