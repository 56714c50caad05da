"""The notebooks of `examples/` run as they stand, and print what stands in them."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
FIGURE = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:e[-+]\d+)?")


def run(source: str, names: dict[str, object]) -> str:
    """What a cell prints; the value of its last line is thrown away."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.parse(source), "<cell>", "exec"), names)
    return printed.getvalue()


def lines(text: str) -> list[str]:
    """The first words of each line: figures are another processor's to round."""
    found = (FIGURE.sub("#", line).split() for line in text.splitlines())
    return [words[0] for words in found if words]


def test_there_are_three():
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_opens_each_output_as_it_stands(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    threads = torch.get_num_threads()
    try:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] != "code":
                continue
            printed = run("".join(cell["source"]), names)
            kept = "".join("".join(out["text"]) for out in cell["outputs"] if "text" in out)
            assert cell["execution_count"]
            assert lines(printed)[:4] == lines(kept)[:4]
            assert bool(printed) == bool(kept)
    finally:
        torch.set_num_threads(threads)
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_as_the_format_has_it(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    assert (book["nbformat"], path.stat().st_size < 50_000) == (4, True)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
