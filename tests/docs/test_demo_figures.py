"""What `varshift demo` prints, wherever it runs, is what READMEs, index.md and demo.md show."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from docs.pages import DOCS, ROOT

# The plainest kernels of each library, whatever the processor could do: they round otherwise.
PLAIN = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}


def demo(**settings):
    pytest.importorskip("sklearn", reason="no scikit-learn; pip install '.[demo]'")
    done = subprocess.run(
        [sys.executable, "-m", "varshift", "demo"],
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "100"} | settings,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def printed():
    return demo()


def test_kernels_that_round_otherwise_print_the_same(printed):
    assert demo(**PLAIN) == printed


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/index.md"])
def test_a_page_shows_what_is_printed(printed, page):
    shown = re.search(r"^```\n\$ make demo\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S)
    lines = [line.rstrip() for line in printed.splitlines()]
    for part in shown[1].strip().split("…\n"):
        wanted = part.strip("\n").split("\n")
        starts = [i for i in range(len(lines)) if lines[i : i + len(wanted)] == wanted]
        assert starts or part == "", part


def test_the_table_of_seeds_starts_with_it(printed):
    page = (DOCS / "demo.md").read_text().replace("−", "-")
    row = re.search(r"^\| 0 \|.*$", page, re.M)[0]
    figures = r"([\d.]+) ± [\d.]+  ([\d.]+) ± [\d.]+  ([-+][\d.]+ ± [\d.]+)"
    found = [
        re.search(rf"^{label}, loss +{figures}", printed, re.M)
        for label in ("dropout 0.7", "no dropout")
    ]
    cells = [cell for one in found for cell in (f"{one[1]} → {one[2]}", one[3])]
    assert row == f"| 0 | {' | '.join(cells)} |"
