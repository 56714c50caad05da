"""Sheets of made-up records: the paper's figures beside, dashes where there is nothing."""

from __future__ import annotations

import re

import pytest

from reproduce.records import NONE, A, B, records
from varshift.reproduce.book import Book
from varshift.reproduce.claims import judged
from varshift.reproduce.experiments import EXPERIMENTS
from varshift.reproduce.pages import write_page
from varshift.reproduce.paper import TABLE_1, TABLE_3, TABLE_4, TABLE_6
from varshift.reproduce.sheet import PAPER_ROW, Sheet
from varshift.reproduce.tables import sheets_of
from varshift.reproduce.tables.beyond import budget, footprints, provenance
from varshift.reproduce.tables.verdicts import detail_sheet, verdict_sheet

PRINTED = {"table3": TABLE_3, "table4": TABLE_4, "table6": TABLE_6}


@pytest.fixture(scope="module")
def full():
    return Book(records())


def all_sheets(book):
    made = [sheet for name in EXPERIMENTS for sheet in sheets_of(name, book)]
    return [*made, *footprints(book), *budget(book)]


def cells(line):
    """The cells of a Markdown row: bars that are not escaped part them."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return re.split(r"(?<!\\)\|", line)[1:-1]


def well_formed(sheet):
    lines = sheet.markdown().splitlines()
    assert lines[0] == f"### {sheet.title}"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == len(sheet.rows) + 2
    assert {len(cells(line)) for line in table} == {len(sheet.headings)}
    assert set(cells(table[1])) == {" --- "}


BOOKS = {
    "full": lambda: records(),
    "one seed": lambda: records(seeds=1, families=["ResNeXt"]),
    "baselines alone": lambda: records(placings=[NONE]),
    "no baselines": lambda: records(placings=[A, B]),
    "two sets": lambda: (
        records(seeds=1, families=["WRN"])
        + records(seeds=1, families=["PreResNet"], images="cifar100")
    ),
    "nothing": list,
}


@pytest.mark.parametrize("name", BOOKS)
def test_every_sheet_is_well_formed_markdown(name):
    book = Book(BOOKS[name]())
    for sheet in all_sheets(book):
        well_formed(sheet)
        assert not re.search(r"\bnan\b", sheet.markdown())
        assert "inf" not in sheet.markdown()
        assert all(cell for row in sheet.rows for cell in row)
    verdicts = judged(book)
    for sheet in (
        verdict_sheet(verdicts, "made up"),
        *map(detail_sheet, verdicts),
        provenance(book),
    ):
        well_formed(sheet)
        assert not re.search(r"\bnan\b", sheet.markdown())


def test_bars_in_cells_are_escaped():
    sheet = Sheet("of |x|", ("", "a|b"), (("|x|", "1"),), ("a note",))
    well_formed(sheet)
    assert r"\|x\|" in sheet.markdown()
    assert sheet.markdown().endswith("\n\na note\n")


def test_every_title_names_its_data():
    both = Book(BOOKS["two sets"]())
    for sheet in all_sheets(both):
        assert ", made up" in sheet.title
    for name in EXPERIMENTS:
        titles = [sheet.title for sheet in sheets_of(name, both)]
        assert len(set(titles)) == len(titles)
        assert any("made up cifar100:" in title for title in titles)


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("data", ["C10", "C100"])
def test_printed_figures_stand_below_the_measured_ones(name, data):
    book = Book(records(images="cifar100" if data == "C100" else "cifar10"))
    rows = sheets_of(name, book)[0].rows
    measured, below = rows[0::2], rows[1::2]
    assert [row[0] for row in measured] == ["PreResNet", "ResNeXt", "WRN", "DenseNet"]
    for (family, *_), (label, *printed) in zip(measured, below, strict=True):
        assert label == PAPER_ROW
        assert printed == [f"{value:.2f}" for value in PRINTED[name][data, family]]


def test_table_3_has_the_records_numbers(full):
    printed, after_a, after_b = sheets_of("table3", full)
    # Errors are 5 + 10·reach·rate·(1, 1.01, 1.02): at (a) 10.05 ± 0.05, at (b) 5.505 ± 0.005.
    assert printed.rows[0] == (
        *("PreResNet", "5.00 ± 0.00", "10.05 ± 0.05", "7.02 ± 0.02"),
        *("5.50 ± 0.00", "5.20 ± 0.00"),
    )
    assert after_a.rows[0] == ("as trained", *["10.05 ± 0.05"] * 4)
    assert after_a.rows[1] == ("adjusted (live)", *["7.02 ± 0.02"] * 4)
    assert after_a.rows[-1][1] == "distill, distill, distill"
    assert after_b.rows[-1][1] == "nothing, nothing, nothing"
    assert "2,048 training images" in after_a.notes[0]


def test_table_1_has_the_records_and_the_papers_numbers(full):
    (sheet,) = sheets_of("table1", full)
    for row in sheet.rows:
        cos2, d_cos2 = TABLE_1["C10", row[0]]
        assert (row[2], row[4]) == (f"{cos2:.4f}", f"{d_cos2:.2f}")
    # d·cos²θ of the five layers at seed 0: 9, 3 − 0.72, 3, 3 + 0.72, 1; four above 1.5.
    assert sheet.rows[0][3].startswith("3.8")
    assert sheet.rows[0][5] == "80 %"


def test_figure_4_shows_every_rate_with_its_sign(full):
    shifts, errors = sheets_of("fig4", full)
    rows = {row[0]: row[1:] for row in shifts.rows}
    assert rows["PreResNet (a) 0.5"][:2] == ("1.505 ± 0.005", "1.401")
    assert rows["WRN (b) 0.7"][1] == "1.052"
    assert rows["WRN (a) 0"] == (*rows["WRN (b) 0"][:1], "1.005", *rows["WRN (b) 0"][2:])
    assert rows["WRN (a) 0.5"][4] == "40 % / 10 %"
    # 0.25 at (b) was run for Table 6 alone; the paper has no such rate.
    assert "WRN (b) 0.25" not in rows
    assert {row[0]: row[2] for row in errors.rows}["DenseNet (a) 0.7"] == "18.10"


def test_figure_3_has_a_row_for_every_width(full):
    (sheet,) = sheets_of("fig3", full)
    assert [row[:2] for row in sheet.rows if row[0] == "WRN"] == [("WRN", "4"), ("WRN", "8")]
    row = sheet.rows[0]
    # At seed 0 the points (36, 2.28), (72, 3), (108, 3.72), (16, 1): 135.84 / 4944.
    # With a level for each kernel size only the three 3×3 tell: 0.02, 0.0202, 0.0204.
    assert row[2:5] == ("0.0278 ± 0.0004", "0.0202 ± 0.0002", "3.03 ± 0.03")


def test_figure_5_has_both_modes_and_the_papers_pair(full):
    (sheet,) = sheets_of("fig5", full)
    rows = {row[:2]: row[2:] for row in sheet.rows}
    assert rows["PreResNet", "(a) 0.5"][0] == "98.0 ± 0.0"
    assert rows["PreResNet", "(a) 0.5"][3] == "98.8 / 98.5"
    assert rows["WRN", "(a) 0.5"][3] == rows["PreResNet", "(b) 0.5"][3] == "–"


def test_table_6_compares_three_noises_of_one_size(full):
    _, matched = sheets_of("table6", full)
    mine = [row for row in matched.rows if row[0] == "WRN"]
    assert [row[1] for row in mine] == ["dropout 0.25", "gaussian 0.25", "uout 1"]
    assert {row[2] for row in mine} == {"0.333"}
    assert len({row[3] for row in mine}) == 1


def test_what_was_not_run_is_a_dash():
    book = Book(records(placings=[NONE]))
    row = sheets_of("table3", book)[0].rows[0]
    assert row == ("PreResNet", "5.00 ± 0.00", "–", "–", "–", "–")
    assert sheets_of("table4", book)[0].rows[0][2:] == ("–",) * 4
    assert sheets_of("fig3", book)[0].rows[0][5] == "–"
    bare = Book(records(placings=[A]))
    assert sheets_of("table3", bare)[0].rows[0][1] == "–"
    assert sheets_of("table1", bare)[0].rows[0] == (
        *("PreResNet", "–", "0.0355", "–", "2.92", "–"),
    )


def test_footprints_are_counted_at_the_norms_that_are_fed(full):
    (sheet,) = footprints(full)
    rows = {row[:2]: row[2:] for row in sheet.rows}
    # One norm of five is fed at (a), number 1, which claims; at (b) it is number 2, which does not.
    assert rows["WRN", "dropout 0.5 at (a)"] == ("3", "100 %", "0.250 ± 0.000", "0 %")
    assert rows["WRN", "dropout 0.5 at (b)"] == ("3", "0 %", "0.250 ± 0.000", "25 %")
    assert rows["WRN", "no noise"] == ("0", "–", "–", "20 %")


def test_verdicts_are_told_with_their_intervals(full):
    sheet = verdict_sheet(judged(full), "made up")
    assert [row[0] for row in sheet.rows] == [
        *("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")
    ]
    assert {row[2] for row in sheet.rows} == {"holds"}
    assert re.fullmatch(r"\(a\): 2\.5\d \[2\.\d\d, 2\.\d\d\]", sheet.rows[-1][3])
    none = verdict_sheet(judged(Book([])), "made up")
    assert {(row[2], row[4]) for row in none.rows} == {("not decided", "–")}
    assert all("not run" in row[3] or row[0] == "viii" for row in none.rows)


def test_details_say_what_would_hold(full):
    sheets = {sheet.title.split(")")[0]: sheet for sheet in map(detail_sheet, judged(full))}
    assert {row[2] for row in sheets["(i"].rows} == {"above 0"}
    # A tenth of the 5 % that networks without noise err here.
    assert {row[2] for row in sheets["(viii"].rows} == {"below 0.5"}
    assert {row[2] for row in sheets["(iii"].rows} == {"0.8 to 1.25", "above 0"}
    assert {row[3] for row in sheets["(x"].rows} == {"3", "12"}


def test_provenance_says_what_the_records_were_made_with(full):
    rows = dict(provenance(full).rows)
    assert rows["sha256"] == "0123456789abcdef…"
    assert rows["seeds"] == "0, 1, 2"
    assert rows["train images"] == "50,000"
    assert rows["measured"] == "2026-01-01T00:00:00Z to 2026-01-03T00:00:00Z"


def test_a_set_that_the_paper_did_not_use_has_no_row_of_its(tmp_path):
    """Fashion-MNIST, of two networks, beside CIFAR-10: tables, pictures, verdicts of both."""
    some = records(seeds=2, families=("PreResNet", "WRN"), images="fashion-mnist")
    book = Book(records(seeds=2) + some)
    assert book.sets == ["C10", "Fashion"]
    fashion = book.only("Fashion")
    assert fashion.families == ["PreResNet", "WRN"]
    for name in PRINTED:
        assert PAPER_ROW not in {row[0] for sheet in sheets_of(name, fashion) for row in sheet.rows}
    shifts = sheets_of("fig4", fashion)[0]
    assert {row[2] for row in shifts.rows} == {"–"}
    page = write_page(list(EXPERIMENTS.values()), book, tmp_path, scale="converged", again="again")
    text = page.read_text("utf-8")
    assert "### Table 3, made up fashion-mnist" in text
    assert "## Claims in detail, made up fashion-mnist" in text
    assert len(list(tmp_path.glob("*-Fashion.png"))) == len(EXPERIMENTS)


def test_the_number_format_is_told_where_records_say_it(full):
    assert "convolutions trained in" not in dict(provenance(full).rows)
    some = records(seeds=1)
    some[0]["precision"] = "bf16"
    assert dict(provenance(Book(some)).rows)["convolutions trained in"] == "bf16, fp32"
