"""Remedies, measured before they are kept."""

from varshift.repair.gate import Score, Trial
from varshift.repair.recalibration import recalibrate
from varshift.repair.repaired import Candidate, Repair, Rewrote
from varshift.repair.repairing import repair
from varshift.repair.results import Change, Recalibration

__all__ = [
    "Candidate",
    "Change",
    "Recalibration",
    "Repair",
    "Rewrote",
    "Score",
    "Trial",
    "recalibrate",
    "repair",
]
