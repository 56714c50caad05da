"""`varshift demo`: the paper's effect on a small network, found, measured and repaired."""

from varshift.demo.net import PreResNet
from varshift.demo.run import Demo, Settings, run_demo

__all__ = ["Demo", "PreResNet", "Settings", "run_demo"]
