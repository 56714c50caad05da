"""The zoo's own truths catch what is wrong, and its worker survives what architectures do."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from benchmarks.zoo import figures, keeping, pairs
from benchmarks.zoo.specimen import Specimen, revived
from torch import nn

import varshift as vs


def net():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)),
        nn.Dropout(0.5),
        nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)),
    )
    return Specimen(model, lambda count: torch.randn(count, 8), samples=4)


def tried(change):
    lent = net()
    batch = lent.draw(4)
    return pairs.tried(lent, batch, change(vs.inspect(lent.model, batch)))


def test_right_routes_are_borne_out():
    found = tried(lambda structure: structure)
    assert (found.sources, found.reported, found.unreported) == (1, 1, 1)
    assert (found.moved, found.unmoved, found.unshown) == ([], [], [])


def test_a_route_that_is_missing_shows():
    assert tried(lambda structure: replace(structure, routes=())).moved == ["1 → 2.1"]


def test_a_route_too_many_shows():
    def change(structure):
        (route,) = structure.routes
        return replace(structure, routes=(route, replace(route, norm="0.1")))

    assert tried(change).unmoved == ["1 → 0.1"]


def test_a_source_behind_every_norm_is_seen_in_the_output():
    lent = net()
    lent.model[1], lent.model[2] = nn.Identity(), nn.Dropout(0.5)
    batch = lent.draw(4)
    found = pairs.tried(lent, batch, vs.inspect(lent.model, batch))
    assert (found.sources, found.reported, found.unreported, found.unshown) == (1, 0, 1, [])


def test_a_rate_of_zero_shows_nothing():
    lent = net()
    lent.model[1] = Never()
    batch = lent.draw(4)
    found = pairs.tried(lent, batch, vs.inspect(lent.model, batch))
    assert (found.sources, found.reported, found.unshown) == (0, 0, ["1"])


class Never(nn.Module):
    def forward(self, x):
        return x * torch.empty_like(x).bernoulli_(1.0)


def test_figures_are_within_the_bar():
    found = figures.figures(net())["errors"]
    assert set(found) == {"measure", "recalibrate", "recalibrate, float64"}
    assert max(found.values()) < 1e-6


@pytest.mark.parametrize("verb", ["measure", "recalibrate"])
def test_figures_that_are_off_show(verb, monkeypatch):
    right = getattr(vs, verb)

    def off(model, batches, forward=None):
        return right(model, batches[:2], forward=forward)

    monkeypatch.setattr(figures.vs, verb, off)
    assert figures.figures(net())["errors"][verb] > 1e-3


def test_scales_of_zero_are_drawn():
    norm = nn.BatchNorm1d(4)
    nn.init.zeros_(norm.weight)
    revived(norm)
    assert (norm.weight >= 0.5).all()
    assert norm.bias.any()


def test_a_run_goes_on_after_its_worker(tmp_path):
    path = tmp_path / "lines.jsonl"
    gone = "torch_geometric/no such"
    keeping.read([gone], keeping.Limits(seconds=0), path)
    assert keeping.lines(path)[gone]["reason"] == "took longer than 0 s"
    keeping.read([gone, "torch_geometric/BatchNorm"], keeping.Limits(seconds=300), path)
    with path.open("a") as out:
        out.write('{"name": "torch_geo')  # as a kill in the middle of a line leaves it
    found = keeping.lines(path)
    assert found[gone]["outcome"] == "failed"
    assert found["torch_geometric/BatchNorm"]["outcome"] == "read"
    assert json.dumps(found)
