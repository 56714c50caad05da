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
SECONDS = 30.0  # of tests that a mutant meets at most, as timed without it
PATIENCE = 8.0  # times as long as that, and half a minute, and it hangs: killed

_ENGINE_TESTS = ("engine", "inspect", "measure", "repair", "contract", "ranks")


@dataclass(frozen=True)
class Group:
    """Files that are sampled together, and the folders of tests that answer for them.

    Attributes:
        files: patterns under src/varshift.
        mutants: how many are drawn from them.
        tests: folders of tests/, the nearest first.
    """

    files: tuple[str, ...]
    mutants: int
    tests: tuple[str, ...]


GROUPS = {
    "theory": Group(("theory/*.py",), 100, ("theory",)),
    "engine": Group(("_engine/*.py",), 90, _ENGINE_TESTS),
    "engine, borrow": Group(("_engine/borrow/*.py",), 70, _ENGINE_TESTS),
    "engine, record": Group(("_engine/record/*.py",), 60, _ENGINE_TESTS),
    "engine, trace": Group(("_engine/trace/*.py",), 70, ("inspect", *_ENGINE_TESTS)),
    "gate": Group(
        (
            *(f"_repair/{name}.py" for name in ("choosing", "gate", "kinds", "labels", "losses")),
            *(f"_repair/{name}.py" for name in ("predictions", "reasons", "scoring", "split")),
            *("_repair/trials.py", "judging.py", "results/score.py"),
        ),
        70,
        ("repair", "contract"),
    ),
}


def files_of(group: Group) -> list[Path]:
    """Its files, by name."""
    return sorted(path for pattern in group.files for path in SOURCE.glob(pattern))


def tests_of(group: Group) -> list[str]:
    """Its test files, relative to the root, the nearest folder first."""
    folders = dict.fromkeys(group.tests)
    found = [path for name in folders for path in sorted((ROOT / "tests" / name).glob("test_*.py"))]
    return [str(path.relative_to(ROOT)) for path in found]
