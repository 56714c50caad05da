"""Claims and their verdicts as sheets."""

from __future__ import annotations

import math
from collections.abc import Sequence

from varshift.reproduce.claims import Verdict
from varshift.reproduce.estimates import LEVEL, Part
from varshift.reproduce.sheet import Sheet, interval

__all__ = ["detail_sheet", "verdict_sheet"]


def verdict_sheet(verdicts: Sequence[Verdict], data: str) -> Sheet:
    """One row per claim: its word and the effects it rests on. `data` names the images."""
    rows = tuple(
        (
            one.claim.key,
            one.claim.says,
            one.word,
            "; ".join(_told(part) for part in one.deciding) or "not run",
            ", ".join(part.name for part in one.exceptions) or "–",
        )
        for one in verdicts
    )
    notes = (
        f"Mean over these networks [{100 * LEVEL:.0f} % interval from their seeds, Student's t]. "
        "*Holds*: every interval lies wholly where the claim puts it; *does not hold*: one lies "
        "wholly elsewhere; else *not decided at this scale*. The last column: networks of which "
        "all seeds say the opposite. Intervals are not corrected for their number.",
    )
    heads = ("", "claim", "verdict", "effects", "but not")
    return Sheet(f"The paper's claims, {data}", heads, rows, notes)


def detail_sheet(verdict: Verdict) -> Sheet:
    """Every estimate of one claim, network by network."""
    rows = tuple(
        (
            f"{part.name} (beside)" if part.role == "beside" else part.name,
            interval(part.estimate, 3),
            _range(part),
            str(len(part.estimate.values)),
            part.word,
        )
        for part in verdict.parts
    )
    claim = verdict.claim
    heads = ("", "effect", "holds if", "n", "")
    notes = (f"Measured: {claim.figure}. In the paper: {claim.source}.",)
    return Sheet(f"({claim.key}) {claim.says}", heads, rows, notes)


def _told(part: Part) -> str:
    name = part.name.removeprefix("all").strip() or "all"
    return f"{name}: {interval(part.estimate) if part.estimate.values else 'not run'}"


def _range(part: Part) -> str:
    if math.isinf(part.low):
        return f"below {part.high:g}"
    if math.isinf(part.high):
        return f"above {part.low:g}"
    return f"{part.low:g} to {part.high:g}"
