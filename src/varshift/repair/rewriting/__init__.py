"""Remedies before training: other noise, or noise in another place."""

from varshift.repair.rewriting.relocating import relocate
from varshift.repair.rewriting.replacing import replace
from varshift.repair.rewriting.results import Patch, Rewrite, Rewritten

__all__ = ["Patch", "Rewrite", "Rewritten", "relocate", "replace"]
