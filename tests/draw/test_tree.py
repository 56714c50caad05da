"""The model's tree: what is clean is one line, all of it is there, in the model's order."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from problems.pages import leaves
from varshift._draw.document import Leaf, Tree
from varshift._draw.page.tree import Branch, axis, lay_tree


def leaf(path, tone="none", shift=1.0, error=0.01):
    return Leaf(path, tone, f"{shift:.2f}", shift, shift - error, shift + error)


def paths(tree):
    return [one.path for each in tree.inside for one in each.leaves]


def lines(inside, depth=0):
    """What is in view at first: two spaces a level, and + before what is folded."""
    for each in inside:
        if isinstance(each, Branch):
            yield f"{'  ' * depth}{'+' if each.folded else ''}{each.name}: {each.told}"
            if not each.folded:
                yield from lines(each.inside, depth + 1)
        else:
            yield f"{'  ' * depth}{each.name} {each.tone}"


def test_clean_siblings_are_one_line_with_their_count_and_range():
    norms = [leaf(f"net.{index}.bn", shift=1 + index / 1000) for index in range(14)]
    norms[9] = leaf("net.9.bn", "severe", 0.4)
    norms.append(leaf("head.bn"))
    assert list(lines(lay_tree(Tree(norms, "Δ")).inside)) == [
        "net: 14 norms, 1 severe: Δ 0.4 to 1.01",
        "  +0.bn … 8.bn: 9 norms, none surely shifts: Δ 1 to 1.01",
        "  9.bn severe",
        "  +10.bn … 13.bn: 4 norms, none surely shifts: Δ 1.01",
        "head.bn none",
    ]


def test_two_clean_norms_need_no_line_for_themselves():
    norms = [leaf(f"net.{index}", "mild" if index % 3 == 0 else "none") for index in range(15)]
    assert not any("+" in line for line in lines(lay_tree(Tree(norms, "Δ")).inside))


def test_a_small_tree_is_open():
    norms = [leaf(f"a.{index}.bn") for index in range(12)]
    assert next(iter(lines(lay_tree(Tree(norms, "Δ")).inside))) == (
        "a: 12 norms, none surely shifts: Δ 1"
    )
    assert not lay_tree(Tree(norms, "Δ")).folds
    assert lay_tree(Tree([*norms, leaf("b.bn")], "Δ")).folds


def test_a_path_that_is_the_beginning_of_another_stays_a_norm():
    tree = lay_tree(Tree([leaf("bn"), leaf("bn.inner"), leaf(""), leaf("bn")], "Δ"))
    assert sorted(paths(tree)) == ["", "bn", "bn", "bn.inner"]
    assert [each.name for each in tree.inside] == ["bn", "the model itself"]


def test_what_is_not_known_has_no_bar_and_is_counted():
    norms = [leaf("a.x"), leaf("a.y", shift=math.nan)]
    (group,) = lay_tree(Tree(norms, "Δ")).inside
    assert group.told == "2 norms, none surely shifts, 1 not known: Δ 1"
    assert [each.bar is None for each in group.inside] == [False, True]


def test_an_interval_without_end_leaves_the_others_their_room():
    norms = [leaf("a", shift=0.5), Leaf("b", "none", "", 0.9, -math.inf, math.inf)]
    bars = [each.bar for each in lay_tree(Tree(norms, "Δ")).inside]
    assert bars[1].at - bars[0].at > 25  # percent of the axis
    assert 0 <= bars[1].low <= bars[1].high <= 100


@pytest.mark.parametrize("count", [1, 4, 40, 121, 300])
def test_numbers_of_the_axis_stand_apart_and_have_the_level(count):
    tree = lay_tree(Tree(leaves(count), "Δ"))
    places = [at for _, at in tree.ticks]
    assert "1" in [number for number, _ in tree.ticks]
    assert all(other - one >= 17 for one, other in itertools.pairwise(places))


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(".".join),
            st.sampled_from(["none", "mild", "severe"]),
        ),
        min_size=1,
        max_size=60,
        unique_by=lambda each: each[0],
    )
)
def test_every_norm_is_there_once_and_nothing_that_shifts_is_folded(norms):
    held = [leaf(path, tone) for path, tone in norms]
    tree = lay_tree(Tree(held, "Δ"), axis(held))
    assert sorted(paths(tree)) == sorted(path for path, _ in norms)

    def check(inside):
        for each in inside:
            if isinstance(each, Branch):
                assert not each.folded or {one.tone for one in each.leaves} == {"none"}
                check(each.inside)

    check(tree.inside)
