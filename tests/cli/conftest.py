"""The command as the tests of this room run it."""

from __future__ import annotations

import sys

import pytest

from varshift._cli.root import main


@pytest.fixture
def varshift(capsys, monkeypatch, tmp_path):
    """The command in this process: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["varshift", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        held = capsys.readouterr()
        return end.value.code or 0, held.out, held.err

    return run
