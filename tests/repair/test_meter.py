"""The progress of a repair: never backwards, never past its end."""

from __future__ import annotations

import pytest

from varshift._repair.trials import Meter, refuse_few
from varshift.errors import DataError


class Report:
    def __init__(self):
        self.seen = []

    def __call__(self, done, planned):
        self.seen.append((done, planned))

    def say(self, what):
        self.seen.append(what)


def test_passes_are_added_up_and_the_plan_grows_where_it_was_too_small():
    report = Report()
    meter = Meter(report)
    meter.planned = 5
    meter(2)
    meter.say("judging")
    meter(2)
    meter(3)
    assert report.seen == [(2, 5), "judging", (4, 5), (7, 7)]


def test_twenty_samples_are_enough_and_nineteen_are_not():
    refuse_few(20)
    with pytest.raises(DataError, match="19 held-out samples: too few"):
        refuse_few(19)
    with pytest.raises(DataError, match="1 held-out sample, not counting 7 whose label is to be"):
        refuse_few(1, 7)
