"""VS401: a norm that no module holds, so that `eval()` does not reach it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from varshift._check.evidence import Evidence
from varshift.results import Finding

__all__ = ["norms_out_of_reach"]


def norms_out_of_reach(evidence: Evidence) -> Iterator[Finding]:
    """Every norm that evaluation left in training, because no module holds it."""
    for norm in evidence.structure.norms:
        if norm.registered or norm.path not in evidence.by_batch:
            continue
        yield Finding(
            code="VS401",
            place=norm.path,
            noises=(),
            severity=math.nan,
            low=None,
            high=None,
            shift=None,
            how="measured",
            basis=evidence.basis,
            message=(
                f"eval() does not reach the norm {norm.path!r}, which no module holds: in "
                "evaluation it normalises by each batch, and state_dict() does not save it"
            ),
            line=evidence.line((), norm.path),
        )
