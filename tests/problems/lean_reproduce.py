"""`varshift reproduce` whose smoke scale reads no footprints, which take most of its time."""

from __future__ import annotations

from dataclasses import replace

from varshift.reproduce.scales import SCALES

__all__ = ["main"]


def main() -> None:
    """The command itself."""
    from varshift._cli import main as command

    smoke = SCALES["smoke"]
    SCALES["smoke"] = replace(smoke, budget=replace(smoke.budget, footprint=0))
    command()
