"""Remedies, measured before they are kept."""

from varshift.repair.gate import Score, Trial
from varshift.repair.recalibration import recalibrate
from varshift.repair.repaired import Candidate, Repair, Rewrote
from varshift.repair.repairing import repair
from varshift.repair.results import Change, Recalibration
from varshift.repair.rewriting import Patch, Rewrite, Rewritten, relocate, replace

__all__ = [
    "Candidate",
    "Change",
    "Patch",
    "Recalibration",
    "Repair",
    "Rewrite",
    "Rewritten",
    "Rewrote",
    "Score",
    "Trial",
    "recalibrate",
    "relocate",
    "repair",
    "replace",
]
