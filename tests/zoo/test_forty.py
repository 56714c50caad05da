"""Forty architectures of five libraries: read, given back, their routes tried by plain hooks."""

from __future__ import annotations

import pytest

from problems.libraries import library
from zoo.forty import FORTY

pytestmark = pytest.mark.filterwarnings("ignore")  # third-party imports warn as they please


@pytest.fixture(scope="module")
def read():
    """Lines of the networks as they are read, for the count at the end."""
    return {}


def test_they_are_forty():
    assert len(set(FORTY)) == 40


@pytest.mark.parametrize("name", FORTY)
def test_it_is_read_and_given_back_and_only_its_routes_move(name, read):
    library(name.partition("/")[0])
    from benchmarks.zoo.reading import line_of

    line = read[name] = line_of(name)
    assert line["outcome"] == "read", line["reason"]
    assert line["marks"] == []
    assert line["norms"] > 0
    assert line["pairs"]["moved"] == []
    assert line["pairs"]["unmoved"] == []


def test_both_kinds_of_pair_were_tried_often_enough(read):
    if len(read) < len(FORTY):
        pytest.skip("only some of the forty were read in this process; run the whole file")
    for kind in ("reported", "unreported"):
        assert sum(line["pairs"][kind] for line in read.values()) >= 500
