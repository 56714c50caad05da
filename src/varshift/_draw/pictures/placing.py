"""How much room words take, and where beside dots they find it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from varshift._draw.figures import cells

__all__ = ["LINE", "Box", "PlacedLabels", "apart", "wide"]

LINE = 16.0  # units from a line of text to the next
_LETTER = 6.9  # units of an average letter at 12 units of size, a little more than most fonts have
_UP, _DOWN = 10.0, 3.0  # units of a line of text above and below where it is written
_ASIDE = 9.0  # units from a dot to its words
_BOLD = 1.06  # bold letters are that much wider
_STEPS = 12  # lines up or down at most, until words are left out


@dataclass(frozen=True)
class Box:
    """A rectangle on the paper."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two have a point in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def holds(self, x: float, y: float) -> bool:
        """Whether a point is inside."""
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def within(self, other: Box) -> bool:
        """Whether all of it is inside the other."""
        return other.holds(self.left, self.top) and other.holds(self.right, self.bottom)


class PlacedLabels:
    """Words that are put beside dots, one after the other; the first has the free choice.

    All stay within `area` and off what is `taken`.
    """

    def __init__(
        self, area: Box, dots: Sequence[tuple[float, float]], taken: Sequence[Box] = ()
    ) -> None:
        self._area = area
        self._dots = dots
        self._taken = list(taken)

    def place(
        self, x: float, y: float, words: str
    ) -> tuple[tuple[float, float], tuple[float, float] | None] | None:
        """Where words about the dot at (x, y) begin; and where a line from it meets them.

        The line is for words that are not right beside their dot. None where every place near the
        dot has words already.
        """
        free = [place for place in self._places(x, y, words) if self._free(place[0])]
        if not free:
            return None
        box, shift = min(free, key=lambda place: self._covered(place[0]) + 0.4 * abs(place[1]))
        self._taken.append(box)
        edge = box.bottom if shift < 0 else box.top
        tie = (min(max(x, box.left), box.right), edge) if shift else None
        return (box.left, box.bottom - _DOWN), tie

    def _places(self, x: float, y: float, words: str) -> Iterator[tuple[Box, int]]:
        """Rectangles and how many lines each is up or down: beside the dot, or centred there."""
        long = _BOLD * wide(words)
        middle = max(min(x - long / 2, self._area.right - long), self._area.left)
        for shift in sorted(range(-_STEPS, _STEPS + 1), key=abs):
            baseline = y + 4 + LINE * shift
            for left in (x + _ASIDE, x - _ASIDE - long, *([middle] if shift else [])):
                yield Box(left, baseline - _UP, left + long, baseline + _DOWN), shift

    def _free(self, box: Box) -> bool:
        return box.within(self._area) and not any(box.meets(other) for other in self._taken)

    def _covered(self, box: Box) -> int:
        return sum(box.holds(x, y) for x, y in self._dots)


def wide(words: str) -> float:
    """About how many units a text takes; a Chinese character takes two letters' room."""
    return _LETTER * cells(words)


def apart(places: Sequence[float], least: float, top: float, bottom: float) -> list[float]:
    """The places moved as little as needed to be `least` apart, in their order from the top.

    Those that find no room before the bottom move up again.

    >>> apart([10.0, 11.0, 50.0], 14.0, 0.0, 60.0)
    [10.0, 24.0, 50.0]
    >>> apart([58.0, 59.0], 14.0, 0.0, 60.0)
    [46.0, 60.0]
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    last = top - least
    for index in order:
        last = moved[index] = max(moved[index], last + least)
    last = bottom + least
    for index in reversed(order):
        last = moved[index] = min(moved[index], last - least)
    return moved
