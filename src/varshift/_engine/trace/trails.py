"""The trails noise leaves on its way: by source, its shortest path of each placement.

Thousands of pairs of a source and a norm share them: a densely connected network joins all it has
computed so far at every layer. So trails are never changed once made, sources that have come the
same way have the same ones, and each step and each union is worked out once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from varshift.results import Layer
from varshift.results.structure import Placement

__all__ = ["UNREACHED", "Reached", "Trail", "Trails"]

_RANK: tuple[Placement, ...] = ("a", "b", "through-norm")


class Trail:
    """One path of a noise so far: its placement and its layers, last first, as a linked list."""

    __slots__ = ("before", "layer", "length", "placement")

    def __init__(
        self,
        placement: Placement = "a",
        layer: Layer | None = None,
        before: Trail | None = None,
        length: int = 0,
    ) -> None:
        self.placement: Placement = placement
        self.layer, self.before, self.length = layer, before, length

    @property
    def direct(self) -> bool:
        """Whether no normalisation lies on it."""
        return self.placement != "through-norm"

    def just_passed(self, layer: Layer) -> bool:
        """Whether it is one of the last layers."""
        # Many operations of one module (an LSTM unrolled in time) are the same few layers.
        trail: Trail | None = self
        while trail is not None and trail.layer is not None and trail.layer.path == layer.path:
            if trail.layer == layer:
                return True
            trail = trail.before
        return False

    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order the noise met them."""
        found: list[Layer] = []
        trail: Trail | None = self
        while trail is not None and trail.layer is not None:
            found.append(trail.layer)
            trail = trail.before
        return tuple(reversed(found))


# The shortest trail of each placement.
Trails = tuple[Trail, ...]
_START: Trails = (Trail(),)


class Reached(dict[int, Trails]):
    """By source, its trails; with what it makes with others, by their identity."""

    __slots__ = ("_unions",)
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__

    def __init__(self, trails: Mapping[int, Trails] | None = None) -> None:
        super().__init__(trails or {})
        self._unions: dict[Reached, Reached] = {}

    @classmethod
    def by(cls, sources: Iterable[int]) -> Reached:
        """Of data that these sources meet just now."""
        return cls(dict.fromkeys(sources, _START))

    def stepped(self, layer: Layer, placement: Placement) -> Reached:
        """After a layer that changes a placement or is worth naming."""
        further: dict[Trail, Trail] = {}
        after = {each: _stepped(each, layer, placement, further) for each in set(self.values())}
        return Reached({source: after[trails] for source, trails in self.items()})

    def united(self, other: Reached) -> Reached:
        """Trails of both, the shortest of each placement kept per source."""
        if other is self or not other:
            return self
        if not self:
            return other
        if other not in self._unions:
            self._unions[other] = self._union(other)
        return self._unions[other]

    def _union(self, other: Reached) -> Reached:
        union = Reached(self)
        for source, trails in other.items():
            mine = union.get(source)
            union[source] = trails if mine is None else _shortest((*mine, *trails))
        return union


def _stepped(
    trails: Trails, layer: Layer, placement: Placement, further: dict[Trail, Trail]
) -> Trails:
    """Each one layer further, at least of that placement; `further` has those that were made."""
    best: dict[Placement, tuple[int, Trail]] = {}
    for trail in trails:
        worse = max(trail.placement, placement, key=_RANK.index)
        stays = worse == trail.placement and trail.just_passed(layer)
        length = trail.length if stays else trail.length + 1
        if worse not in best or length < best[worse][0]:
            best[worse] = length, trail
    for worse, (length, trail) in best.items():
        if trail not in further:
            stays = length == trail.length
            further[trail] = trail if stays else Trail(worse, layer, trail, length)
    return tuple(further[trail] for _, trail in best.values())


def _shortest(trails: Iterable[Trail]) -> Trails:
    """The shortest trail of each placement."""
    best: dict[Placement, Trail] = {}
    for trail in trails:
        held = best.get(trail.placement)
        if held is None or trail.length < held.length:
            best[trail.placement] = trail
    return tuple(best.values())


UNREACHED = Reached()
