"""Tables of made-up records: the paper's figures beside, dashes where there is nothing."""

from __future__ import annotations

import re

import pytest

from reproduce.records import NONE, A, B, records
from varshift._draw.markdown import markdown
from varshift._draw.pictures.matplotlib import png
from varshift.reproduce.beyond import budget, footprints, provenance
from varshift.reproduce.book import Book, books
from varshift.reproduce.experiments import EXPERIMENTS, judged, table1, table3, table4, table6
from varshift.reproduce.pages import write_page
from varshift.reproduce.records import read_lines
from varshift.reproduce.tables import PAPER_ROW, table
from varshift.reproduce.telling import alone, detail_table, report, verdict_table

PRINTED = {"table3": table3.PRINTED, "table4": table4.PRINTED, "table6": table6.PRINTED}


@pytest.fixture(scope="module")
def full():
    return Book(records())


def tables_of(name, book):
    return list(EXPERIMENTS[name].tables(book))


def rows_of(made):
    """The rows of a table, as they are written."""
    return [tuple(map(str, row.cells)) for row in made.rows]


def all_tables(book):
    made = [each for name in EXPERIMENTS for each in tables_of(name, book)]
    return [*made, footprints(book), budget(book)]


def cells(line):
    """The cells of a Markdown row: bars that are not escaped part them."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return re.split(r"(?<!\\)\|", line)[1:-1]


def well_formed(made):
    text = markdown(alone(made))
    assert f"### {made.title}\n" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == len(made.rows) + 2
    assert {len(cells(line)) for line in lines} == {len(made.columns)}
    assert set(cells(lines[1])) == {" --- "}
    assert not re.search(r"\bnan\b", text)
    assert "inf" not in text.replace("information", "")


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
def test_every_table_is_well_formed_markdown(name):
    for book in books(BOOKS[name]()):
        for made in all_tables(book):
            well_formed(made)
            assert all(cell for row in rows_of(made) for cell in row)
        verdicts = judged(book)
        assert verdicts
        for made in (verdict_table(verdicts, "made up"), *map(detail_table, verdicts)):
            well_formed(made)
        well_formed(provenance(book.records))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_pictures_are_drawn_from_whatever_there_is(experiment):
    for name in ("baselines alone", "nothing"):
        (book,) = books(BOOKS[name]())
        assert png(EXPERIMENTS[experiment].picture(book)).startswith(b"\x89PNG")


def test_bars_in_cells_are_escaped():
    made = table("of |x|", ("", "a|b"), [("|x|", "1")], "a note")
    well_formed(made)
    assert r"\|x\|" in markdown(alone(made))
    assert markdown(alone(made)).endswith("\n\na note\n")


def test_every_title_names_its_data():
    both = books(BOOKS["two sets"]())
    assert [book.data for book in both] == ["C10", "C100"]
    for book, name in zip(both, ("made up", "made up cifar100"), strict=True):
        titles = [made.title for made in all_tables(book)]
        assert all(re.search(rf", {name}(:|$)", title) for title in titles)
        assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("data", ["C10", "C100"])
def test_printed_figures_stand_below_the_measured_ones(name, data):
    book = Book(records(images="cifar100" if data == "C100" else "cifar10"))
    rows = rows_of(tables_of(name, book)[0])
    measured, below = rows[0::2], rows[1::2]
    assert [row[0] for row in measured] == ["PreResNet", "ResNeXt", "WRN", "DenseNet"]
    for (family, *_), (label, *printed) in zip(measured, below, strict=True):
        assert label == PAPER_ROW
        assert printed == [f"{value:.2f}" for value in PRINTED[name][data, family]]


def test_table_3_has_the_records_numbers(full):
    printed, after_a, after_b = tables_of("table3", full)
    # Errors are 5 + 10·reach·rate·(1, 1.01, 1.02): at (a) 10.05 ± 0.05, at (b) 5.505 ± 0.005.
    assert rows_of(printed)[0] == (
        *("PreResNet", "5.00 ± 0.00", "10.05 ± 0.05", "7.02 ± 0.02"),
        *("5.50 ± 0.00", "5.20 ± 0.00"),
    )
    assert rows_of(after_a)[0] == ("as trained", *["10.05 ± 0.05"] * 4)
    assert rows_of(after_a)[1] == ("adjusted (live)", *["7.02 ± 0.02"] * 4)
    assert rows_of(after_a)[-1][1] == "distill 3 ×"
    assert rows_of(after_b)[-1][1] == "nothing 3 ×"
    assert "2,048 training images" in after_a.below[0]


def test_table_1_has_the_records_and_the_papers_numbers(full):
    (made,) = tables_of("table1", full)
    for row in rows_of(made):
        cos2, d_cos2 = table1.PRINTED["C10", row[0]]
        assert (row[2], row[4]) == (f"{cos2:.4f}", f"{d_cos2:.2f}")
    # d·cos²θ of the five layers at seed 0: 9, 3 − 0.72, 3, 3 + 0.72, 1; four above 1.5.
    assert rows_of(made)[0][3].startswith("3.8")
    assert rows_of(made)[0][5] == "80 %"


def test_figure_4_shows_every_rate_with_its_sign(full):
    shifts, errors = tables_of("fig4", full)
    rows = {row[0]: row[1:] for row in rows_of(shifts)}
    assert rows["PreResNet (a) 0.5"][:2] == ("1.505 ± 0.005", "1.401")
    assert rows["WRN (b) 0.7"][1] == "1.052"
    assert rows["WRN (a) 0"] == (*rows["WRN (b) 0"][:1], "1.005", *rows["WRN (b) 0"][2:])
    assert rows["WRN (a) 0.5"][4] == "40 % / 10 %"
    # 0.25 at (b) was run for Table 6 alone; the paper has no such rate.
    assert "WRN (b) 0.25" not in rows
    assert {row[0]: row[2] for row in rows_of(errors)}["DenseNet (a) 0.7"] == "18.10"


def test_figure_3_has_a_row_for_every_width(full):
    (made,) = tables_of("fig3", full)
    assert [row[:2] for row in rows_of(made) if row[0] == "WRN"] == [("WRN", "4"), ("WRN", "8")]
    row = rows_of(made)[0]
    # At seed 0 the points (36, 2.28), (72, 3), (108, 3.72), (16, 1): 135.84 / 4944.
    # With a level for each kernel size only the three 3×3 tell: 0.02, 0.0202, 0.0204.
    assert row[2:5] == ("0.0278 ± 0.0004", "0.0202 ± 0.0002", "3.03 ± 0.03")


def test_figure_5_has_both_modes_and_the_papers_pair(full):
    (made,) = tables_of("fig5", full)
    rows = {row[:2]: row[2:] for row in rows_of(made)}
    assert rows["PreResNet", "(a) 0.5"][0] == "98.0 ± 0.0"
    assert rows["PreResNet", "(a) 0.5"][3] == "98.8 / 98.5"
    assert rows["WRN", "(a) 0.5"][3] == rows["PreResNet", "(b) 0.5"][3] == "–"


def test_table_6_compares_three_noises_of_one_size(full):
    _, matched = tables_of("table6", full)
    mine = [row for row in rows_of(matched) if row[0] == "WRN"]
    assert [row[1] for row in mine] == ["dropout 0.25", "gaussian 0.25", "uout 1"]
    assert {row[2] for row in mine} == {"0.333"}
    assert len({row[3] for row in mine}) == 1


def test_what_was_not_run_is_a_dash():
    book = Book(records(placings=[NONE]))
    row = rows_of(tables_of("table3", book)[0])[0]
    assert row == ("PreResNet", "5.00 ± 0.00", "–", "–", "–", "–")
    assert rows_of(tables_of("table4", book)[0])[0][2:] == ("–",) * 4
    assert rows_of(tables_of("fig3", book)[0])[0][5] == "–"
    bare = Book(records(placings=[A]))
    assert rows_of(tables_of("table3", bare)[0])[0][1] == "–"
    assert rows_of(tables_of("table1", bare)[0])[0] == (
        *("PreResNet", "–", "0.0355", "–", "2.92", "–"),
    )


def test_footprints_are_counted_at_the_norms_that_are_fed(full):
    rows = {row[:2]: row[2:] for row in rows_of(footprints(full))}
    # One norm of five is fed at (a), number 1, which claims; at (b) it is number 2, which does not.
    assert rows["WRN", "dropout 0.5 at (a)"] == ("3", "100 %", "0.250 ± 0.000", "0 %")
    assert rows["WRN", "dropout 0.5 at (b)"] == ("3", "0 %", "0.250 ± 0.000", "25 %")
    assert rows["WRN", "no noise"] == ("0", "–", "–", "20 %")


def test_verdicts_are_told_with_their_intervals(full):
    rows = rows_of(verdict_table(judged(full), "made up"))
    assert [row[0] for row in rows] == [
        *("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")
    ]
    assert {row[2] for row in rows} == {"holds"}
    assert re.fullmatch(r"\(a\): 2\.5\d \[2\.\d\d, 2\.\d\d\]", rows[-1][3])
    none = rows_of(verdict_table(judged(Book([])), "made up"))
    assert {(row[2], row[4]) for row in none} == {("not decided", "–")}
    assert all("not run" in row[3] or row[0] == "viii" for row in none)


def test_details_say_what_would_hold(full):
    made = {one.title.split(")")[0]: rows_of(one) for one in map(detail_table, judged(full))}
    assert {row[2] for row in made["(i"]} == {"above 0"}
    # A tenth of the 5 % that networks without noise err here.
    assert {row[2] for row in made["(viii"]} == {"below 0.5"}
    assert {row[2] for row in made["(iii"]} == {"0.8 to 1.25", "above 0"}
    assert {row[3] for row in made["(x"]} == {"3", "12"}


def test_provenance_says_what_the_records_were_made_with(full):
    rows = dict(rows_of(provenance(full.records)))
    assert rows["sha256"] == "0123456789abcdef…"
    assert rows["seeds"] == "0, 1, 2"
    assert rows["train images"] == "50,000"
    assert rows["measured"] == "2026-01-01T00:00:00Z to 2026-01-03T00:00:00Z"


def test_a_set_that_the_paper_did_not_use_has_no_row_of_its(tmp_path):
    """Fashion-MNIST, of two networks, beside CIFAR-10: tables, pictures, verdicts of both."""
    some = records(seeds=2, families=("PreResNet", "WRN"), images="fashion-mnist")
    both = books(some + records(seeds=2))  # whatever order their lines have
    assert [book.data for book in both] == ["C10", "Fashion"]
    fashion = both[1]
    assert fashion.families == ["PreResNet", "WRN"]
    for name in PRINTED:
        labels = {row[0] for made in tables_of(name, fashion) for row in rows_of(made)}
        assert PAPER_ROW not in labels
    assert {row[2] for row in rows_of(tables_of("fig4", fashion)[0])} == {"–"}
    made = report(list(EXPERIMENTS.values()), both, "converged")
    write_page(made, both, tmp_path, again="again")
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "### Table 3, made up fashion-mnist" in text
    assert "## Claims in detail, made up fashion-mnist" in text
    linked = re.findall(r"\]\((.*\.png)\)", text)
    assert sorted(linked) == sorted(path.name for path in tmp_path.glob("*.png"))
    assert len(set(linked)) == len(linked) == 2 * len(EXPERIMENTS)
    lines = tmp_path / "records.jsonl"
    assert len(read_lines(lines)) == sum(len(book.records) for book in both)
    lines.write_text("of other scales too", "utf-8")
    write_page(made, both, tmp_path, again="again", source=lines)
    assert lines.read_text("utf-8") == "of other scales too"


def test_what_was_not_run_has_no_empty_picture_nor_table(tmp_path):
    """Table 6 where nothing but networks without noise was trained: its margin, and no more."""
    found = books(records(seeds=2, placings=[NONE]))
    made = report([EXPERIMENTS["table6"]], found, "converged")
    write_page(made, found, tmp_path, again="again")
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "### Table 6" in text
    assert "three noises of one size\n\n|" not in text
    assert not list(tmp_path.glob("*.png"))


def test_a_page_does_not_depend_on_the_order_of_lines(tmp_path):
    pages = []
    for order in (1, -1):
        found = books(records(seeds=2)[::order])
        made = report([EXPERIMENTS["table3"]], found, "cpu")
        write_page(made, found, tmp_path / str(order), again="again")
        names = ("README.md", "table3.png")
        pages.append([(tmp_path / str(order) / name).read_bytes() for name in names])
    assert pages[0] == pages[1]


def test_the_number_format_is_told_where_records_say_it(full):
    assert "convolutions trained in" not in dict(rows_of(provenance(full.records)))
    some = records(seeds=1)
    some[0]["precision"] = "bf16"
    assert dict(rows_of(provenance(some)))["convolutions trained in"] == "bf16, fp32"
