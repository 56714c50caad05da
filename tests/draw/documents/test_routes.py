"""Routes in bundles: what is merged, what it is called, and what is left out."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._draw.documents.bundling import bundled
from varshift._draw.documents.routes import routes_picture
from varshift._draw.pictures.described import RouteBundle


class Stage(nn.Module):
    def __init__(self, rate, norm="norm"):
        super().__init__()
        self.drop = nn.Dropout(rate)
        self.linear = nn.Linear(4, 4)
        self.add_module(norm, nn.BatchNorm1d(4))
        self.norm_name = norm

    def forward(self, x):
        return getattr(self, self.norm_name)(self.linear(self.drop(x)))


class Stages(nn.Module):
    """So many stages under names of their own, as people write them."""

    def __init__(self, rates, name="stage_{}".format, norms=("norm",)):
        super().__init__()
        for index, rate in enumerate(rates):
            self.add_module(name(index), Stage(rate, norms[index % len(norms)]))

    def forward(self, x):
        for stage in self.children():
            x = stage(x)
        return x


def structure(*args, **kept):
    return vs.inspect(Stages(*args, **kept), torch.randn(8, 4))


def test_forty_equal_stages_are_one_bundle():
    assert bundled(structure([0.5] * 40)) == [
        RouteBundle("stage_*.drop", "stage_*.norm", "b", "Linear", 40)
    ]


def test_few_routes_keep_their_names():
    found = bundled(structure([0.5] * 4))
    assert [(b.source, b.norm, b.count) for b in found] == [
        (f"stage_{i}.drop", f"stage_{i}.norm", 1) for i in range(4)
    ]


def test_sources_of_other_rates_are_not_merged():
    found = bundled(structure([0.5] * 20 + [0.1] * 20))
    assert [b.count for b in found] == [20, 20]
    assert [b.source for b in found] == [
        "stage_0.drop … stage_19.drop",
        "stage_20.drop … stage_39.drop",
    ]
    rates = {f"stage_{i}.drop": "0.3" for i in range(40)}
    asked = structure([0.5] * 20 + [0.1] * 20)
    assert [b.count for b in bundled(asked, rates)] == [40]  # asked for at one rate


def test_a_single_source_of_another_rate_keeps_its_name():
    found = bundled(structure([0.5] * 30 + [0.1]))
    assert {b.source: b.count for b in found} == {"stage_*.drop": 30, "stage_30.drop": 1}


def test_numbers_that_tell_what_a_norm_does_stay():
    found = bundled(structure([0.5] * 20, norms=("bn1", "bn2")))
    assert {b.norm: b.count for b in found} == {"stage_*.bn1": 10, "stage_*.bn2": 10}


def test_numbers_that_only_count_do_not():
    found = bundled(structure([0.5] * 20, norms=tuple(f"bn{index}" for index in range(20))))
    assert {b.norm: b.count for b in found} == {"stage_*.bn*": 20}


def test_numbers_that_do_not_differ_stay():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.stage1 = nn.ModuleList(Stage(0.5) for _ in range(20))

        def forward(self, x):
            for stage in self.stage1:
                x = stage(x)
            return x

    (found,) = bundled(vs.inspect(Two(), torch.randn(8, 4)))
    assert (found.source, found.norm, found.count) == ("stage1.*.drop", "stage1.*.norm", 20)


def test_other_layers_between_are_another_bundle():
    net = Stages([0.5] * 20)
    for index in range(10):
        net.get_submodule(f"stage_{index}").linear = nn.Identity()
    found = bundled(vs.inspect(net, torch.randn(8, 4)))
    assert [(b.placement, b.count) for b in found] == [("a", 10), ("b", 10)]
    assert {b.source for b in found} == {"stage_*.drop"}


@pytest.mark.parametrize("rates", [[0.5] * 4, [0.5] * 40, [0.1 + 0.02 * i for i in range(40)]])
def test_every_direct_route_is_in_one_bundle(rates):
    found = structure(rates)
    assert sum(bundle.count for bundle in bundled(found)) == len(found.direct())


def test_a_bundle_is_as_bad_as_its_worst_norm():
    found = structure([0.5] * 40)
    severities = {norm.path: 1.0 for norm in found.norms} | {"stage_7.norm": 3.0}
    picture = routes_picture(found, severities, {})
    assert picture.severities == {"stage_*.norm": 3.0}
    assert picture.grades == {"stage_*.norm": "severe"}
    assert picture.rates == {"stage_*.drop": "0.5"}
    assert "the worst: stage_7.norm" in picture.hints["stage_*.norm"]
    assert "40 sources, stage_0.drop to stage_39.drop" in picture.hints["stage_*.drop"]
    known = dict.fromkeys(severities, "none") | {"stage_3.norm": "mild"}
    assert routes_picture(found, severities, {}, known).grades == {"stage_*.norm": "mild"}


def letters(index):
    return f"part{chr(65 + index // 26)}{chr(65 + index % 26)}"


def test_of_many_norms_the_worst_are_drawn_and_that_is_said():
    found = structure([0.5] * 60, name=letters)
    assert len(bundled(found)) == 60
    picture = routes_picture(found, {}, {})
    assert [bundle.norm for bundle in picture.bundles] == [
        f"{letters(index)}.norm" for index in range(40)
    ]
    assert "40 of 60 direct routes are drawn, the first ones." in picture.caption
    severities = {f"{letters(index)}.norm": 1.0 + index for index in range(60)}
    picture = routes_picture(found, severities, {})
    assert [bundle.norm for bundle in picture.bundles] == [
        f"{letters(index)}.norm" for index in range(20, 60)
    ]
    assert "those to the norms that shift most" in picture.caption
    behind = len(found.routes) - 60
    assert f"{behind} more routes lead through another norm" in picture.caption


def test_without_a_direct_route_there_is_no_picture():
    assert routes_picture(vs.inspect(nn.BatchNorm1d(4), torch.randn(8, 4)), {}, {}) is None


def test_the_routes_behind_a_norm_are_found_once_and_leave_no_trace_in_a_file():
    found = structure([0.5] * 20)
    slow = {
        norm.path: tuple(r for r in found.routes if r.direct and r.norm == norm.path)
        for norm in found.norms
    }
    before = len(pickle.dumps(found))
    assert {path: found.behind(path) for path in slow} == slow
    assert found.behind("nowhere") == ()
    assert len(pickle.dumps(found)) == before
    assert pickle.loads(pickle.dumps(found)).behind("stage_3.norm") == slow["stage_3.norm"]
