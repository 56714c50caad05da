"""The tables as a terminal of 80 columns shows them.

`VARSHIFT_GOLDEN=write pytest tests/draw/test_golden.py` writes them anew; read the difference.
"""

from __future__ import annotations

import io
import os
import platform
import re
from pathlib import Path

import pytest
import torch
from rich.console import Console

GOLDEN = Path(__file__).parent / "golden"
# Where the figures were made. Elsewhere torch draws other masks; there only the layout must agree.
HOME = torch.__version__.startswith("2.14.") and platform.machine() == "x86_64"


NAMES = (
    *("structure", "measurement", "explanation", "prediction", "without-data", "diagnosis"),
    *("footprint", "recalibration", "repair", "rewrite", "calculation", "findings"),
)


@pytest.mark.parametrize("name", NAMES)
def test_golden(every, name, monkeypatch):
    monkeypatch.chdir(GOLDEN.parents[2])  # lines are named from the current folder
    console = Console(width=80, file=io.StringIO(), no_color=True)
    console.print(every[name].table())
    # Rich fills the last column; what the command line prints has no blanks at line ends either.
    text = "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("VARSHIFT_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    expected = golden.read_text(encoding="utf-8")
    assert (text if HOME else layout(text)) == (expected if HOME else layout(expected))
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def layout(text):
    """The words alone: figures, signs and the room they take are left out."""
    return [re.sub(r"[-+−]?\d[\d.e+-]*", "#", line).split() for line in text.splitlines()]
