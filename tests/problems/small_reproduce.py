"""`varshift reproduce` with a smoke scale of one small network: for kills, and for clusters.

To be run as a file, or by its `main`, wherever the command itself could stand.
"""

from __future__ import annotations

from dataclasses import replace

from varshift.reproduce.run import Images
from varshift.reproduce.scales import SCALES, Budget

__all__ = ["main"]


def main() -> None:
    """The command itself; a network is trained and measured in seconds."""
    from varshift._cli import main as command

    smoke = SCALES["smoke"]
    SCALES["smoke"] = replace(
        smoke,
        images={"C10": Images("digits", 8, train=512, test=128)},
        shapes={"WRN": smoke.shapes["WRN"]},
        budget=Budget(train=128, shift=128, repair=128, footprint=0, noisy=2),
    )
    command()


if __name__ == "__main__":
    main()
