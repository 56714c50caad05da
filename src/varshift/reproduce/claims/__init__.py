"""The paper's ten claims, each with an effect size, its interval over seeds, and a verdict."""

from varshift.reproduce.claims.judged import CLAIMS, Claim, Verdict, judged

__all__ = ["CLAIMS", "Claim", "Verdict", "judged"]
