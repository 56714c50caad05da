"""How much noise there is: a source's τ, and the attribute of a module that says it."""

from __future__ import annotations

from torch import nn

from varshift.errors import UsageError
from varshift.results import Noise
from varshift.theory.noise import beta_of, drop_p_of, sigma_of, tau_of

__all__ = ["RATES", "number_of", "rate_of", "tau_now"]

RATES = ("p", "drop_prob", "drop_p", "drop_rate", "dropout", "rate")


def tau_now(source: Noise) -> float | None:
    """τ of the source as it is, from its law or else from its rate."""
    if source.tau is not None:
        return source.tau
    known = source.law in ("bernoulli", "unknown") and source.drop_p is not None
    return tau_of(source.drop_p) if known and source.drop_p < 1 else None  # type: ignore[arg-type,operator]


def rate_of(module: nn.Module, drop_p: float | None = None) -> str | None:
    """The attribute that holds a module's rate, the one equal to `drop_p` first."""
    held = {name: vars(module).get(name) for name in (*RATES, "beta", "sigma")}
    numbers = [name for name, value in held.items() if type(value) in (int, float)]
    same = [name for name in numbers if held[name] == drop_p]
    return next(iter(same or numbers), None)


def number_of(name: str, tau: float, source: Noise) -> float:
    """What an attribute or argument of that name must be for noise of that τ."""
    if name == "beta":
        return _beta(source, tau)
    # Without the rounding of there and back: 0.2, not 0.19999999999999998.
    return sigma_of(tau) if name == "sigma" else float(f"{drop_p_of(tau):.12g}")


def _beta(source: Noise, tau: float) -> float:
    try:
        return beta_of(tau)
    except UsageError as error:
        raise UsageError(
            f"{source.name!r}: Uout reaches no more than τ = 1/3 (β = 1, drop_p = 0.25), and "
            f"τ = {tau:.4g} (drop_p = {drop_p_of(tau):.4g}) is asked of it; ask for 'gaussian' "
            f"(σ = {sigma_of(tau):.4g}), a lower rate, or max_severity= with data= (without data, "
            "untrained norms have no figure to lower it by)"
        ) from error
