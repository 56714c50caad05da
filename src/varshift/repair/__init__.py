"""Remedies, measured before they are kept."""

from varshift.repair.recalibration import recalibrate
from varshift.repair.results import Change, Recalibration

__all__ = ["Change", "Recalibration", "recalibrate"]
