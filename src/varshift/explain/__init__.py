"""Where measurement meets its causes: factors per site, blame per source, a verdict."""

from varshift.explain.explaining import explain
from varshift.explain.results import Blame, Explanation, Factors, Figure, Output

__all__ = ["Blame", "Explanation", "Factors", "Figure", "Output", "explain"]
