"""`python -m tests.faults.written --count 200`: files under full disks and signals.

Of every writer: what was there stays whole, or the new file is; nothing else is left, but by
SIGKILL; and what is said is a sentence with the file's name.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch  # noqa: E402

from faults.disks import killed, ways  # noqa: E402
from faults.writers import WRITERS  # noqa: E402
from varshift.errors import CheckpointError, WriteError  # noqa: E402


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--count", type=int, default=200, help="full disks and signals a writer")
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    torch.set_num_threads(1)
    rng, wrong = random.Random(given.seed), []
    for writer in WRITERS:
        with tempfile.TemporaryDirectory() as folder:
            said = [*full(writer, Path(folder), rng, given.count)]
            said += shot(writer, Path(folder), rng, given.count)
        print(f"{writer.name}: {', '.join(said) or 'whole'}", flush=True)
        wrong += said
    print(f"{2 * given.count} each of {len(WRITERS)} writers, {len(wrong)} went wrong")
    return bool(wrong)


def full(writer, folder, rng, count):
    """Sentences on what went wrong under full disks."""
    path = folder / f"file{writer.name}"
    writer.write(path, 1)
    size = sum(each.stat().st_size for each in _files(path))
    before = _state(folder)
    for name, failing in ways(size, rng, count):
        error = None
        try:
            with failing:
                writer.write(path, 2)
        except (WriteError, CheckpointError) as raised:
            error = raised
        except Exception as raised:
            yield f"{name}: raises {type(raised).__name__}: {raised}"
            continue
        if error is None:
            if name.startswith("room"):  # a file of the other value may be a little smaller
                writer.write(path, 1)
                continue
            yield f"{name}: nothing is said"
        elif path.name not in str(error) or "cannot be written" not in str(error):
            yield f"{name}: {error}"
        if _state(folder) != before:
            yield f"{name}: the folder is another"
    if writer.value(path) != 1:
        yield "another value"


def shot(writer, folder, rng, count):
    """Sentences on what went wrong under signals."""
    path = folder / f"file{writer.name}"
    before = {each.name for each in folder.rglob("*")}
    for _ in range(count):
        name, code = killed(writer, path, rng)
        number = getattr(__import__("signal"), name)
        if code not in ((-number, 130) if name == "SIGINT" else (-number,)):
            yield f"{name}: ended with {code}"
        try:
            if writer.value(path) not in (1, 2):
                yield f"{name}: an unknown value"
        except Exception as error:
            yield f"{name}: not whole, {type(error).__name__}: {error}"
        left = {each.name for each in folder.rglob("*")} - before
        if name != "SIGKILL" and left:
            yield f"{name}: leaves {sorted(left)}"
        for each in left:
            if not each.startswith("."):
                yield f"{name}: leaves {each}"
            for place in folder.rglob(each):
                place.unlink() if place.is_file() else shutil.rmtree(place)


def _files(path):
    return [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]


def _state(folder):
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


if __name__ == "__main__":
    sys.exit(main())
