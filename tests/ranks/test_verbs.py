"""Every verb on 1, 2, 3 ranks: sharded data, the same bits everywhere, one process's figures."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import varshift as vs
from ranks.harness import on_ranks, outcome
from ranks.sharding import fully_shard

# Batches of each rank: uneven, and one rank without any.
DEALT = {1: [12], 2: [7, 5], 3: [7, 0, 5]}


def net():
    """Noise straight before a norm, through weights, and through a norm; trained by 36 steps."""
    torch.manual_seed(0)
    made = nn.Sequential(
        *(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(32)),
        *(nn.Linear(32, 32), nn.Dropout(0.3), nn.Linear(32, 32), nn.BatchNorm1d(32)),
        nn.Linear(32, 3),
    ).double()
    for batch in batches() * 3:
        made(batch)
    return made


def batches():
    generator = torch.Generator().manual_seed(1)
    return list(torch.randn(600, 8, generator=generator, dtype=torch.float64).split(50))


def share(rank, ranks):
    before = sum(DEALT[ranks][:rank])
    return batches()[before : before + DEALT[ranks][rank]]


def held_out():
    generator = torch.Generator().manual_seed(2)
    return list(torch.randn(120, 8, generator=generator, dtype=torch.float64).split(40))


VERBS = {
    "measure": vs.measure,
    "explain": vs.explain,
    "diagnose": vs.diagnose,
    "diagnose and try": lambda model, data: vs.diagnose(model, data, held_out=held_out()),
    "predict": vs.predict,
    "predict other noise": lambda model, data: vs.predict(model, data, noise={"2": 0.2}),
    "predict moved": lambda model, data: vs.predict(model, data, moved={"2": "4"}),
    "footprint": lambda model, data: vs.footprint(model, data, places=["3", "6"]),
    "check": lambda model, data: vs.check(model, data=data),
}


def told(rank, ranks, name):
    torch.manual_seed(5 + rank)
    model = net()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = VERBS[name](model, share(rank, ranks))
    same = all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    return json.dumps(found.to_dict(), sort_keys=True), same


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("name", VERBS)
def test_every_rank_has_the_same_bits_and_its_model_back(name, ranks):
    found = on_ranks(ranks, told, name)
    assert len({text for text, _ in found}) == 1
    assert all(same for _, same in found)
    one, many = json.loads(told(0, 1, name)[0]), json.loads(found[0][0])
    for whole, path in COMPARED[name](one, many):
        assert whole[0] == pytest.approx(whole[1], rel=path), name


def _noise_off(one, many):
    """With noise off nothing is drawn: to rounding the figures of one process."""
    for path, site in one["sites"].items():
        other = many["sites"][path]
        for ours, theirs in zip(site["test"]["var"], other["test"]["var"], strict=True):
            yield (theirs, ours), 1e-9
        yield (other["test"]["count"], site["test"]["count"]), 0
        # 600 draws for each of 32 channels on both sides: their median within five errors.
        yield (other["shift"], site["shift"]), 10 * site["shift_se"] / site["shift"]


def _signal(one, many):
    """What theory takes the noise out of is not drawn where no norm lies before."""
    site, other = one["sites"]["3"], many["sites"]["3"]
    yield (other["shift"], site["shift"]), 1e-9
    for ours, theirs in zip(site["var_test"], other["var_test"], strict=True):
        yield (theirs, ours), 1e-9


def _explained(one, many):
    for path, factors in one["factors"].items():
        for name in ("staleness", "noise"):
            ours, theirs = factors[name], many["factors"][path][name]
            yield (theirs["value"], ours["value"]), 10 * (ours["se"] + 1e-3) / ours["value"]
    yield (many["samples"], one["samples"]), 0


def _diagnosed(one, many):
    assert many["verdict"] == one["verdict"]
    assert many["grade"] == one["grade"]
    for name in ("place", "cause", "source"):
        assert [each[name] for each in many["worst"]] == [each[name] for each in one["worst"]]
    assert [step["kind"] for step in many["advice"]] == [step["kind"] for step in one["advice"]]
    yield from _noise_off(one["measurement"], many["measurement"])
    yield from _found(one["findings"], many["findings"])


def _tried(one, many):
    """Each rank lends the same 120 samples, and all of them judge."""
    for told in (one, many):
        assert told["advice"][0]["measured"]["score"]["samples"] == told["held_out"]["samples"]
    assert one["held_out"]["samples"] == 120
    assert many["held_out"]["samples"] in (120, 240, 360)
    yield (many["held_out"]["loss"], one["held_out"]["loss"]), 0.2


def _read(one, many):
    for path, site in one["sites"].items():
        yield (many["sites"][path]["tau"], site["tau"]), 1e-6
    yield (many["batches"], one["batches"]), 0


def _found(one, many):
    assert [f["code"] for f in many["findings"]] == [f["code"] for f in one["findings"]]
    for ours, theirs in zip(one["findings"], many["findings"], strict=True):
        yield (theirs["severity"], ours["severity"]), 0.1


COMPARED = {
    "measure": _noise_off,
    "explain": _explained,
    "diagnose": _diagnosed,
    "diagnose and try": _tried,
    "predict": _signal,
    "predict other noise": _signal,
    "predict moved": _signal,
    "footprint": _read,
    "check": _found,
}


def failing(rank, ranks, name):
    def data():
        yield from share(0, 1)[:2]
        if rank == 1:
            raise OSError("disk gone")

    return outcome(lambda: VERBS[name](net(), data))


@pytest.mark.parametrize(
    "name", ["measure", "explain", "diagnose", "predict", "footprint", "check"]
)
def test_an_error_on_one_rank_is_an_error_on_all(name):
    (first, message), (second, other) = on_ranks(2, failing, name)
    assert (second, other) == ("OSError", "disk gone")
    assert first == "ModelError"
    assert "rank 1 failed" in message


def wrapped(rank, ranks, kind, name):
    wrap = nn.parallel.DistributedDataParallel if kind == "ddp" else fully_shard
    model = wrap(net())
    found = VERBS[name](model, share(rank, ranks))
    return json.dumps(found.to_dict(), sort_keys=True)


@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
@pytest.mark.parametrize("name", ["measure", "explain", "diagnose", "predict", "check"])
def test_wrapped_models_run_on_all_ranks(kind, name):
    """Weights on several ranks are gathered in every forward, so shards of 7 and 5 keep in step."""
    first, second = on_ranks(2, wrapped, kind, name)
    assert first == second
    if name == "measure":
        for whole, rel in _noise_off(json.loads(told(0, 1, name)[0]), json.loads(first)):
            assert whole[0] == pytest.approx(whole[1], rel=rel)
