"""Every script of the gallery runs by itself and holds what it asserts."""

from __future__ import annotations

import runpy

import pytest
import torch

from docs.pages import DOCS

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
