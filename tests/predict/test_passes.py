"""How many passes a prediction makes, what it holds on to, and what it lends to other verbs."""

from __future__ import annotations

import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine.record.recording import Recording
from varshift._engine.regime import Regime, stored
from varshift._engine.session import session
from varshift._predict.ledger import Ledger
from varshift._predict.passes import DirectNoise
from varshift._predict.recorders import AtTest

BATCHES = 5


class Net(nn.Sequential):
    """Placement (b), then (a) and a dropout that is off."""

    def __init__(self) -> None:
        super().__init__(
            *(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, 8), nn.BatchNorm1d(8)),
            *(nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Dropout(0.0), nn.Linear(8, 2)),
        )


class Skips(Net):
    """Also draws what decides its way."""

    def forward(self, x):
        x = super().forward(x)
        return x if self.training and torch.rand(()) < 0.5 else -x


def batches(count: int = BATCHES) -> list[torch.Tensor]:
    return [torch.randn(64, 6) + 0.3 for _ in range(count)]


def passes_of(net: nn.Module, *args: object, **kwargs: object) -> int:
    calls = []

    def forward(model, batch):
        calls.append(1)
        return model(batch)

    vs.predict(net, *args, forward=forward, **kwargs)
    return len(calls)


WISHES = {
    "as it is": ({}, 0),
    "other noise": ({"noise": {"2": 0.2}}, 1),
    "noise where there was none": ({"noise": {"7": 0.2}}, 1),
    "noise moved": ({"moved": {"2": "8"}}, 1),
}


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("count", [1, BATCHES])
def test_two_passes_a_batch(wish, count):
    asked, more = WISHES[wish]
    assert passes_of(Net(), batches(count), **asked) == 2 * count + more


@pytest.mark.parametrize("wish", WISHES)
def test_one_pass_without_data(wish):
    asked, more = WISHES[wish]
    assert passes_of(Net(), example=batches()[0], **asked) == 1 + more
    assert passes_of(Skips(), example=batches()[0], **asked) == 2 + more


def test_batches_and_what_became_of_them_are_let_go():
    given, made = [], []

    def loader():
        for _ in range(BATCHES):
            (batch,) = batches(1)
            given.append(weakref.ref(batch))
            yield batch

    def watched(module, inputs, out):
        made.append(weakref.ref(out))

    net = Net()
    alive = []
    hook = net[3].register_forward_hook(watched)

    def progress(done, total):
        alive.append(
            [
                sum(ref() is not None for ref in given[1:-1]),  # the first may be kept, for proofs
                sum(ref() is not None for ref in made),
                sum(type(thing) is Ledger for thing in gc.get_objects()),
            ]
        )

    gc.collect()
    gc.disable()
    try:
        vs.predict(net, loader, progress=progress)
        assert alive == [[0, 0, 1], *[[0, 0, 2]] * (BATCHES - 1)]  # the first has the structure
        gc.collect()
        alive.clear(), given.clear(), made.clear()
        vs.predict(net, loader, noise={"2": 0.1}, progress=progress)
        assert alive[-1] == [0, 0, 1]  # held for the second pass, in memory of their own
    finally:
        gc.enable()
        hook.remove()


def test_one_noisy_pass_serves_several_tests_and_recorders():
    torch.manual_seed(3)
    net, data = Net().double(), [batch.double() for batch in batches()]
    with torch.no_grad():
        for batch in data * 4:
            net(batch)
    torch.manual_seed(5)
    whole = vs.predict(net, data)
    noisy, lent, again, seen = DirectNoise(), AtTest(), AtTest(), Recording("train")
    torch.manual_seed(5)
    with session(net) as run:
        regimes = {
            "train": noisy.regime(seen),
            "lent": Regime("evaluation", record=(lent,)),
            "again": Regime("evaluation", record=(again,), norms=stored),
        }
        passed = run.run(run.batches(data), regimes)
        sites = noisy.sites(run.structure, passed.samples, lent)
        others = noisy.sites(run.structure, passed.samples, again)
        variances = {path: site.var_test for path, site in sites.items()}
        given = noisy.sites(run.structure, passed.samples, variances)
    assert list(sites) == list(others) == list(given) == list(whole.sites) == ["4", "6"]
    for path, site in sites.items():
        for found in (whole.sites[path], others[path], given[path]):
            assert torch.equal(found.delta, site.delta)
            assert torch.equal(found.signal, site.signal)
            assert found.taus == site.taus
        assert site.low == whole.sites[path].low
        assert seen.at[path].total().count == passed.samples
        assert site.low < site.shift < site.high
        assert given[path].high - given[path].low != site.high - site.low  # training's error alone
    assert sites["4"].taus == pytest.approx({"2": 2 / 3})
    assert sites["6"].taus == pytest.approx({"5": 0.25})


def shares_of(net, data):
    """What one rank hands to the others of its noisy passes and of those at test."""
    noisy, test = DirectNoise(), AtTest()
    regimes = {"train": noisy.regime(), "test": Regime("evaluation", record=(test,))}
    with session(net) as run:
        run.run(run.batches(data) if data else [], regimes)
        structure = run.structure if data else None
    recorders = [regime.record[0] for regime in regimes.values()]
    return structure, [pickle.loads(pickle.dumps(recorder.share())) for recorder in recorders]


def test_books_of_several_ranks_are_the_books_of_all():
    torch.manual_seed(3)
    net, data = Net().double(), [batch.double() for batch in batches(21)]
    structure, whole = shares_of(net, data)
    ranks = [shares_of(net, shard)[1] for shard in (data[:17], [], data[17:])]
    found = []
    for shares in ([whole], ranks):
        noisy, test = DirectNoise(), AtTest()
        noisy.regime().record[0].joined([books for books, _ in shares])
        test.joined([tested for _, tested in shares])
        found.append(noisy.sites(structure, 21 * 64, test)["4"])  # nothing is drawn before it
    one, joined = found
    for name in ("signal", "var_test", "var_train", "delta"):
        torch.testing.assert_close(getattr(joined, name), getattr(one, name), rtol=1e-12, atol=0)
    torch.testing.assert_close(joined.energies["2"], one.energies["2"], rtol=1e-12, atol=0)
    assert joined.floors["2"] == pytest.approx(one.floors["2"], rel=1e-12)
    assert joined.how == "law (b)"
