"""Nothing of this package asks the network for anything."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import matplotlib
import pytest

from faults.features import FEATURES
from faults.injecting import Loader
from faults.jobs import jobs
from faults.network import no_network
from faults.verbs import VERBS

matplotlib.use("agg")


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
        lambda: socket.getaddrinfo("example.invalid", 80),
        lambda: urllib.request.urlopen("http://192.0.2.1/", timeout=1),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("192.0.2.1", 9)),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_attempt_is_seen(attempt):
    with no_network() as attempts, pytest.raises(OSError):
        attempt()
    assert attempts


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_verb_asks(verb):
    with no_network() as attempts:
        VERBS[verb](FEATURES["counter"](), Loader())
    assert attempts == []


def _beside_verbs(folder):
    """Faces, checkpoints and commands of what a soak does."""
    wanted = ("every face", "checkpoints", "varshift ")
    return {name: job for name, job in jobs(folder) if name.startswith(wanted)}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_face_checkpoint_or_command_asks(tmp_path):
    found = _beside_verbs(tmp_path)
    assert {"every face", "checkpoints", "varshift check", "varshift diagnose"} <= found.keys()
    with no_network() as attempts:
        for job in found.values():
            job()
    assert attempts == []


@pytest.mark.parametrize("arguments", [("demo",), ("theory", "--help"), ("check", "--explain")])
def test_no_process_asks(arguments, tmp_path):
    record = tmp_path / "attempts"
    more = ("VS101",) if arguments[-1] == "--explain" else ()
    script = str(Path(__file__).with_name("network.py"))
    done = subprocess.run(
        [sys.executable, script, str(record), "-m", "varshift", *arguments, *more],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode in (0, 1), done.stderr
    assert record.read_text() == ""
