"""A file is replaced whole or not at all, whatever goes wrong meanwhile."""

from __future__ import annotations

import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from varshift._files import forbidden, replacing, unreadable
from varshift.errors import WriteError


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_was_there_stays_on_any_error(tmp_path, error):
    path = tmp_path / "old.bin"
    path.write_bytes(b"old")

    def fail():
        with replacing(path) as fresh:
            fresh.write_bytes(b"half of the n")
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert not isinstance(error, OSError) or (
        caught.value.errno,
        str(path) in str(caught.value),
    ) == (
        28,
        True,
    )
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_replaced_with_the_mode_it_had_or_that_of_any_new_file(tmp_path):
    old, new, plain = (tmp_path / name for name in ("old", "new", "plain"))
    old.write_text("old")
    old.chmod(0o640)
    plain.write_text("")
    for path in (old, new):
        with replacing(path) as fresh:
            fresh.write_text("now")
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == "now"
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert new.stat().st_mode == plain.stat().st_mode
    assert sorted(os.listdir(tmp_path)) == ["new", "old", "plain"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replacing(tmp_path / "link") as fresh:
        fresh.write_text("now")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "now"


def test_a_file_that_the_block_took_away_itself(tmp_path):
    with (
        pytest.raises(
            WriteError, match=r"x' cannot be written \(No such file or directory\); what"
        ),
        replacing(tmp_path / "x") as fresh,
    ):
        fresh.unlink()
    assert list(tmp_path.iterdir()) == []


# Pipes, devices, open files -------------------------------------------------------------------


posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")


def test_the_error_goes_from_process_to_process():
    error = WriteError("now.json", OSError(28, "No space left on device"))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.errno) == (str(error), 28)


@posix
@pytest.mark.parametrize("through", ["itself", "a link"])
def test_a_pipe_is_written_into_and_stays_one(tmp_path, through):
    pipe = tmp_path / "pipe.html"
    os.mkfifo(pipe)
    path = pipe
    if through == "a link":
        path = tmp_path / "link.html"
        path.symlink_to(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    contents = bytes(range(256)) * 1024  # more than a pipe holds at once
    with replacing(path) as fresh:
        fresh.write_bytes(contents)
    reader.join(60)
    assert read == [contents]
    assert pipe.is_fifo()
    assert path.is_symlink() == (through == "a link")
    assert set(tmp_path.iterdir()) == {pipe, path}


@posix
def test_a_pipe_that_nobody_reads_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("varshift._files._PATIENCE", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.warns(RuntimeWarning, match="nobody reads"), replacing(tmp_path / "pipe") as fresh:
        fresh.write_bytes(b"little")
    with pytest.raises(OSError, match="nobody reads"), replacing(tmp_path / "pipe") as fresh:
        fresh.write_bytes(bytes(1 << 20))
    assert (tmp_path / "pipe").is_fifo()


@posix
def test_a_device_stays_a_device():
    before = os.stat("/dev/null")
    with replacing(Path("/dev/null")) as fresh:
        fresh.write_bytes(b"nothing")
    assert os.stat("/dev/null") == before


@posix
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_is_gone_on_with(tmp_path, name):
    if not Path(name).exists():
        pytest.skip(f"there is no {name}")
    script = (
        "from pathlib import Path\nfrom varshift._files import replacing\nprint('before')\n"
        f"with replacing(Path({name!r})) as fresh:\n    fresh.write_text('within\\n')\n"
        "print('after')\n"
    )
    with (tmp_path / "out").open("w") as out:
        out.write("first\n")
        out.flush()
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True, timeout=60)
    assert (tmp_path / "out").read_text() == "first\nbefore\nwithin\nafter\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# Killed ---------------------------------------------------------------------------------------


WAITS = """
import signal, sys, time
from pathlib import Path
from varshift._files import replacing
if sys.argv[2] == "default":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
with replacing(Path(sys.argv[1])) as fresh:
    fresh.write_text("half")
    print("writing", flush=True)
    # Not one long sleep: Python does not see a signal that comes just before the call.
    for _ in range(6000):
        time.sleep(0.01)
"""


@posix
@pytest.mark.parametrize(
    ("number", "how"),
    [("SIGTERM", ""), ("SIGHUP", ""), ("SIGINT", ""), ("SIGINT", "default")],
)
def test_a_killed_write_leaves_nothing(tmp_path, number, how):
    path = tmp_path / "old.txt"
    path.write_text("old")
    running = subprocess.Popen(
        [sys.executable, "-c", WAITS, str(path), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert running.stdout.readline() == b"writing\n"
    running.send_signal(getattr(signal, number))
    assert running.wait(60) == -getattr(signal, number)
    running.stdout.close()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_signals_are_answered_as_before(tmp_path):
    def own(number, frame):
        raise SystemExit(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    before = [signal.getsignal(number) for number in numbers]
    with replacing(tmp_path / "one") as fresh, replacing(tmp_path / "two") as other:
        fresh.touch()
        other.touch()
    assert [signal.getsignal(number) for number in numbers] == before
    signal.signal(signal.SIGTERM, own)
    try:
        with replacing(tmp_path / "three") as fresh:
            assert signal.getsignal(signal.SIGTERM) is own
            fresh.touch()
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before[1])


def test_other_threads_write_too(tmp_path):
    def write():
        with replacing(tmp_path / "held") as fresh:
            fresh.write_text("whole")

    thread = threading.Thread(target=write)
    thread.start()
    thread.join(60)
    assert (tmp_path / "held").read_text() == "whole"


@pytest.mark.parametrize("name", ["n" * 250, "ν" * 125, "a." + "s" * 200])
def test_a_name_as_long_as_names_may_be(tmp_path, name):
    with replacing(tmp_path / name) as fresh:
        fresh.write_text("now")
    assert (tmp_path / name).read_text() == "now"
    assert len(list(tmp_path.iterdir())) == 1


LONG = "x" * 300  # longer than names may be, at which pathlib raises


def test_what_cannot_be_read_is_said(tmp_path, monkeypatch):
    file = tmp_path / "held.bin"
    assert unreadable(file) == f"there is no file {str(file)!r}"
    assert unreadable(tmp_path) == f"{str(tmp_path)!r} is a folder"
    file.write_bytes(b"held")
    assert unreadable(file) == ""
    assert unreadable(file / "within") == f"there is no file {str(file / 'within')!r}"
    assert "cannot be read (File name too long)" in unreadable(LONG)
    assert "cannot be read (embedded null" in unreadable("a\0b")
    assert "is a pipe or a device" in unreadable(os.devnull)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert unreadable(file) == f"{str(file)!r} cannot be read (no right to)"


def test_what_cannot_be_written_is_known_beforehand(tmp_path, monkeypatch):
    file = tmp_path / "held.bin"
    assert forbidden(file) == ""
    assert forbidden(LONG) == "File name too long"
    link = tmp_path / "link"
    link.symlink_to(Path(LONG))
    assert forbidden(link) == "File name too long"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert forbidden(file) == "no right to write into its folder"
    assert forbidden(os.devnull) == ""  # not replaced, but written into
