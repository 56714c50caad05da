"""The page of slips says what the code calculates."""

from __future__ import annotations

import pytest

from docs.pages import DOCS


@pytest.fixture(scope="module")
def calculated():
    pytest.importorskip("torchvision", reason="no torchvision; pip install '.[reproduce]'")
    from varshift.reproduce.slips import slips

    return {(slip.where, slip.said, slip.found) for slip in slips()}


def test_the_table_is_the_calculation(calculated):
    lines = (DOCS / "slips.md").read_text().splitlines()
    rows = {
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in lines
        if line.startswith("| ") and not line.startswith("| where")
    }
    missing, gone = calculated - rows, rows - calculated
    assert not missing, f"docs/slips.md lacks what slips.py says: {sorted(missing)}"
    assert not gone, f"docs/slips.md says what slips.py does not: {sorted(gone)}"
