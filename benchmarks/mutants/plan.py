"""What is mutated, how many mutants of it, and which tests judge them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/varshift"
WORK = ROOT / "build/mutants"  # a copy of the source, what tests reach, outputs of tests
RECORDS = ROOT / "docs/results/mutants.jsonl"
PAGE = ROOT / "docs/results/mutants.md"

SEED = "varshift"  # another word draws another sample
FEWEST = 2  # mutants of a file at least, however small the file
SECONDS = 10.0  # of processor time for the tests of a mutant, as timed without it
PATIENCE = 60.0  # seconds of it on top of twice that time, and it hangs: killed
WAITING = 300.0  # seconds by the clock, for what hangs without working


@dataclass(frozen=True)
class Group:
    """Files that are sampled together, and the tests that answer for them.

    Attributes:
        files: patterns under src/varshift.
        mutants: how many are drawn from them.
        tests: folders and files of tests/.
    """

    files: tuple[str, ...]
    mutants: int
    tests: tuple[str, ...]


_RECALIBRATED = tuple(
    f"repair/test_recalibrate_{what}.py" for what in ("exact", "contexts", "refuses")
)
GROUPS = {
    "theory": Group(("theory/*.py",), 100, ("theory",)),
    "engine": Group(
        ("_engine/*.py",),
        64,
        (
            *("engine", "inspect", "measure", "ranks/test_exchanges.py", "repair/test_choosing.py"),
            *("predict/test_means.py", "explain/test_attention_masks.py"),
            *_RECALIBRATED,
        ),
    ),
    "engine, borrow": Group(("_engine/borrow/*.py",), 48, ("engine", "contract/test_borrowed.py")),
    "engine, record": Group(
        ("_engine/record/*.py",),
        40,
        (
            *("measure", "engine", "repair/test_recalibrate_exact.py"),
            *("devices/test_default_device.py", "explain/test_reused_norms.py"),
        ),
    ),
    "engine, trace": Group(
        ("_engine/trace/*.py",),
        46,
        ("inspect", "engine", "predict/test_laws.py", "predict/test_means.py"),
    ),
    "blame": Group(
        ("_explain/blame.py", "_explain/blaming.py", "_measure/few.py"),
        20,
        ("explain", "measure", "diagnose/test_few_channels.py"),
    ),
    "gate": Group(
        (
            *(f"_repair/{name}.py" for name in ("choosing", "gate", "kinds", "labels", "losses")),
            *(f"_repair/{name}.py" for name in ("predictions", "reasons", "scoring", "split")),
            *("_repair/trials.py", "judging.py", "results/score.py"),
        ),
        70,
        (
            *(f"repair/test_{name}.py" for name in ("gate", "choosing", "judging", "kinds")),
            *(f"repair/test_{name}.py" for name in ("predictions", "split", "repair")),
            *(
                "repair/test_reader.py",
                "repair/test_choosing_numbers.py",
                "repair/test_forwards.py",
            ),
            *(
                "repair/test_dealing.py",
                "repair/test_meter.py",
                "repair/test_judge.py",
                "contract/test_repair.py",
            ),
        ),
    ),
}


def files_of(group: Group) -> list[Path]:
    """Its files, by name."""
    return sorted(path for pattern in group.files for path in SOURCE.glob(pattern))


def tests_of(group: Group) -> list[str]:
    """Its test files, relative to the root."""
    places = [ROOT / "tests" / name for name in dict.fromkeys(group.tests)]
    found = [
        path
        for place in places
        for path in (sorted(place.glob("test_*.py")) if place.is_dir() else [place])
    ]
    return [str(path.relative_to(ROOT)) for path in found]
