from __future__ import annotations

import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """What Keras and TensorFlow wrote (make_files.py)."""
    folder = tmp_path_factory.mktemp("foreign")
    with zipfile.ZipFile(Path(__file__).parent / "files.zip") as archive:
        archive.extractall(folder)
    return folder
