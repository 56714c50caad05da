"""Lightning: validate with noise-off statistics, and save them, while training keeps its own."""

from varshift.integrations.lightning.callback import NoiseOffStatistics

__all__ = ["NoiseOffStatistics"]
