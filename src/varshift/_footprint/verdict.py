"""From fits to sites: intervals of drop_p, and which sites claim noise."""

from __future__ import annotations

import math

from varshift._footprint.fitting import Fit, p_value, student_quantile
from varshift._footprint.hypotheses import Hypothesis
from varshift.results import FootprintSite

__all__ = ["judged"]

_LEVEL = 0.95
_FALSE_CLAIMS = 0.01  # of models without noise
_NEGLIGIBLE_DROP = 0.02
_NEGLIGIBLE_ADDED = 0.03  # weights on the move often do 0.02


def judged(
    hypotheses: list[Hypothesis], fits: dict[str, Fit], channels: dict[str, int]
) -> dict[str, FootprintSite]:
    """One record per site, in the order of the hypotheses."""
    chances = {hypothesis.path: p_value(fits[hypothesis.path]) for hypothesis in hypotheses}
    unlikely = _holm(chances)
    return {
        hypothesis.path: _site(
            hypothesis,
            fits[hypothesis.path],
            channels[hypothesis.path],
            chances[hypothesis.path],
            hypothesis.path in unlikely,
        )
        for hypothesis in hypotheses
    }


def _site(
    hypothesis: Hypothesis, found: Fit, channels: int, chance: float, unlikely: bool
) -> FootprintSite:
    reach = student_quantile(_LEVEL, found.dof) * found.tau_se
    drop_p, low = _drop_p(found.tau), _drop_p(found.tau - reach)
    return FootprintSite(
        path=hypothesis.path,
        place=hypothesis.place,
        placement=hypothesis.placement,
        drop_p=drop_p,
        low=low,
        high=_drop_p(found.tau + reach),
        level=_LEVEL,
        tau=found.tau,
        tau_se=found.tau_se,
        added=found.added,
        p_value=chance,
        claimed=unlikely and low > 0 and not _negligible(drop_p, found.added),
        misfit=found.misfit,
        channels=channels,
        used=found.used,
    )


def _negligible(drop_p: float, added: float) -> bool:
    return drop_p < _NEGLIGIBLE_DROP or added < _NEGLIGIBLE_ADDED


def _drop_p(tau: float) -> float:
    """τ/(1 + τ), also below 0, where `theory.drop_p_of` refuses; −∞ from τ = −1 down."""
    return tau / (1 + tau) if tau > -1 else -math.inf


def _holm(chances: dict[str, float]) -> set[str]:
    """Paths whose hypothesis of no noise falls by Holm's step-down rule."""
    fallen: set[str] = set()
    for rank, path in enumerate(sorted(chances, key=chances.__getitem__)):
        if chances[path] > _FALSE_CLAIMS / (len(chances) - rank):
            break
        fallen.add(path)
    return fallen
