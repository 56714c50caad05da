"""Where an answer goes: files written whole, pipes that close, encodings without Δ, interrupts."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from problems.commands import varshift as forked
from varshift._cli.root import main
from varshift._cli.wording import in_options, optioned, worded
from varshift.errors import ModelError, WriteError
from varshift.results.footprint import Footprint

HERE = Path(__file__).parent.parent
FACTORIES = str(HERE / "problems" / "factories.py")
NOISY = (f"{FACTORIES}:noisy", "--data", f"{FACTORIES}:batches")
MEASURE = (sys.executable, "-m", "varshift", "measure", *NOISY)
# Data that raise: what is said before them was said before any work.
UNREAD = (f"{FACTORIES}:noisy", "--data", f"{FACTORIES}:raising_loader")


def environment(**more):
    return os.environ | {"NO_COLOR": "1", "OMP_NUM_THREADS": "1"} | more


def varshift(*arguments, **more):
    command = [sys.executable, "-m", "varshift", *arguments]
    return subprocess.run(command, capture_output=True, timeout=120, env=environment(**more))


@pytest.mark.parametrize("command", ["measure", "explain", "footprint"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "json", "--out", "/nonexistent/x.json"), "--out '/nonexistent/x.json'"),
        (("--out", "."), "is a folder"),
        (("--format", "html"), "--format html needs --out FILE.html"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(command, arguments, said):
    done = forked(command, *UNREAD, *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "disk gone" not in done.stderr


def test_a_folder_as_file_is_a_matter_of_usage_for_every_command():
    done = forked("inspect", f"{FACTORIES}:noisy", "--input-shape", "3,8,8", "--out", ".")
    assert done.returncode == 2, done.stderr
    assert "is a folder" in done.stderr


def test_a_full_disk_leaves_the_old_file(tmp_path):
    resource = pytest.importorskip("resource")
    file = tmp_path / "held.json"
    file.write_text('{"good": 1}')
    done = subprocess.run(
        [*MEASURE, "--format", "json", "--out", str(file)],
        capture_output=True,
        timeout=120,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
    )
    assert done.returncode == 3
    assert json.loads(file.read_text()) == {"good": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_a_device_is_written_to_as_it_is():
    done = varshift("measure", *NOISY, "--out", "/dev/stdout")
    assert b"Shift of the variance" in done.stdout
    assert Path("/dev/stdout").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_encoding_without_the_signs_does_not_cost_the_answer(encoding):
    done = varshift("measure", *NOISY, PYTHONIOENCODING=encoding)
    assert done.returncode == 1, done.stderr
    assert b"\\u0394" in done.stdout
    assert b"UnicodeEncodeError" not in done.stderr
    done = varshift("reproduce", "slips", "--format", "json", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ("theory", "direct", "--drop-p", "0.5", "--mean", "1", "--var", "2"),
        ("check", "--explain", "VS101"),
        ("--version",),
        ("-h",),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["held", "at once"])
def test_a_closed_pipe_does_not_read_as_findings(arguments, unbuffered):
    running = subprocess.Popen(
        [sys.executable, "-m", "varshift", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(PYTHONUNBUFFERED=unbuffered),
    )
    running.stdout.close()
    said = running.stderr.read()
    running.stderr.close()
    assert running.wait(120) == 141
    assert b"Traceback" not in said
    assert b"Broken" not in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a full device is one of Linux")
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["held", "at once"])
@pytest.mark.parametrize("arguments", [("--version",), ("theory", "moments", "relu")])
def test_a_full_disk_behind_standard_output_is_one_sentence(arguments, unbuffered):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "varshift", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=120,
            env=environment(PYTHONUNBUFFERED=unbuffered),
        )
    assert done.returncode == 3
    assert done.stderr.startswith(
        b"error: '/dev/stdout' cannot be written (No space left on device)"
    )
    assert b"Exception" not in done.stderr


def test_without_standard_output_the_exit_code_is_the_answer():
    done = subprocess.run(
        [sys.executable, "-m", "varshift", "theory", "moments", "relu"],
        stderr=subprocess.PIPE,
        timeout=120,
        env=environment(),
        preexec_fn=lambda: os.close(1),
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EPIPE, 141), (errno.ENOSPC, 3)], ids=["closed", "full"]
)
def test_what_a_named_pipe_or_a_disk_refuses_is_no_finding(monkeypatch, number, code):
    """Typer ends with 1 at a closed pipe, whoever's it is."""

    def refused(*_):
        raise WriteError("pipe", OSError(number, os.strerror(number)))

    monkeypatch.setattr("varshift._cli.theory.show", refused)
    monkeypatch.setattr(sys, "argv", ["varshift", "theory", "moments", "relu"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code


def test_lines_end_without_blanks_and_fit():
    for arguments in (("measure", *NOISY), ("reproduce", "table5"), ("reproduce", "--list")):
        lines = forked(*arguments).stdout.splitlines()
        assert lines
        assert [line for line in lines if line != line.rstrip()] == []
        assert max(map(len, lines)) <= 80


def test_an_interrupt_says_what_became_of_the_files(tmp_path):
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\nfrom pathlib import Path\nimport torch\n"
        "def model():\n    return torch.nn.Sequential(torch.nn.BatchNorm1d(3))\n"
        f"def data():\n    Path({str(tmp_path / 'begun')!r}).touch()\n"
        # Not one long sleep: Python does not see a signal that comes just before the call.
        "    for _ in range(6000):\n        time.sleep(0.01)\n    yield\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-m", "varshift", "measure", f"{slow}:model", "--data", f"{slow}:data"],
        stderr=subprocess.PIPE,
        env=environment(),
    )
    until = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert said == b"interrupted: nothing was written\n"


def test_errors_speak_of_options():
    done = forked("theory", "direct", "--drop-p", "0.5", "--tau", "1", "--mean", "1", "--var", "2")
    assert done.returncode == 2
    assert "the noise is given as --drop-p and --tau; pass exactly one of --drop-p" in done.stderr


@pytest.mark.parametrize(
    ("said", "command", "worded"),
    [
        ("pass kind='values' if", "repair", "pass --kind values if"),
        ("name it in places=, or", "footprint", "name it in --place, or"),
        ("places names 'x', which", "footprint", "--place names 'x', which"),
        ("pass momentum= for another", "footprint", "pass --momentum for another"),
        ("momentum is 2.0; pass", "footprint", "--momentum is 2.0; pass"),
        ("pass labels=False to judge", "repair", "pass --no-labels to judge"),
        ("pass max_samples=64 or less", "measure", "pass --max-samples 64 or less"),
        ("moved= says 'x'", "predict", "--move says 'x'"),
        ("drop_p is 2", "predict", "drop_p is 2"),
        ("drop_p is 2", "theory", "--drop-p is 2"),
        ("mean is nan; pass a finite number", "theory", "--mean is nan; pass a finite number"),
        ("--drop-p is 2 (sigma_of(tau))", "theory", "--drop-p is 2 (sigma_of(tau))"),
    ],
)
def test_arguments_are_named_as_options(said, command, worded):
    assert optioned(said, command) == worded


def test_notes_speak_of_options_and_json_of_arguments():
    made = Footprint({}, {"1": "name the norm in places="}, ("or in places=",), 0, 0, 0)
    worded = in_options(made)
    assert worded.notes == ("or in --place",)
    assert worded.skipped == {"1": "name the norm in --place"}
    assert made.notes == ("or in places=",)


def test_what_a_model_says_is_left_as_it_is():
    theirs = ValueError("bad config: width=64, noise='none', data=x.csv")
    error = ModelError(f"the model raised ValueError: {theirs}. Pass kind='values'")
    error.__cause__ = theirs
    assert worded(error) == (
        "the model raised ValueError: bad config: width=64, noise='none', data=x.csv. "
        "Pass --kind values"
    )
