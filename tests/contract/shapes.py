"""The JSON of every result, key by key. A dict has exactly these keys; `Each` one kind of value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["COLUMNS", "SHAPES", "Each", "differences"]

LEAF = "a number, a string or null"


@dataclass(frozen=True)
class Each:
    """A mapping from names that a user chose, such as paths, or a list: every value alike."""

    value: Any


def leaves(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, LEAF)


FIGURE = leaves("value", "se")
FIGURES = Each(FIGURE)
NUMBERS = Each(LEAF)
LINE = leaves("file", "number", "function", "code")

NOISE = leaves(
    *("name", "path", "module", "operation", "law", "drop_p", "tau", "sharing", "active", "calls"),
) | {"line": LINE}
NORM = leaves(
    *(
        "path",
        "kind",
        "channels",
        "momentum",
        "eps",
        "affine",
        "frozen",
        "calls",
        "reused",
        "registered",
    )
)
ROUTE = leaves("noise", "norm", "placement", "direct") | {
    "placements": NUMBERS,
    "layers": Each(leaves("path", "kind", "role")),
}
STRUCTURE = {
    "schema": "varshift.structure/1",
    "noises": Each(NOISE),
    "norms": Each(NORM),
    "routes": Each(ROUTE),
    "notes": NUMBERS,
}
STATISTICS = {"mean": NUMBERS, "var": NUMBERS, "count": LEAF}
MOMENTS = STATISTICS | {"within": NUMBERS}
RUN = leaves("samples", "batches") | {"skipped": NUMBERS, "notes": NUMBERS}

MEASURED = leaves(
    *("shift", "shift_se", "severity", "severity_se", "paper", "paper_se", "samples", "by_batch"),
) | {
    "delta": NUMBERS,
    "delta_se": NUMBERS,
    "dead": NUMBERS,
    **dict.fromkeys(("stored", "train", "test"), MOMENTS),
}
FACTORS = (
    *("total", "noise", "staleness", "data"),
    *("alone", "batches", "carried", "composition", "age"),
)
CAUSES = ("noise", "staleness", "small-batch", "data")
BLAME = leaves("passes", "unit") | {
    "entries": Each(
        leaves("noise", "place", "share", "share_se", "mean_shift", "mean_shift_se"),
    ),
    "total": FIGURES,
    "interaction": FIGURES,
    "rest": FIGURES,
    "silenced": NUMBERS,
    "unsilenced": NUMBERS,
    "steady": LEAF,
    "otherwise": NUMBERS,
    "in_evaluation": LEAF,
    "left_out": NUMBERS,
}
STALE = leaves(
    *("cause", "momentum", "steps", "initial", "apart", "left", "scale"),
    *("batch", "batches", "trained", "sentence", "alone"),
)
OTHER_NORMS = {
    **dict.fromkeys(("training", "evaluation", "fresh"), NUMBERS),
    "pairs": Each(NUMBERS),
    **dict.fromkeys(("mean_shift", "displacement"), FIGURES),
}
OUTPUT = {"mean_shift": FIGURE, "var_ratio": FIGURE} | dict.fromkeys(
    ("mean_on", "mean_off", "var_on", "var_off", "mean_se"), NUMBERS
)
EXPLAINED = dict.fromkeys(FACTORS, FIGURE) | {
    "displacement": dict.fromkeys(CAUSES, FIGURE),
    "mean_shift": dict.fromkeys(CAUSES, FIGURE),
    "channels": dict.fromkeys(FACTORS, NUMBERS),
    "off": FIGURE,
}
PREDICTED = leaves("shift", "low", "high", "severity", "how", "samples") | dict.fromkeys(
    ("delta", "var_test", "var_train", "energies", "taus"), NUMBERS
)
REMEMBERED = leaves(
    *("path", "place", "placement", "drop_p", "low", "high", "level", "tau", "tau_se"),
    *("added", "p_value", "claimed", "misfit", "channels", "used", "noise", "coded"),
) | {
    **dict.fromkeys(("alike", "lever", "excess"), NUMBERS),
    "instead": Each(leaves("place", "noise", "drop_p", "low", "high")),
}
FINDING = leaves(
    *("code", "place", "severity", "low", "high", "shift", "how", "basis", "message"),
    *("name", "page"),
) | {"noises": NUMBERS, "also": NUMBERS, "quiet": NUMBERS, "line": LINE}
SCORE = leaves("loss", "loss_se", "accuracy", "accuracy_se", "samples")
PAIRED = leaves("mean", "se", "low", "high", "p_value", "samples")
CANDIDATE = leaves("method", "accepted", "verdict", "seconds", "reason") | {
    "score": SCORE,
    "trial": {"loss": PAIRED, "accuracy": PAIRED},
    "tensors": NUMBERS,
    "notes": NUMBERS,
}
PATCH = leaves("noise", "old", "new", "why", "diff") | {"line": LINE}

RECALIBRATION = RUN | {
    "schema": "varshift.recalibration/1",
    "sites": Each({"before": STATISTICS, "after": STATISTICS}),
}
REPAIR = {
    "schema": "varshift.repair/1",
    **leaves("accepted", "method", "reason", "judged_by", "labels_from", "calibration", "held_out"),
    **leaves("split_seed"),
    **dict.fromkeys(("before", "after", "reference"), SCORE),
    "candidates": Each(CANDIDATE),
    "changes": Each({"before": NUMBERS, "after": NUMBERS}),
    "notes": NUMBERS,
}
REWRITE = {
    "schema": "varshift.rewrite/1",
    "changes": Each(leaves("path", "noise", "before", "after", "tau_before", "tau_after")),
    "added": LEAF,
    "patches": Each(PATCH),
    "clean": LEAF,
    "severities": NUMBERS,
    "before": STRUCTURE,
    "after": STRUCTURE,
    "notes": NUMBERS,
}
EXPLANATION = (
    STRUCTURE
    | RUN
    | leaves("verdict", "reason", "passes")
    | {
        "schema": "varshift.explanation/1",
        "scores": dict.fromkeys(CAUSES, LEAF),
        "worst": dict.fromkeys(CAUSES, LEAF),
        "factors": Each(EXPLAINED),
        "blame": BLAME,
        "outputs": Each(OUTPUT),
        "other_norms": OTHER_NORMS,
        "stale": Each(STALE),
        "unlike_runs": NUMBERS,
    }
)
MEASUREMENT = STRUCTURE | RUN | {"schema": "varshift.measurement/1", "sites": Each(MEASURED)}
FINDINGS = {
    "schema": "varshift.findings/1",
    **leaves("max_severity", "norms", "sources"),
    "findings": Each(FINDING),
    "silenced": Each(FINDING),
    "rules": Each(leaves("code", "name", "summary", "why", "fix", "source", "page")),
    "notes": NUMBERS,
}
PLACED = {"line": LINE, "share": FIGURE, "severity": FIGURE} | leaves("place", "cause", "line_of")
STEP = leaves("kind", "cause", "line", "command", "place", "line_of") | {
    "sources": NUMBERS,
    "at_line": LINE,
    "before": FIGURE,
    "after": FIGURE,
    "measured": CANDIDATE,
}
DIAGNOSIS = (
    STRUCTURE
    | leaves("verdict", "grade", "reason", "samples", "batches", "passes")
    | {
        "schema": "varshift.diagnosis/1",
        "worst": Each(PLACED | leaves("grade", "source") | {"shift": FIGURE, "mean_shift": FIGURE}),
        "causes": Each(
            PLACED | {"source": LEAF, "displacement": FIGURE, "why": STALE, "names": NUMBERS}
        ),
        "advice": Each(STEP),
        "unseen": Each(leaves("kind", "why") | {"about": NUMBERS}),
        "settled": NUMBERS,
        "explanation": EXPLANATION,
        "measurement": MEASUREMENT,
        "findings": FINDINGS,
        "held_out": SCORE,
    }
)
SHAPES = {
    "inspect": STRUCTURE,
    "measure": MEASUREMENT,
    "diagnose": DIAGNOSIS,
    "explain": EXPLANATION,
    "predict": STRUCTURE
    | {
        "schema": "varshift.prediction/1",
        "weights": "held fixed",
        "asked": NUMBERS,
        "samples": LEAF,
        "sites": Each(PREDICTED),
        "skipped": NUMBERS,
    },
    "footprint": RUN
    | {
        "schema": "varshift.footprint/1",
        "passes": LEAF,
        "sites": Each(REMEMBERED),
        "further": Each(REMEMBERED),
    },
    "check": FINDINGS,
    "recalibrate": RECALIBRATION,
    "repair": REPAIR,
    "repair with labels": REPAIR,
    "relocate": REWRITE,
    "replace": REWRITE,
    "patch": REWRITE,
}

_REPAIRS = (
    *("repair", "loss", "loss_se", "accuracy", "change"),
    *("low", "high", "p_value", "accepted"),
)
_REWRITES = ("noise", "how", "before", "after", "tau_before", "tau_after")
COLUMNS = {
    "inspect": ("noise", "norm", "placement", "drop_p", "tau", "sharing", "layers"),
    "measure": (
        *("site", "channels", "dead", "shift", "shift_se", "severity", "severity_se"),
        *("paper", "paper_se", "noises"),
    ),
    "diagnose": (
        *("place", "cause", "grade", "severity", "severity_se", "shift"),
        *("source", "share", "line", "line_of"),
    ),
    "explain": (
        *("site", *FACTORS, *(f"{name}_se" for name in FACTORS)),
        *("culprit", "share"),
    ),
    "predict": ("site", "shift", "low", "high", "severity", "how", "noises"),
    "footprint": (
        *("site", "place", "placement", "noise", "drop_p", "low", "high", "level", "tau", "tau_se"),
        *("added", "p_value", "claimed", "misfit", "channels", "used"),
        *("alike", "instead", "coded"),
    ),
    "check": (*("code", "place", "severity", "low", "high", "how", "basis", "noises", "line"),),
    "recalibrate": ("site", "channels", "count", "var_ratio", "mean_moved"),
    "repair": _REPAIRS,
    "repair with labels": _REPAIRS,
    "relocate": _REWRITES,
    "replace": _REWRITES,
    "patch": _REWRITES,
}


def differences(value: Any, shape: Any, where: str = "") -> list[str]:
    """Where `value` is not of that shape; null stands for anything that may be missing."""
    if isinstance(shape, Each):
        items = value.items() if isinstance(value, dict) else enumerate(value or ())
        return [d for key, item in items for d in differences(item, shape.value, f"{where}/{key}")]
    if value is None and where:
        return []
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{where}: {type(value).__name__} in place of a mapping"]
        return [f"{where}: {key!r} is on one side only" for key in set(shape) ^ set(value)] + [
            d
            for key in shape.keys() & value.keys()
            for d in differences(value[key], shape[key], f"{where}/{key}")
        ]
    if isinstance(value, (dict, list)):
        return [f"{where}: {type(value).__name__} in place of {shape}"]
    return [] if shape in (LEAF, value) else [f"{where}: {value!r} in place of {shape!r}"]
