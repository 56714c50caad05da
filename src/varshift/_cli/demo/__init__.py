"""`varshift demo`: the paper's effect on a small network, found, measured and repaired."""

from varshift._cli.demo.net import PreResNet
from varshift._cli.demo.run import Demo, Settings, run_demo

__all__ = ["Demo", "PreResNet", "Settings", "run_demo"]
