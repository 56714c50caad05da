"""The model's tree of norms as a page shows it: groups by path, what is clean folded to a line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from varshift._counting import counted
from varshift._draw.document import Leaf, Tone, Tree
from varshift._draw.figures import figure, shortened
from varshift._draw.pictures.svg.scales import Scale, log

__all__ = ["BarSpan", "Branch", "LaidTree", "Twig", "axis", "lay_tree"]

_NAME = 40  # characters of a name; its title has all of it
_APIECE = 2  # clean norms beside each other that need no line for themselves
_FEW = 12  # norms of a tree that need no folding
_SEARCHED = 20  # norms beyond which a page offers a search
_APART = 17.0  # percent of the axis between two of its numbers
_WHISKER = 1.3  # factor beyond the outermost Δ to which intervals are drawn
_ORDER: Sequence[Tone] = ("none", "known", "good", "mild", "clear", "severe")


@dataclass(frozen=True)
class BarSpan:
    """Where Δ and the ends of its interval stand on the common axis, in percent of its length."""

    low: float
    high: float
    at: float | None = None

    @property
    def length(self) -> float:
        """From one end to the other."""
        return self.high - self.low


@dataclass(frozen=True)
class Twig:
    """One norm: its name within its group, and its figures."""

    name: str
    leaf: Leaf
    bar: BarSpan | None

    @property
    def leaves(self) -> Sequence[Leaf]:
        """Itself."""
        return (self.leaf,)

    @property
    def tone(self) -> Tone:
        """Its grade."""
        return self.leaf.tone

    @property
    def title(self) -> str:
        """The whole path, where the name is only its end."""
        return self.leaf.path if self.leaf.path != self.name else ""


@dataclass(frozen=True)
class Branch:
    """Norms below one part of the path, or clean ones beside each other; `folded` to one line."""

    name: str
    inside: Sequence[Branch | Twig]
    tone: Tone
    told: str
    bar: BarSpan | None
    folded: bool
    title: str = ""

    @property
    def leaves(self) -> Sequence[Leaf]:
        """All norms in it."""
        return [leaf for each in self.inside for leaf in each.leaves]


@dataclass(frozen=True)
class LaidTree:
    """The tree with its common axis: numbers and where they stand, in percent."""

    inside: Sequence[Branch | Twig]
    figure: str
    ticks: Sequence[tuple[str, float]]
    level: float
    count: int

    @property
    def searched(self) -> bool:
        """Whether there are so many norms that a reader looks for one by name."""
        return self.count > _SEARCHED

    @property
    def folds(self) -> bool:
        """Whether some of it is folded and some is not."""
        return any(map(_folds, self.inside))


def lay_tree(tree: Tree, scale: Scale | None = None) -> LaidTree:
    """The tree's groups and bars; `scale` is that of two trees beside each other.

    >>> leaves = [Leaf(f"stage.{i}.bn", "none", "1.00", 1.0, 0.99, 1.01) for i in range(20)]
    >>> leaves.append(Leaf("head.bn", "severe", "2.40", 0.42, 0.40, 0.44))
    >>> [(each.name, each.tone) for each in lay_tree(Tree(leaves, "severity")).inside]
    [('stage', 'none'), ('head.bn', 'severe')]
    >>> lay_tree(Tree(leaves, "severity")).inside[0].told
    '20 norms, none surely shifts: Δ 1'
    """
    across, count = scale or axis(tree.leaves), len(tree.leaves)
    inside = _inside(tree.leaves, 0, across, count > _FEW)
    return LaidTree(inside, tree.figure, _ticks(across), across(1.0), count)


def axis(leaves: Iterable[Leaf]) -> Scale:
    """The common axis: every Δ, the level 1, and intervals as far as they leave room for them."""
    held = list(leaves)
    shifts = [1.0, *(leaf.shift for leaf in held if math.isfinite(leaf.shift) and leaf.shift > 0)]
    least, most = min(shifts) / _WHISKER, max(shifts) * _WHISKER
    ends = [min(max(end, least), most) for leaf in held for end in (leaf.low, leaf.high)]
    return log([*shifts, *ends], 0.0, 100.0)


def _inside(leaves: Sequence[Leaf], depth: int, scale: Scale, folding: bool) -> list[Branch | Twig]:
    """Groups and norms in the model's order, by the part of their paths at this depth."""
    found: dict[str | int, list[Leaf]] = {}
    for index, leaf in enumerate(leaves):
        parts = leaf.path.split(".")
        found.setdefault(parts[depth] if depth < len(parts) else index, []).append(leaf)
    made = [_one(held, depth, scale, folding) for held in found.values()]
    return _runs(made) if folding else made


def _one(held: Sequence[Leaf], depth: int, scale: Scale, folding: bool) -> Branch | Twig:
    split = [leaf.path.split(".") for leaf in held]
    if len(held) == 1:
        name = ".".join(split[0][depth:]) or split[0][-1] or "the model itself"
        return Twig(shortened(name, _NAME), held[0], _bar(held[0], scale))
    # Parts that all of them share make one name: `backbone.stages`, not a group in a group.
    shared = sum(1 for _ in takewhile(_alike, zip(*split, strict=False)))
    path = ".".join(split[0][:shared])
    name = shortened(".".join(split[0][depth:shared]), _NAME)
    folded = folding and _worst(held) == "none"
    inside = _inside(held, shared, scale, folding and not folded)
    return _group(name, inside, folded, path if path != name else "")


def _alike(parts: Sequence[str]) -> bool:
    return len(set(parts)) == 1


def _group(name: str, inside: Sequence[Branch | Twig], folded: bool, title: str = "") -> Branch:
    leaves = [leaf for each in inside for leaf in each.leaves]
    return Branch(name, inside, _worst(leaves), _told(leaves), _span(inside), folded, title)


def _runs(inside: Sequence[Branch | Twig]) -> list[Branch | Twig]:
    """Clean siblings beside each other as one line each time."""
    made: list[Branch | Twig] = []
    run: list[Branch | Twig] = []
    for each in [*inside, None]:
        if each is not None and each.tone == "none":
            run.append(each)
            continue
        if len(run) > 1 and sum(len(one.leaves) for one in run) > _APIECE:
            name = shortened(f"{run[0].name} … {run[-1].name}", _NAME)
            made.append(_group(name, run, True))
        else:
            made += run
        run = []
        if each is not None:
            made.append(each)
    return made


def _worst(leaves: Iterable[Leaf]) -> Tone:
    return max((leaf.tone for leaf in leaves), key=_ORDER.index, default="none")


def _told(leaves: Sequence[Leaf]) -> str:
    """`24 norms, none surely shifts: Δ 0.98 to 1.01`."""
    times = Counter(leaf.tone for leaf in leaves)
    bad = [f"{times[tone]} {tone}" for tone in reversed(_ORDER) if tone != "none" and times[tone]]
    known = [leaf.shift for leaf in leaves if math.isfinite(leaf.shift)]
    unknown = f", {len(leaves) - len(known)} not known" if len(known) < len(leaves) else ""
    words = f"{counted(len(leaves), 'norm')}, {', '.join(bad) or 'none surely shifts'}{unknown}"
    if not known:
        return words
    low, high = figure(min(known), 3), figure(max(known), 3)
    return f"{words}: Δ {low}" + (f" to {high}" if high != low else "")


def _bar(leaf: Leaf, scale: Scale) -> BarSpan | None:
    at = scale(leaf.shift)
    if not math.isfinite(at):
        return None
    low, high = scale(leaf.low), scale(leaf.high)
    return BarSpan(low if low == low else at, high if high == high else at, at)


def _span(inside: Sequence[Branch | Twig]) -> BarSpan | None:
    """From the least Δ of a group to its largest."""
    bars = [each.bar for each in inside if each.bar is not None]
    if not bars:
        return None
    ends = [(bar.low, bar.high) if bar.at is None else (bar.at, bar.at) for bar in bars]
    return BarSpan(min(low for low, _ in ends), max(high for _, high in ends))


def _folds(each: Branch | Twig) -> bool:
    return isinstance(each, Branch) and (each.folded or any(map(_folds, each.inside)))


def _ticks(scale: Scale) -> list[tuple[str, float]]:
    """The level, and the numbers that stand clear of it and of each other."""
    kept = [1.0]
    for tick in scale.ticks(1.0):
        if all(abs(scale(tick) - scale(other)) >= _APART for other in kept):
            kept.append(tick)
    return [(figure(tick, 3), scale(tick)) for tick in sorted(kept)]
