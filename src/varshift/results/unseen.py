"""What a diagnosis could not see, as values that code can tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["Unseen", "UnseenKind"]


class UnseenKind(Enum):
    """What was not seen; the value says it in the field's words."""

    SKIPPED_NORM = "norm that could not be explained"
    DEAD_CHANNELS = "norm with channels that do not vary"
    SILENT_SOURCE = "noise that stayed silent"
    UNSILENCED_SOURCE = "noise that could not be silenced"
    KEPT_NORM = "norm whose statistics recalibrate leaves as they are"
    NO_TEST_DATA = "no test data was given"
    NO_REPAIR_TRIED = "held-out data was given, and no repair is advised"
    NOT_PREDICTED = "what a change of the noise would do follows no closed form"


@dataclass(frozen=True)
class Unseen:
    """One thing that was not seen.

    Attributes:
        kind: what kind of thing.
        about: paths of the norms, or names of the sources; empty where it is about the data.
        why: the reason in words, where it is not the same for all of its kind.

    >>> Unseen(UnseenKind.NO_TEST_DATA).kind.value
    'no test data was given'
    """

    kind: UnseenKind
    about: tuple[str, ...] = ()
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the kind's value, and what it is about."""
        return {"kind": self.kind.value, "about": list(self.about), "why": self.why}
