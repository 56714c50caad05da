"""`make audit`: whether what is installed, what is pinned and what is locked are one.

`requirements.lock` has every pin of `constraints.txt` and what these need in turn, with the hashes
of all their files. `make install` cannot be held to it: pip that asks for hashes takes no editable
install, and torch comes from its own index where that can be reached, else from PyPI, as other
bytes under one version. So it is checked here instead, without a network and in a second.

`--vulnerabilities PYTHON` asks pip-audit, installed there, for what is known against the lock.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as named
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT, EXTRAS = "varshift", ("dev", "bench")
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--vulnerabilities", metavar="PYTHON", help="ask its pip-audit as well")
    given = asked.parse_args()
    text = (ROOT / "requirements.lock").read_text("utf-8")
    wrong = list(mismatches(pins((ROOT / "constraints.txt").read_text("utf-8")), text))
    wanted = closure(PROJECT, EXTRAS)
    wrong += unlocked({name: metadata.version(name) for name in wanted}, pins(text))
    if wrong:
        print(*wrong, sep="\n")
        print(f"{len(wrong)} wrong: pin in constraints.txt what is meant, then make lock")
        return 1
    print(f"{len(wanted)} packages are installed as locked; {len(pins(text))} are, with hashes")
    return known(given.vulnerabilities, text) if given.vulnerabilities else 0


def pins(text: str) -> dict[str, str]:
    """By name, the version that a file of constraints or a lock pins."""
    return {named(name): version for name, version in _PIN.findall(text)}


def mismatches(pinned: Mapping[str, str], lock: str) -> Iterator[str]:
    """What is pinned and not locked as such, and what is locked without a hash."""
    locked = pins(lock)
    for name, version in pinned.items():
        if locked.get(name) != version:
            yield f"{name}: {version} in constraints.txt, {locked.get(name, 'not')} in the lock"
    for entry in re.split(r"\n(?=\w)", lock):
        if (pin := _PIN.match(entry)) and "--hash=sha256:" not in entry:
            yield f"{pin[1]}: no hash in the lock"


def unlocked(installed: Mapping[str, str], locked: Mapping[str, str]) -> Iterator[str]:
    """What is installed in another version than that of the lock, or is not in it."""
    for name, version in sorted(installed.items()):
        if name not in locked:
            yield f"{name}: {version} is installed, and is not in the lock"
        elif Version(version).public != locked[name]:  # torch's own index adds "+cpu"
            yield f"{name}: {version} is installed, {locked[name]} is locked"


def closure(project: str, extras: tuple[str, ...]) -> set[str]:
    """Names of everything installed that a project's requirements lead to, itself left out."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    ahead = [(project, extra) for extra in ("", *extras)]
    while ahead:
        name, extra = ahead.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # an extra that is not installed
            continue
        found.add(name)
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                ahead += [(named(need.name), more) for more in ("", *need.extras)]
    return found - {project}


def known(python: str, lock: str) -> int:
    """What pip-audit knows; where it reaches no database, that is said and is no failure."""
    command = [python, *["-m", "pip_audit", "--disable-pip", "--require-hashes", "-f", "json"]]
    command += ["--progress-spinner", "off", "-r", str(ROOT / "requirements.lock")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        asked = json.loads(done.stdout)["dependencies"]
    except ValueError:
        said = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"NOT AUDITED: pip-audit cannot be asked here ({said})")
        return 0
    answered = [each for each in asked if "skip_reason" not in each]
    if not answered:
        print(f"NOT AUDITED: the database knows none of {len(asked)} packages from here")
        return 0
    found = [(each["name"], bug["id"]) for each in answered for bug in each["vulns"]]
    for name, bug in found:
        print(f"{name} {pins(lock).get(named(name), '')}: {bug}")
    print(f"{len(answered)} of {len(asked)} packages asked for: {len(found)} known vulnerabilities")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
