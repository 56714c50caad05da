"""`make zoo`, or `python -m benchmarks.zoo [--only PARTS] [--table]`.

One line an architecture in docs/results/zoo.jsonl, the page docs/results/zoo.md out of all of them.
A run that was stopped goes on. Names come in rounds, one of each family a round, so that what is
there at any moment is of every kind.
"""

from __future__ import annotations

import argparse
import signal
import sys
import zlib
from collections import defaultdict
from importlib import import_module
from itertools import zip_longest

from benchmarks.zoo.keeping import RECORDS, Limits, lines, read
from benchmarks.zoo.page import write
from benchmarks.zoo.reading import FIGURES, LIBRARIES
from benchmarks.zoo.sixty import SIXTY


def main() -> None:
    """Read what is not read yet, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("--only", default="", help="names with one of these parts, comma-separated")
    parser.add_argument("--again", action="store_true", help="those of --only, read or not")
    parser.add_argument("--table", action="store_true", help="write the page, read nothing")
    parser.add_argument("--seconds", type=int, default=Limits.seconds, help="for one name")
    parser.add_argument("--memory", type=float, default=Limits.memory / 2**30, help="in GiB")
    arguments = parser.parse_args()
    names = population()
    if not arguments.table:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the worker is ended with it
        parts = [part for part in arguments.only.split(",") if part]
        limits = Limits(arguments.seconds, int(arguments.memory * 2**30))
        RECORDS.parent.mkdir(parents=True, exist_ok=True)
        done = {} if arguments.again else lines()
        asked = [name for name in names if name not in done]
        read([name for name in asked if not parts or any(p in name for p in parts)], limits)
    write(lines(), names)


def population() -> list[str]:
    """Every name of every library, and the sixty that are measured as well."""
    families: dict[str, list[str]] = defaultdict(list)
    for library, (module, _) in LIBRARIES.items():
        for name, family in import_module(module).families().items():
            families[f"{library} {family}"].append(f"{library}/{name}")
    for place, name in enumerate(SIXTY):
        families[f"figures {place % 20}"].append(FIGURES + name)
    for names in families.values():
        names.sort(key=lambda name: zlib.crc32(name.encode()))
    rounds = zip_longest(*families.values())
    return [name for each in rounds for name in each if name is not None]


if __name__ == "__main__":
    main()
