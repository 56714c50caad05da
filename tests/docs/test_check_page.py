"""What docs/check.md prints of a network is what the command prints of it."""

from __future__ import annotations

import contextlib
import io
import re
import sys

from docs.pages import DOCS, differences
from varshift._cli.root import main

IMPORTS = "import torch.nn.functional as F\nfrom torch import nn\n\n\n"


def block(page: str, beginning: str) -> str:
    """The one fenced block of a page that begins so."""
    found = re.findall(r"^```\w*\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    (held,) = [each for each in found if each.startswith(beginning)]
    return held


def test_the_findings_of_the_network_of_relocate(tmp_path, monkeypatch):
    net = block("before-training.md", "class Net(nn.Module):")
    (tmp_path / "net.py").write_text(f"{IMPORTS}{net}\n\ndef make():\n    return Net()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    command, told = block("check.md", "$ varshift check net.py:make --input-shape 8\nClear").split(
        "\n", 1
    )
    monkeypatch.setattr(sys, "argv", command.removeprefix("$ ").split())
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main()
    shown = told.removesuffix("…\n")
    printed = "".join(out.getvalue().splitlines(keepends=True)[: shown.count("\n")])
    assert differences(shown, printed) is None
    for line in re.findall(r"net\.py:\d+", shown):  # to the line, not to one beside it
        assert line in printed
