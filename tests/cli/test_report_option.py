"""`--report FILE.html`: a page beside the answer, refused early where it could not be written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from varshift._cli import main

FACTORIES = str(Path(__file__).parent.parent / "problems" / "factories.py")
NET = f"{FACTORIES}:settled"
DATA = ("--data", f"{FACTORIES}:batches")


@pytest.fixture
def varshift(monkeypatch, capfd):
    """The command in this process, which has torch already: exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["varshift", *arguments, "--exit-zero"])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capfd.readouterr()

    return run


@pytest.mark.parametrize("command", ["inspect", "measure", "explain", "predict", "footprint"])
def test_a_page_beside_the_table(varshift, command, tmp_path):
    page = tmp_path / "shift.html"
    code, out, err = varshift(command, NET, *DATA, "--report", str(page))
    assert code == 0, err
    assert f"the report is in {page}" in err
    assert out.strip()
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_page_beside_json(varshift, tmp_path):
    page = tmp_path / "shift.html"
    code, out, err = varshift("measure", NET, *DATA, "--format", "json", "--report", str(page))
    assert code == 0, err
    assert json.loads(out)["schema"] == "varshift.measurement/1"
    assert page.exists()


def test_a_file_named_as_a_page_becomes_one(varshift, tmp_path):
    page = tmp_path / "shift.html"
    code, out, err = varshift("measure", NET, *DATA, "--out", str(page))
    assert code == 0, err
    assert out == ""
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("report", "said"),
    [("shift.txt", "a name that ends in .html"), ("none/shift.html", "there is no folder")],
)
def test_what_cannot_be_written_is_refused_before_any_work(varshift, report, said, tmp_path):
    # The target does not exist either: the report is looked at first.
    code, out, err = varshift(
        "measure", "nothing.py:none", *DATA, "--report", str(tmp_path / report)
    )
    assert (code, out) == (2, "")
    assert said in err
    assert list(tmp_path.iterdir()) == []
