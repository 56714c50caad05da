"""What `footprint` reads in each checkpoint, one line of JSON a network; resumable."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

import varshift as vs
from benchmarks.footprints.plan import Case
from benchmarks.footprints.reading import Truth, load
from varshift.errors import VarshiftError
from varshift.results.footprint import FootprintSite

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "footprints.jsonl"
Line = dict[str, Any]


def read(cases: Iterable[Case], trained: Iterable[str], results: Path) -> Iterator[Line]:
    """What is trained and not read yet; each is written as it is done.

    The file is asked before each, so that several processes, each with an `only` of its own, may
    read side by side.
    """
    there = set(trained)
    for case in cases:
        if case.key in there and case.key not in {line["key"] for line in lines_of(results)}:
            line = line_of(case)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            yield line


def lines_of(results: Path) -> list[Line]:
    """All that is read, one line for each network."""
    text = results.read_text(encoding="utf-8") if results.exists() else ""
    return list({line["key"]: line for line in map(json.loads, text.splitlines())}.values())


def line_of(case: Case) -> Line:
    """One network, read with its places given and by the default call."""
    net, batches, truth = load(case.key)
    return {
        **{"key": case.key, "kind": case.kind, "twin": case.twin},
        **{"optimiser": case.optimiser, "data": case.data},
        "noises": {
            place: [noise.drop_p, _word(noise.channel)] for place, noise in truth.noises.items()
        },
        "met": {norm: list(places) for norm, places in truth.met.items()},
        "given": _reading(net, batches, truth, truth.slots),
        "found": _reading(net, batches, truth, None),
    }


def _word(channel: bool) -> str:
    return "channel" if channel else "element"


def _reading(
    net: nn.Module, batches: list[Tensor], truth: Truth, places: tuple[str, ...] | None
) -> dict[str, Any]:
    begun = time.perf_counter()
    try:
        found = vs.footprint(net, batches, places=places)
    except VarshiftError as error:
        return {"seconds": 0.0, "records": [], "error": str(error)}
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        "records": [_record(site, truth.met[site.path]) for site in found.records()],
        "error": "",
    }


def _record(site: FootprintSite, met: tuple[str, ...]) -> dict[str, Any]:
    """A site in short; of places that are all one, the true one if it is among them."""
    place = next((one for one in met if one in site.alike), site.place)
    return {
        "norm": site.path,
        "place": site.place if site.place in met else place,
        "noise": site.noise,
        **_figures(site),
        "added": round(site.added, 4),
        "misfit": round(site.misfit, 2),
        "claimed": site.claimed,
        "instead": [
            {"place": one.place, "noise": one.noise, **_figures(one)} for one in site.instead
        ],
    }


def _figures(one: Any) -> dict[str, float]:
    return {name: round(getattr(one, name), 4) for name in ("drop_p", "low", "high")}
