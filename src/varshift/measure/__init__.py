"""Stored, train and test moments at every norm site, and the passes that find them."""

from varshift.measure.lockstep import LockStep, lock_step
from varshift.measure.measuring import measure
from varshift.measure.onebyone import site_by_site
from varshift.measure.ranks import Ranks
from varshift.measure.results import Measurement, Site, Statistics
from varshift.measure.taps import Tap, TappedSite, channel_moments

__all__ = [
    "LockStep",
    "Measurement",
    "Ranks",
    "Site",
    "Statistics",
    "Tap",
    "TappedSite",
    "channel_moments",
    "lock_step",
    "measure",
    "site_by_site",
]
