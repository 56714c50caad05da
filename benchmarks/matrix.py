"""Every promised torch with every promised Python: `make matrix`, or `python -m benchmarks.matrix`.

Standard library only, since it makes the environments it needs. Each cell gets an environment of
its own, runs a slice of the tests there, writes one line to docs/results/versions.jsonl and throws
the environment away, so that a run that is stopped goes on where it was. The source is what HEAD
holds, unpacked beside the environments: the working tree may change meanwhile.

MATRIX_CELLS     "2.4.1-3.11,2.6.0-3.12": these cells only, finished or not; else all unfinished
MATRIX_FOLDER    where environments and packages are kept; build/matrix
CPU_WHEELS       an index with CPU builds of torch, tried first; empty: the usual index alone
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "docs/results/versions.jsonl"
FOLDER = Path(os.environ.get("MATRIX_FOLDER", ROOT / "build/matrix")).absolute()
# The oldest torch that is promised, two between, and the newest of the day.
TORCHES = ("2.4.1", "2.6.0", "2.8.0", "2.15.0")
PYTHONS = ("3.11", "3.12", "3.13")
# Where torch's own names, modes and compilers are met; a minute or two on one quiet core.
SLICE = (
    "tests/test_public.py",
    "tests/nn",
    "tests/engine/test_borrowed_kinds.py",
    "tests/engine/test_borrowed_process.py",
    "tests/engine/test_containers.py",
    "tests/engine/test_edits.py",
    "tests/engine/test_hidden.py",
    "tests/engine/test_mode.py",
    "tests/engine/test_nested.py",
    "tests/engine/test_own_eval.py",
    "tests/inspect/test_decided.py",
    "tests/inspect/test_masks.py",
    "tests/inspect/test_noises.py",
    "tests/inspect/test_prove.py",
    "tests/inspect/test_sharing.py",
    "tests/inspect/test_written.py",
    "tests/measure/test_measure.py",
    "tests/measure/test_other_norms.py",
    "tests/repair/test_averaging.py",
    "tests/repair/test_recalibrate_contexts.py",
    "tests/repair/test_recalibrate_exact.py",
    "tests/repair/test_recalibrate_refuses.py",
    "tests/contract/test_inspect.py",
    "tests/contract/test_measure.py",
    "tests/contract/test_recalibrate.py",
)
LONGEST = 3600  # seconds for the tests of one cell
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# What an index says when a torch was never built for a Python.
NO_WHEELS = re.compile(
    r"no wheels with a matching|No matching distribution|Could not find a version"
)


def main() -> None:
    """Run what is left to run, one cell after the other."""
    done = {(record["torch"], record["python"]) for record in records()}
    asked = [cell for cell in os.environ.get("MATRIX_CELLS", "").split(",") if cell]
    every = [(torch, python) for torch in TORCHES for python in PYTHONS]
    unknown = set(asked) - {f"{torch}-{python}" for torch, python in every}
    if unknown:
        sys.exit(f"MATRIX_CELLS names {', '.join(sorted(unknown))}; a cell is {TORCHES[0]}-3.11")
    cells = [cell for cell in every if ("-".join(cell) in asked if asked else cell not in done)]
    previous = ""
    for torch, python in cells:
        if torch != previous and previous:  # several gigabytes of libraries a version
            shutil.rmtree(FOLDER / "cache", ignore_errors=True)
        previous = torch
        record = cell_record(torch, python)
        keep(record)
        print(json.dumps(record), flush=True)


def cell_record(torch: str, python: str) -> dict[str, Any]:
    """What came of one cell: counts, or why there are none."""
    found = shutil.which(f"python{python}")
    record: dict[str, Any] = {"torch": torch, "python": python}
    if found is None:
        return record | {"outcome": "no such Python here"}
    environment = FOLDER / f"torch{torch}-python{python}"
    commit, source = unpacked()
    started = time.monotonic()
    try:
        said = install(environment, found, torch)
        if said:
            print(said, file=sys.stderr)
            none = NO_WHEELS.search(said)
            return record | {"outcome": "no wheels" if none else "not installed"}
        record |= {"commit": commit, **tested(environment, source)}
        return record | {"minutes": round((time.monotonic() - started) / 60, 1)}
    finally:
        shutil.rmtree(environment, ignore_errors=True)


def install(environment: Path, python: str, torch: str) -> str:
    """Make the environment; what the installer said where it could not, else nothing."""
    shutil.rmtree(environment, ignore_errors=True)  # of a run that was stopped
    run([python, "-m", "venv", *(["--without-pip"] if uv() else []), str(environment)])
    lists = environment / "lists"
    lists.mkdir()
    (lists / "wanted.txt").write_text("\n".join([f"torch=={torch}", *wanted()]))
    (lists / "pinned.txt").write_text("\n".join(pinned()))
    pin = ["--constraint", str(lists / "pinned.txt")]
    cpu = os.environ.get("CPU_WHEELS", "")
    if cpu:  # without it torch comes with its CUDA libraries, which the tests leave alone
        run([*installer(environment), "--no-deps", "--index-url", cpu, f"torch=={torch}"])
    if uv():  # triton compiles for accelerators alone; pip cannot leave it out
        (lists / "without.txt").write_text("triton; sys_platform == 'never'\n")
        pin += ["--override", str(lists / "without.txt")]
    ended = run([*installer(environment), *pin, "-r", str(lists / "wanted.txt")])
    return ended.stderr if ended.returncode else ""


def uv() -> str | None:
    """It links from one cache where pip copies: a tenth of the time and of the disk."""
    return shutil.which("uv")


def installer(environment: Path) -> list[str]:
    python = str(environment / "bin/python")
    found = uv()
    if found:
        return [found, "pip", "install", "--quiet", "--python", python]
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def wanted() -> list[str]:
    """What the slice needs beside torch: from pyproject.toml, so that it is named once."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    tools = ("pytest", "hypothesis", "mpmath")
    asked = ["setuptools"]  # inductor of torch 2.4 imports it, and nothing brings it
    asked += [*project["dependencies"], *extras["cli"], *extras["report"]]
    asked += [line for line in extras["dev"] if line.startswith(tools) and "xdist" not in line]
    return sorted({line for line in asked if not line.startswith("torch")})


def pinned() -> list[str]:
    """constraints.txt but for torch and what a torch brings in a version of its own."""
    own = ("torch", "triton", "sympy", "networkx")
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith(own)]


def unpacked() -> tuple[str, Path]:
    """The commit at HEAD, and the folder that holds its files."""
    commit = run(["git", "rev-parse", "--short=10", "HEAD"], check=True).stdout.strip()
    folder = FOLDER / "source" / commit
    if not folder.exists():
        shutil.rmtree(FOLDER / "source", ignore_errors=True)
        archive = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, capture_output=True, check=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
    return commit, folder


def tested(environment: Path, source: Path) -> dict[str, Any]:
    """Run the slice and count."""
    report = environment / "report.xml"
    command = [str(environment / "bin/python"), "-m", "pytest", "-q", "--no-header"]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}", *SLICE]
    surroundings = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST")
    }
    surroundings |= ONE_THREAD | {"PYTHONPATH": str(source / "src")}
    try:
        subprocess.run(command, cwd=source, env=surroundings, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return {"outcome": f"longer than {LONGEST} s"}
    if not report.exists():
        return {"outcome": "the tests did not start"}
    return counted(ElementTree.parse(report).getroot())


def counted(report: ElementTree.Element) -> dict[str, Any]:
    """Passed, failed and skipped, and the names of what failed."""
    cases = list(report.iter("testcase"))
    failed = [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    counts = {"passed": len(cases) - len(failed) - skipped, "failed": len(failed)}
    return {"outcome": "run", **counts, "skipped": skipped, "failures": failed[:20]}


def run(command: list[str], check: bool = False) -> subprocess.CompletedProcess[str]:
    surroundings = os.environ | {"UV_CACHE_DIR": str(FOLDER / "cache")}
    return subprocess.run(
        command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=check
    )


def records() -> list[dict[str, Any]]:
    """Every finished cell, in the order of TORCHES and PYTHONS."""
    if not RECORDS.exists():
        return []
    return [json.loads(line) for line in RECORDS.read_text().splitlines()]


def keep(record: dict[str, Any]) -> None:
    """Write the record in its place, whole or not at all."""
    key = (record["torch"], record["python"])
    others = [other for other in records() if (other["torch"], other["python"]) != key]
    every = sorted([*others, record], key=lambda one: (_order(one["torch"]), _order(one["python"])))
    FOLDER.mkdir(parents=True, exist_ok=True)
    draft = FOLDER / "versions.jsonl"
    draft.write_text("".join(json.dumps(one) + "\n" for one in every))
    shutil.move(draft, RECORDS)


def _order(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


if __name__ == "__main__":
    main()
