"""Scripts that assert hold; the gallery of results is what its script makes."""

from __future__ import annotations

import re
import runpy

import pytest
import torch
from benchmarks.gallery import LINES, OPENING, PIECES, WIDTH, printed
from torch import nn

import varshift as vs
from docs.pages import DOCS, blocks

GALLERY = DOCS / "gallery"
SCRIPTS = sorted(GALLERY.glob("*.py"))


@pytest.fixture(autouse=True)
def _as_found():
    threads, kept = torch.get_num_threads(), torch.get_rng_state()
    dtype = torch.get_default_dtype()
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    torch.set_rng_state(kept)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_it_holds(script, capsys):
    assert "assert" in script.read_text() or "assert_close" in script.read_text()
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out, "nothing printed"


def test_every_script_has_its_page_and_its_claim():
    index = (GALLERY / "index.md").read_text()
    for script in SCRIPTS:
        page = GALLERY / f"{script.stem}.md"
        assert f"<!-- include gallery/{script.name} -->" in page.read_text()
        assert f"({page.name})" in index


def test_the_gallery_has_each_piece_its_output_and_its_picture():
    page = (DOCS / "gallery.md").read_text()
    assert page.startswith(OPENING), "run make gallery"
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert headings == [piece.heading for piece in PIECES], "run make gallery"
    found = blocks(page)
    assert [block.text for block in found if block.language == "python"] == [
        f"{piece.line}\n" for piece in PIECES
    ]
    outputs = [block.text for block in found if block.language == "text"]
    assert len(outputs) == len(PIECES)
    assert max(len(line) for output in outputs for line in output.splitlines()) <= WIDTH
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert len(pictures) >= sum(piece.drawn for piece in PIECES)
    for picture in pictures:
        assert (DOCS / picture).exists(), f"{picture} is not there; run make gallery"


def test_a_long_output_is_cut_and_says_so():
    layers = (layer for _ in range(20) for layer in (nn.Dropout(0.5), nn.BatchNorm1d(4)))
    structure = vs.inspect(nn.Sequential(*layers), torch.randn(2, 4))
    whole = printed(structure, at_most=1000).splitlines()
    assert len(whole) > LINES
    assert printed(structure).splitlines() == [*whole[: LINES - 1], "…"]
