"""Every block of the tutorial, the note and the how-to pages runs, and prints what is shown."""

from __future__ import annotations

import pytest
import torch

from docs.pages import DOCS, blocks, differences, run
from problems.libraries import library

PAGES = [
    *(DOCS / name for name in ("tutorial.md", "cli.md", "monitor.md", "seed.md", "seed.zh.md")),
    *sorted((DOCS / "howto").glob("*.md")),
]


# What a page cannot do without, and not everybody has.
NEEDS = {"ignite": "ignite.engine", "skorch": "skorch"}


# Lightning's own, about torch and about how few cores there are.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:Warning:lightning"),
    pytest.mark.filterwarnings("ignore:.*num_workers"),
]


@pytest.fixture(autouse=True)
def _as_found(tmp_path, monkeypatch):
    """Pages seed torch and may write files: nothing of that leaves the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    threads, kept = torch.get_num_threads(), torch.get_rng_state()
    dtype = torch.get_default_dtype()
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    torch.set_rng_state(kept)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_prints_what_it_shows(path):
    if path.stem in NEEDS:
        library(NEEDS[path.stem])
    shown = run(path)
    assert shown, f"{path.name} shows no output"
    for output in shown:
        difference = differences(output.block.text, output.printed)
        assert difference is None, f"{path.name}:{output.line}: {difference}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_output_belongs_to_a_block_that_runs(path):
    page = path.read_text()
    found = blocks(page)
    for before, block in zip([None, *found], found, strict=False):
        assert block.language in {"python", "text", "console", "math"}, f"a {block.language} block"
        if block.language == "text":
            between = page[before.end : block.start].split() if before else []
            assert between == ["```", "```text"], f"no block right before {block.text[:40]!r}"


def test_a_wrong_number_or_word_is_seen():
    assert differences("loss 0.41 ± 0.02\n", "loss 0.42  ± 0.02") is None
    assert "0.41" in differences("loss 0.41", "loss 0.43")
    assert "lost" in differences("loss 0.41", "lost 0.41")
    assert differences("1e-03", "5e-03") is not None
    assert differences("a b", "a b c") is not None


def test_a_block_that_fails_is_not_passed_over(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nprint(1)\n```\n\n```text\n1\n```\n\n```python\nraise KeyError\n```\n"
    )
    with pytest.raises(KeyError):
        run(page)
    page.write_text("```python\nprint(1)\n```\n\n```text\n3\n```\n")
    (output,) = run(page)
    assert differences(output.block.text, output.printed) is not None
