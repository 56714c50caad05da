"""Every result: its JSON key by key, its frame, its page, its picture, and what a pickle holds."""

from __future__ import annotations

import gc
import io
import json
import pickle
import weakref

import pytest
import torch
from torch import nn

import varshift as vs
from contract.cases import case
from contract.shapes import COLUMNS, SHAPES, differences

CLASSES = {
    "inspect": vs.Structure,
    "measure": vs.Measurement,
    "diagnose": vs.Diagnosis,
    "explain": vs.Explanation,
    "predict": vs.Prediction,
    "footprint": vs.Footprint,
    "check": vs.Findings,
    "recalibrate": vs.Recalibration,
    "repair": vs.Repair,
    "repair with labels": vs.Repair,
    "relocate": vs.Rewrite,
    "replace": vs.Rewrite,
    "patch": vs.Rewrite,
}
PLOTS = ("diagnose", "measure", "explain", "predict", "footprint", "repair", "repair with labels")

every_result = pytest.mark.parametrize("name", CLASSES)


@every_result
def test_class(name, results):
    assert type(results[name]) is CLASSES[name]


@every_result
def test_json(name, results):
    made = results[name].to_dict()
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert differences(made, SHAPES[name]) == []


def test_every_part_of_the_json_was_seen(results):
    """Else an empty list would agree with any shape."""
    for name, path in (
        *(("inspect", "noises"), ("inspect", "norms"), ("inspect", "routes"), ("measure", "sites")),
        *(("explain", "factors"), ("explain", "outputs"), ("predict", "sites")),
        *(("diagnose", "worst"), ("diagnose", "causes"), ("diagnose", "advice")),
        *(("diagnose", "explanation"), ("diagnose", "measurement"), ("diagnose", "held_out")),
        *(("footprint", "sites"), ("check", "findings"), ("check", "rules")),
        *(("recalibrate", "sites"), ("repair", "candidates"), ("repair", "changes")),
        *(("relocate", "changes"), ("replace", "changes"), ("patch", "patches")),
        *(("repair with labels", "reference"), ("repair", "before")),
    ):
        assert results[name].to_dict()[path], (name, path)
    assert results["explain"].to_dict()["blame"]["entries"]
    assert results["patch"].to_dict()["patches"][0]["line"]
    assert results["repair with labels"].to_dict()["candidates"][0]["trial"]["accuracy"]


def test_another_key_would_be_seen(results):
    made = results["measure"].to_dict()
    made["sites"]["3"]["train"]["median"] = 1.0
    del made["notes"]
    assert differences(made, SHAPES["measure"]) == [
        ": 'notes' is on one side only",
        "/sites/3/train: 'median' is on one side only",
    ]


def test_numbers_that_are_not_finite_are_null():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4))
    made = vs.measure(model, [torch.randn(8, 4)]).to_dict()  # one batch: nothing to jackknife over
    json.dumps(made, allow_nan=False)
    dead = vs.measure(model, [torch.randn(8, 4) * torch.tensor([1, 1, 0, 1])] * 2).to_dict()
    assert dead["sites"]["1"]["delta"][2] is None
    assert dead["sites"]["1"]["dead"] == [2]


@every_result
def test_rows_and_frame(name, results):
    result = results[name]
    assert COLUMNS[name] == result.COLUMNS
    rows = result.rows()
    assert rows
    assert all(tuple(row) == COLUMNS[name] for row in rows)
    pytest.importorskip("pandas")
    frame = result.to_frame()
    assert tuple(frame.columns) == COLUMNS[name]
    assert len(frame) == len(rows)


def test_a_frame_without_rows_has_its_columns():
    pytest.importorskip("pandas")
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))
    found = vs.check(model, torch.randn(64, 6))
    assert found.rows() == []
    assert tuple(found.to_frame().columns) == COLUMNS["check"]


@every_result
def test_drawn_as_text_and_as_a_page(name, results, tmp_path):
    rich = pytest.importorskip("rich.console")
    result = results[name]
    console = rich.Console(width=100, record=True, file=io.StringIO())
    console.print(result.table())
    assert len(console.export_text().splitlines()) > 3
    assert "\n" not in repr(result)
    assert repr(result).startswith("<")
    pytest.importorskip("jinja2")
    path = result.to_html(tmp_path / "page.html")
    assert path == tmp_path / "page.html"
    page = path.read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html")
    assert "<" in result._repr_html_()


@every_result
def test_picture(name, results):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    if name not in PLOTS:
        with pytest.raises(vs.UsageError, match="has no one picture to plot"):
            results[name].plot()
        return
    axes = pyplot.figure().subplots()
    assert results[name].plot(axes) is axes
    assert axes.has_data()
    pyplot.close("all")


@every_result
def test_pickles(name, results):
    loaded = pickle.loads(pickle.dumps(results[name]))
    assert type(loaded) is CLASSES[name]
    assert loaded.to_dict() == results[name].to_dict()
    assert loaded.rows() == results[name].rows()


LENDING = {
    "inspect": lambda found: vs.inspect(found.model, found.batches[0]),
    "measure": lambda found: vs.measure(*found.lent),
    "diagnose": lambda found: vs.diagnose(*found.lent),
    "explain": lambda found: vs.explain(*found.lent),
    "predict": lambda found: vs.predict(*found.lent),
    "footprint": lambda found: vs.footprint(*found.lent),
    "check": lambda found: vs.check(found.model, data=found.batches),
    "recalibrate": lambda found: vs.recalibrate(*found.lent),
    "repair": lambda found: vs.repair(*found.lent),
    "relocate": lambda found: vs.relocate(found.model, found.batches[0]),
}


@pytest.mark.parametrize("verb", LENDING)
def test_holds_no_model_once_pickled(verb):
    found = case("linear")
    model = weakref.ref(found.model)
    result = LENDING[verb](found)
    loaded = pickle.loads(pickle.dumps(result))
    del found, result
    gc.collect()
    assert model() is None
    assert loaded.to_dict()
