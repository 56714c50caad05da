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
PATIENCE = 2.0  # times as much, and five seconds more, and it hangs: killed
WAITING = 300.0  # seconds by the clock, for what hangs without working


_ENGINE_TESTS = (
    *("engine", "inspect", "measure", "contract/test_borrowed.py", "contract/test_undo.py"),
    *("repair/test_averaging.py", "repair/test_making.py", "repair/test_recalibrate_contexts.py"),
    *("repair/test_recalibrate_exact.py", "repair/test_recalibrate_refuses.py"),
    *("repair/test_undo.py", "ranks/test_exchanges.py"),
)


@dataclass(frozen=True)
class Group:
    """Files that are sampled together, and the folders of tests that answer for them.

    Attributes:
        files: patterns under src/varshift.
        mutants: how many are drawn from them.
        tests: folders and files of tests/, the nearest first.
    """

    files: tuple[str, ...]
    mutants: int
    tests: tuple[str, ...]


GROUPS = {
    "theory": Group(("theory/*.py",), 100, ("theory",)),
    "engine": Group(("_engine/*.py",), 64, _ENGINE_TESTS),
    "engine, borrow": Group(("_engine/borrow/*.py",), 48, _ENGINE_TESTS),
    "engine, record": Group(("_engine/record/*.py",), 40, _ENGINE_TESTS),
    "engine, trace": Group(("_engine/trace/*.py",), 46, ("inspect", *_ENGINE_TESTS)),
    "gate": Group(
        (
            *(f"_repair/{name}.py" for name in ("choosing", "gate", "kinds", "labels", "losses")),
            *(f"_repair/{name}.py" for name in ("predictions", "reasons", "scoring", "split")),
            *("_repair/trials.py", "judging.py", "results/score.py"),
        ),
        70,
        ("repair", "contract/test_repair.py"),
    ),
}


def files_of(group: Group) -> list[Path]:
    """Its files, by name."""
    return sorted(path for pattern in group.files for path in SOURCE.glob(pattern))


def tests_of(group: Group) -> list[str]:
    """Its test files, relative to the root, the nearest folder first."""
    places = [ROOT / "tests" / name for name in dict.fromkeys(group.tests)]
    found = [
        path
        for place in places
        for path in (sorted(place.glob("test_*.py")) if place.is_dir() else [place])
    ]
    return [str(path.relative_to(ROOT)) for path in found]
