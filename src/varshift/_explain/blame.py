"""From contrasts to the blame matrix, and to what all the noise together does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from varshift._engine import Effect, rounding
from varshift._explain.blaming import Blaming
from varshift._explain.figures import figure_of, root_mean_square, square_error_of
from varshift._explain.lanes import Lanes
from varshift._explain.settling import FirstBatch
from varshift._explain.spread import PlaceLanes, Spread
from varshift.results import Blame, Figure

__all__ = ["blame_of", "place_of"]

_NOTHING = 1e-9  # of the variance: what rounding leaves


def place_of(blaming: Blaming, lanes: Lanes, name: str, *, drawn: bool) -> PlaceLanes:
    """What a place receives, every norm using its training statistics.

    `drawn`: what stays with every source silenced may be the draws that could not be.
    """
    groups, design = lanes.groups(name), blaming.design
    clean, others = lanes.without_noise(name), blaming.others(name, groups)
    signal = clean if others is None else clean.plus(others)
    rest, effect = (
        blaming.effect(name, design.none, groups),
        blaming.effect(name, design.all, groups),
    )
    return PlaceLanes(
        signal=signal,
        noisy=signal if effect is None else signal.plus(effect),
        own=None if others is None else clean,
        silent=None if rest is None or drawn or not _shows(rest, signal) else signal.plus(rest),
    )


def _shows(rest: Effect, signal: Spread) -> bool:
    square = rest.mean[0].square() + rest.var[0].abs()
    return bool((square > _NOTHING * signal.var[0]).any())


def blame_of(
    settling: FirstBatch,
    lanes: Lanes,
    held: Mapping[str, PlaceLanes],
    count: int,
    unsilenced: tuple[str, ...],
) -> Blame:
    """The matrix; `held` is `place_of` by place, `count` how many passes over the data."""
    blaming = settling.blaming
    places = {name: _Place(blaming, lanes, name, place.noisy) for name, place in held.items()}
    pairs = [
        ((source, name), place, effect)
        for name, place in places.items()
        for source, effect in place.alone.items()
    ]
    parts = {name: place.parts() for name, place in places.items()}
    return Blame(
        noises=tuple(blaming.design.sources),
        places=tuple(places),
        share={pair: figure_of(place.share(effect)) for pair, place, effect in pairs},
        mean_shift={pair: place.moved(effect) for pair, place, effect in pairs},
        total={name: part.total for name, part in parts.items()},
        interaction={name: part.interaction for name, part in parts.items()},
        rest={name: part.rest for name, part in parts.items()},
        silenced={source: how.value for source, how in settling.silenced.items()},
        passes=count,
        unit="batch" if blaming.design.whole_batches else "sample",
        unsilenced=unsilenced,
        steady=blaming.steady,
        left_out=settling.means,
    )


@dataclass(frozen=True)
class _Parts:
    total: Figure
    interaction: Figure
    rest: Figure


class _Place:
    """One norm site or output, and the effects of the sources there.

    `alone`: what each source does by itself, beyond what is there with every source silenced.
    """

    def __init__(self, blaming: Blaming, lanes: Lanes, name: str, noisy: Spread) -> None:
        design, groups = blaming.design, lanes.groups(name)
        self._several = len(design.sources) > 1
        self._noisy = noisy
        self._live = noisy.var[0] > rounding(noisy.mean[0], lanes.clean.at[name].precision)
        self._whole = blaming.effect(name, design.all, groups)
        self._rest = blaming.effect(name, design.none, groups)
        found = {
            source: blaming.effect(name, design.sources.index(source), groups)
            for source in blaming.sources(name)
        }
        self.alone = {s: self._beyond_rest(e) for s, e in found.items() if e is not None}

    def share(self, effect: Effect) -> Tensor:
        """Variance that the effect adds ÷ variance with all noise, mean over live channels."""
        share: Tensor = (effect.var / self._noisy.var)[:, self._live].mean(1)
        return share

    def moved(self, effect: Effect) -> Figure:
        """Root mean square over live channels of the mean's shift, in deviations with noise on."""
        shift = effect.mean / self._noisy.var[0].clamp(min=1e-300).sqrt()
        return root_mean_square(shift, square_error_of(shift), self._live)

    def parts(self) -> _Parts:
        """All together, what is left over beyond the sum, and what cannot be silenced."""
        nothing = torch.zeros(1, dtype=torch.float64, device="cpu")
        total = nothing if self._whole is None else self.share(self._whole)
        left = nothing if self._rest is None else self.share(self._rest)
        shares = [self.share(effect) for effect in self.alone.values()]
        beyond = total - sum(shares, torch.zeros_like(total)) - left if self._several else nothing
        return _Parts(figure_of(total), figure_of(beyond), figure_of(left))

    def _beyond_rest(self, effect: Effect) -> Effect:
        return effect if self._rest is None else effect.less(self._rest)
