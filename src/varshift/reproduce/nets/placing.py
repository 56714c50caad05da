"""Where a network carries its noise, and which noise: the paper's four placements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from varshift.errors import UsageError
from varshift.nn import GaussianDropout, Uout
from varshift.theory import beta_of, tau_of

__all__ = ["KINDS", "NOISES", "PLACES", "Kind", "Place", "Placing", "beta_like", "three_noises"]

Place = Literal["none", "a", "b", "last"]
Kind = Literal["dropout", "uout", "gaussian"]
PLACES: tuple[Place, ...] = ("none", "a", "b", "last")
KINDS: tuple[Kind, ...] = ("dropout", "uout", "gaussian")
NOISES = ("dropout", "Gaussian", "Uout")  # the order of `three_noises`, for people


@dataclass(frozen=True)
class Placing:
    """`kind` of noise, how much of it, and where it stands.

    Place "a" is right before the last norm of every block, "b" before the last convolution of
    every block, "last" between the global pooling and the classifier, after every norm.
    `amount` is drop_p for "dropout" and "gaussian" (Gaussian noise of the same relative variance
    τ = drop_p / (1 − drop_p)), β for "uout". [li2019disharmony]

    >>> Placing("a", "dropout", 0.5).at("a")
    Dropout(p=0.5, inplace=False)
    >>> Placing("a", "dropout", 0.5).at("b")
    Identity()
    """

    place: Place = "none"
    kind: Kind = "dropout"
    amount: float = 0.0

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise UsageError(f"no place {self.place!r}; there are {', '.join(PLACES)}")
        if self.kind not in KINDS:
            raise UsageError(f"no noise {self.kind!r}; there are {', '.join(KINDS)}")
        # Equal placings must have equal ids, whatever kind of number was typed.
        object.__setattr__(self, "amount", float(self.amount))
        top = "at most 1" if self.kind == "uout" else "below 1"
        fits = 0 <= self.amount <= 1 if self.kind == "uout" else 0 <= self.amount < 1
        if not fits:
            raise UsageError(
                f"the amount of {self.kind} is {self.amount}; it must be at least 0 and {top}"
            )
        if (self.place == "none") != (self.amount == 0):
            raise UsageError(
                f"place {self.place!r} with amount {self.amount:g}: no place and no amount go "
                "together, and only together"
            )

    def at(self, place: Place) -> nn.Module:
        """A noise layer where this placing has one, and an identity elsewhere."""
        if place != self.place:
            return nn.Identity()
        if self.kind == "dropout":
            return nn.Dropout(self.amount)
        if self.kind == "gaussian":
            return GaussianDropout.like_dropout(self.amount)
        return Uout(self.amount)


def beta_like(drop_p: float) -> float:
    """β of the Uout that carries as much noise as dropout, √(3·drop_p/(1 − drop_p)).

    >>> beta_like(0.25)
    1.0
    """
    return round(beta_of(tau_of(drop_p)), 6)


def three_noises(drop_p: float) -> tuple[Placing, Placing, Placing]:
    """Dropout, Gaussian noise and Uout at (b), all of the τ of `drop_p`."""
    return (
        Placing("b", "dropout", drop_p),
        Placing("b", "gaussian", drop_p),
        Placing("b", "uout", beta_like(drop_p)),
    )
