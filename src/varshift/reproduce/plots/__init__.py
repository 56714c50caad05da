"""The paper's figures, drawn from records. Needs matplotlib, the `reproduce` extra."""

from varshift.reproduce.plots.drawing import draw

__all__ = ["draw"]
