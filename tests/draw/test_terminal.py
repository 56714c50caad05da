"""Manners in a terminal: colours only where they are wanted, a bar with the time left."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from varshift._draw.progress import Bar

pty = pytest.importorskip("pty", reason="no pseudo-terminals here")

FACTORIES = str(Path(__file__).parent.parent / "problems" / "factories.py")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]")
MEASURE = ("measure", f"{FACTORIES}:noisy", "--data", f"{FACTORIES}:batches")


def on_a_terminal(*arguments, **environment):
    """What a terminal of 80 columns is sent, standard error included."""
    handle, theirs = pty.openpty()
    held = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    held |= {"OMP_NUM_THREADS": "1", "TERM": "xterm-256color", "COLUMNS": "80"} | environment
    command = [sys.executable, "-m", "varshift", *arguments]
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=held)
    os.close(theirs)
    sent = b""
    while True:
        try:
            piece = os.read(handle, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        sent += piece
    os.close(handle)
    child.wait()
    return sent.decode()


def test_colours_and_a_bar_on_a_terminal_and_no_colour_where_none_is_wanted():
    sent = on_a_terminal(*MEASURE)
    assert COLOUR.search(sent)
    assert "0:00:0" in sent  # the bar's clock
    plain = on_a_terminal(*MEASURE, NO_COLOR="1")
    assert not COLOUR.search(plain)
    assert "Shift of the variance" in plain


def test_a_pipe_gets_words_alone():
    done = subprocess.run(
        [sys.executable, "-m", "varshift", *MEASURE],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "NO_COLOR"},
    )
    assert "Shift of the variance" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert done.stderr == ""


def shown(total, seconds):
    """What the bar says after three steps that take so long in all."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    running = Bar("work", console)
    for done in (1, 2, 3):
        time.sleep(seconds / 3)
        running(done, total)
    running._progress.refresh()
    running.close()
    return console.file.getvalue()


def test_the_bar_says_the_time_left():
    # 3 of 33 steps in 0.3 s or a little more: at least 3 s are left, as the clock counts 0:00:0x.
    left = re.findall(r"3/33 0:00:(\d\d) left", shown(33, 0.3))
    assert left
    assert 2 <= int(left[-1]) <= 30


def test_the_bar_says_the_time_so_far_where_nobody_knows_how_much_there_is_to_do():
    assert "3/? 0:00:01 so far" in shown(None, 1.2)
