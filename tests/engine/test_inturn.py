"""Ways back know which were opened after them, and hold none of them alive."""

from __future__ import annotations

import gc

from varshift._engine.inturn import later_than, opened


class Way:
    """Anything that can be weakly referred to."""


def ways(count):
    made = [Way() for _ in range(count)]
    for way in made:
        opened(way)
    return made


def test_those_opened_later_are_found_in_their_order():
    first, second, third = ways(3)
    assert later_than(first) == [second, third]
    assert later_than(second) == [third]
    assert later_than(third) == []
    assert later_than(Way()) == []


def test_one_that_nobody_holds_any_more_is_left_out():
    first, second, third = ways(3)
    del second
    gc.collect()
    assert later_than(first) == [third]
