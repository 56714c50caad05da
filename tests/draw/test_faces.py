"""What is said first, what next, and what is left out: the same in a terminal and a notebook."""

from __future__ import annotations

import io
import pickle

import pytest
import torch
from rich.console import Console
from torch import nn

import varshift as vs
from varshift._base import Record, Result, Undoable
from varshift._draw.documents import document
from varshift._draw.telling import tables
from varshift.theory import calculator


def drawn(result, width=80):
    console = Console(width=width, file=io.StringIO(), no_color=True)
    console.print(result.table())
    return console.file.getvalue()


class Stack(nn.Module):
    """So many blocks with dropout before a norm."""

    def __init__(self, blocks):
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.2), nn.BatchNorm1d(6))
            for _ in range(blocks)
        )
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


@pytest.fixture(scope="module")
def batches():
    return (2 + torch.randn(96, 6, generator=torch.Generator().manual_seed(1))).split(24)


@pytest.fixture(scope="module")
def deep(batches):
    return vs.measure(Stack(30), batches)


def clean():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def severe(measurement):
    """How many norms shift by more than 1.1 beyond two standard errors."""
    sites = measurement.sites.values()
    return sum(site.severity - 2 * site.severity_se > 1.1 for site in sites)


def worst_of(measurement):
    return max(measurement.sites.values(), key=lambda s: s.severity - 2 * s.severity_se)


def test_a_table_leads_with_the_answer_and_ends_with_what_next(deep):
    text = drawn(deep)
    head = " ".join(text.partition("\n\n")[0].split())
    worst = worst_of(deep)
    grade = worst.grade.capitalize()
    assert head.startswith(
        f"{grade}. {severe(deep)} of 30 norms shift by more than 10 %; the worst"
    )
    assert f" at {worst.path}, " in head
    assert "±" in head
    assert "The 25 worst of 30, in the model's order:" in text
    assert "… and 5 more (JSON has all)" in text
    assert "Next: explain (whose fault it is), repair (what helps)." in text


def test_nothing_shifted_has_no_next_step():
    text = drawn(vs.measure(clean(), torch.randn(40, 3).split(10)))
    assert text.startswith("No shift. The one norm shifts by less than 10 %; the largest shift is")
    assert "Next:" not in text


def test_a_structure_says_first_what_it_found(batches):
    text = drawn(vs.inspect(Stack(2), batches[0]))
    assert text.startswith("2 noise sources drew in one training pass. Noise reaches 2 of 2 norms")
    bare = vs.inspect(clean(), torch.randn(4, 3))
    said = "0 noise sources drew in one training pass. Noise does not reach the one norm directly."
    assert " ".join(drawn(bare).split()) == said
    assert said in bare._repr_html_()


def test_norms_with_the_same_reason_share_a_note(batches):
    net = Stack(12)
    for block in net.blocks[1:]:
        block[2].eval()
    text = " ".join(drawn(vs.recalibrate(net, batches)).split())
    assert text.count("left alone, frozen") == 1
    assert "blocks.1.2, blocks.2.2, blocks.3.2, blocks.4.2 and 7 more: left alone" in text
    net = Stack(12)
    with torch.no_grad():
        for block in net.blocks:
            block[0].weight[0] = 0
            block[0].bias[0] = 0
    text = " ".join(drawn(vs.measure(net, batches)).split())
    assert text.count("dead channel") == 1
    assert "and 8 more: 1 dead channel left out" in text


def test_outputs_are_blamed_however_many_norms_there_are(batches):
    x = vs.explain(Stack(40), batches)
    (blame,) = (held for held in tables(document(x)) if held.title == "Whose noise it is")
    assert str(blame.rows[0].cells[0]) == "output"
    assert len(blame.rows) == 25
    assert blame.count > 25


def test_rows_of_one_place_name_it_once(every):
    (blame,) = (h for h in tables(document(every["explanation"])) if h.title == "Whose noise it is")
    places = [str(row.cells[0]) for row in blame.rows]
    assert "" in places
    named = [place for place in places if place]
    assert len(named) == len(set(named))


def without_a_figure():
    """A prediction of a model whose only norm theory does not reach without data."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for _ in range(40):
        net(torch.randn(8, 3, 8, 8))
    return vs.predict(net, example=5 * torch.randn(2, 3, 8, 8))  # unlike what it was trained on


def test_no_figure_says_why_everywhere():
    found = without_a_figure()
    reason = next(iter(found.skipped.values()))
    text = " ".join(drawn(found).split())
    assert text.startswith(
        "No norm could be predicted from the checkpoint alone, for these reasons:"
    )
    assert "Shift that theory expects" not in text
    page = found._repr_html_()
    assert "No norm could be predicted from the checkpoint alone, for these reasons:" in page
    assert reason.split("'")[-1] in page
    assert list(found.to_frame()["severity"]) == []


def test_every_result_names_its_columns(every):
    told = set()
    for result in every.values():
        told.add(type(result))
        if result.rows() and not isinstance(result, calculator.Calculation):
            assert list(result.rows()[0]) == list(result.COLUMNS), type(result)
    bases = {Result, Undoable}
    assert told == {kind for base in bases for kind in base.__subclasses__()} - bases


def test_a_result_prints_in_a_line(every):
    for result in every.values():
        text = repr(result)
        assert text.startswith(f"<{type(result).__name__}: ")
        assert text.endswith(".table(), .to_frame()>")
        assert len(text) < 400
        assert "\n" not in text
        assert repr(pickle.loads(pickle.dumps(result))) == text


def test_records_with_tensors_print_in_a_line(every):
    site = every["measurement"]["second"]
    assert repr(site.test).startswith("Statistics(mean=float64[8], var=float64[8], count=")
    held = [
        *(site, site.stored, every["explanation"].blame, every["prediction"]["second"]),
        *every["explanation"].factors.values(),
        *every["explanation"].outputs.values(),
        *every["recalibration"].sites.values(),
    ]
    assert all(isinstance(one, Record) for one in held)
    assert all(len(repr(one)) < 1000 and "tensor(" not in repr(one) for one in held)


def test_a_notebook_has_the_terminals_columns(deep, every):
    page = deep._repr_html_()
    assert f"{severe(deep)} of 30 norms shift by more than 10 %" in page
    assert '<th style="text-align:left;white-space:nowrap">severity</th>' in page
    assert "shift_se" not in page
    assert page.count("±") > 60
    assert "font-weight:bold" in page
    assert "color" not in page
    assert every["explanation"]._repr_html_().count("<th ") <= 6 + 4 + 3
    assert page.count('<img style="max-width:100%"') == 1
    assert "<script" not in page


def test_a_notebook_cuts_names_and_keeps_figures_in_view():
    name = "stage_" * 20
    net = nn.Sequential()
    net.add_module(name, nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)))
    page = vs.measure(net, torch.randn(40, 3).split(10))._repr_html_()
    assert f'title="{name}.1"' in page
    assert f">{name}.1<" not in page
    assert ">(a) …" in page


def test_untrained_norms_are_said_to_be_so_first():
    net, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4)), torch.randn(64, 4) + 3
    said = document(vs.measure(net, x.split(16)))
    assert said.detail.startswith("No norm has been trained, though")
    for batch in x.split(16):
        net(batch)
    assert document(vs.measure(net, x.split(16))).detail == ""


class Doubled(nn.Module):
    """Training has code of its own, and no noise."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4, momentum=None)

    def forward(self, x):
        return self.norm(2 * x if self.training else x)


def test_what_is_nobodys_has_a_row_and_no_repair():
    net, data = Doubled(), [torch.randn(64, 4) for _ in range(8)]
    with torch.no_grad():
        for batch in data:
            net(batch)
    text = drawn(vs.explain(net, data))
    assert "Verdict: unattributed." in text
    assert "(rest)" in text
    assert "(rest): what stays with every source silenced" in " ".join(text.split())
    assert "Next: repair" not in text


def test_the_main_picture_is_one_of_the_parts(every):
    """Else a page draws it twice."""
    for result in every.values():
        made = document(result)
        parts = [part for section in made.sections for part in section.parts]
        assert made.picture is None or any(part is made.picture for part in parts), type(result)
