"""The linter: what shifts the variance by more than is allowed, with codes and how to fix it."""

from varshift.check.catalogue import RULES, Rule
from varshift.check.checking import check
from varshift.check.results import Finding, Findings

__all__ = ["RULES", "Finding", "Findings", "Rule", "check"]
