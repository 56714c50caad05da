"""A document as Markdown: everything in its order, nothing in a name that is markup of a table."""

from __future__ import annotations

from varshift._draw.document import Cell, Column, Document, Row, StepText, Table
from varshift._draw.markdown import markdown, pictures
from varshift._draw.pictures.described import Chart

TABLE = Table(
    "Of |x|", [Column("a|b"), Column("")], [Row([Cell("|x|\n"), Cell("1")])], below=["So."]
)
CHART = Chart("a chart", "x", "y", [])


def made():
    document = Document(
        "The head.",
        detail="Detail.",
        steps=[StepText("Do this:", command="do it")],
        notes=["Note."],
    )
    document.add("first", "First", "Lead.", [CHART, TABLE])
    document.add("second", "", "", [TABLE])
    return document


def test_all_of_it_is_told_in_order():
    table = "### Of |x|\n\n| a\\|b |  |\n| --- | --- |\n| \\|x\\|\\n | 1 |\n\nSo."
    assert markdown(made()) == (
        "# The head.\n\nDetail.\n\nNote.\n\nDo this:\n\n```\ndo it\n```\n\n"
        f"## First\n\nLead.\n\n![a chart](first.png)\n\n{table}\n\n{table}\n"
    )


def test_pictures_are_the_files_that_are_linked():
    assert list(pictures(made())) == [("first.png", CHART)]


def test_wide_tables_are_there_too():
    """A page in a repository has room for what a terminal leaves out."""
    document = Document("Head.")
    wide = Table("Wide", [Column("a", wide=True)], [Row([Cell("1")])] * 100, wide=True)
    document.add("only", "", "", [wide])
    assert markdown(document).count("\n| 1 |") == 100
