"""Every form of data, and a sentence for every form that is none."""

from __future__ import annotations

import contextlib
from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import varshift as vs
from problems.settling import settled
from varshift._engine.batches import Batch, batches, call, piece

NET = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
X = torch.arange(36.0).view(12, 3)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x, scale=1.0):
        return self.norm(x * scale)


Pair = namedtuple("Pair", "x y")


class Encoding(UserDict):
    """Like a tokeniser's: no dict, more than its items, and a `to` that moves the lent one."""

    def __init__(self, data, lengths):
        super().__init__(data)
        self.lengths = lengths

    def to(self, device):
        self.data = {}
        return self


class Fixed(Mapping):
    """Cannot be written to."""

    def __init__(self, items):
        self._items = items

    def __getitem__(self, key):
        return self._items[key]

    def __iter__(self):
        return iter(self._items)

    def __len__(self):
        return len(self._items)


FORMS = {
    "tensor": ([X], None),
    "tuple": ([(X, torch.zeros(12))], None),
    "list": ([[X, 3]], None),
    "named tuple": ([Pair(X, torch.zeros(12))], None),
    "dict": ([{"x": X}], None),
    "dict in a tuple": ([({"x": X}, 1)], None),
    "ordered dict": ([OrderedDict(x=X)], None),
    "user's dict": ([Encoding({"x": X}, 3)], None),
    "read-only mapping": ([Fixed({"x": X})], None),
    "callable": (lambda: iter([X]), None),
    "generator": ((x for x in [X]), None),
    "forward": ([{"image": X}], lambda model, batch: model(batch["image"])),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    data, forward = FORMS[form]
    net = Named()
    r = vs.recalibrate(net, data, forward=forward)
    assert r.samples == 12
    torch.testing.assert_close(net.norm.running_var, X.var(0))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ([], "gave no batches: pass at least one"),
        (iter([]), "already used up"),
        (X, r"pass \[x\] for a single batch"),
        (3, "pass an iterable of batches, or a callable"),
        ({"x": X}, "is a dict"),
        ([X, 5], "batch 1 is a int; pass forward="),
        ([X, ("a",)], "batch 1 is a tuple of str"),
        (
            [X, X / 0],
            r"batch 1 holds 36 values that are NaN or infinite, the first \(NaN\) at "
            r"index \(0, 0\)",
        ),
        ([X[:0]], "batch 0 is empty"),
    ],
)
@pytest.mark.parametrize("verb", [vs.measure, vs.recalibrate])
def test_sentences(verb, data, match):
    if match == "already used up":
        data = iter([])
    with pytest.raises(vs.DataError, match=match):
        verb(NET, data)


def test_a_generator_used_twice():
    data = (x for x in [X])
    vs.measure(NET, data)
    with pytest.raises(vs.DataError, match="already used up"):
        vs.measure(NET, data)


def test_a_loaders_own_error_stays_its_own():
    def loader():
        yield X
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone") as caught:
        vs.measure(NET, loader)
    assert any("batch 1" in note for note in caught.value.__notes__)


def test_wrong_shapes_and_devices():
    with pytest.raises(
        vs.ModelError, match=r"in '1' \(BatchNorm1d\) on batch 0 \(shapes \(4, 5\)\)"
    ):
        vs.measure(NET, [torch.randn(4, 5)])
    with pytest.raises(vs.ModelError, match=r"move it first with model\.to"):
        vs.measure(NET, [X], device="cuda")
    with pytest.raises(vs.ModelError, match="Pass forward="):
        vs.measure(Named(), [{"y": X}])
    with pytest.raises(vs.ModelError, match="at least 2 samples"):
        vs.measure(NET, [X[:1]])


@pytest.mark.parametrize("limit", [1, 5, 8, 12, 100])
def test_max_samples_cuts_exactly(limit):
    taken = list(batches(X.split(4), NET, max_samples=limit))
    assert sum(batch.samples for batch in taken) == min(limit, 12)
    assert torch.equal(torch.cat([batch.value for batch in taken]), X[:limit])


def test_max_samples_must_be_positive():
    with pytest.raises(vs.UsageError, match="at least 1"):
        vs.measure(NET, [X], max_samples=0)


@pytest.mark.parametrize("make", [dict, OrderedDict, lambda d: Encoding(d, 3), Fixed])
def test_mappings_of_every_class_are_moved_cut_and_copied(make):
    class Doubles(nn.Module):
        def forward(self, x):
            return x.mul_(2)

    lent = make({"x": X.clone()})
    (batch,) = batches([lent], nn.BatchNorm1d(3))
    few = piece(batch, 2, 5)
    assert few.samples == 3
    assert torch.equal(few.value["x"], X[2:5])
    assert torch.equal(call(Doubles(), batch, None), 2 * X)
    assert torch.equal(lent["x"], X)  # neither moved nor written to
    if isinstance(lent, Encoding):
        assert few.value.lengths == 3


def test_lists_and_arrays_with_one_item_per_sample_are_cut_along():
    names, sizes = [str(i) for i in range(12)], np.arange(12)
    few = piece(Batch(0, {"x": X, "names": names, "sizes": sizes, "shape": (3, 3)}, 12), 2, 5)
    assert few.value["names"] == ["2", "3", "4"]
    assert few.value["sizes"].tolist() == [2, 3, 4]
    assert few.value["shape"] == (3, 3)
    assert piece(Batch(0, [X, [1, 2]], 12), 2, 5).value[1] == [1, 2]


def test_what_no_slice_reaches_is_not_cut():
    class Holder:
        def to_dict(self):
            return {"x": X}

    assert piece(Batch(0, (X, Holder()), 12), 0, 5) is None


def test_a_dataset_is_no_loader():
    x = torch.randn(8, 3)
    with pytest.raises(vs.DataError, match=r"dataset \(TensorDataset\) that gives samples"):
        vs.measure(nn.BatchNorm1d(3), TensorDataset(x, torch.arange(8)))


def test_a_pair_is_one_batch():
    with pytest.raises(vs.DataError, match=r"pass \[\(inputs, labels\)\] for a single batch"):
        vs.measure(nn.BatchNorm1d(3), (torch.randn(8, 3), torch.arange(8)))
    two = torch.randn(8, 3).split(4)  # a tuple as well, of two batches
    assert vs.measure(nn.BatchNorm1d(3), two).batches == 2


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (DataLoader(TensorDataset(torch.randn(4, 3))), r"next\(iter\(loader\)\)"),
        ((1, 3, 8, 8), r"looks like a shape: pass torch.randn\(1, 3, 8, 8\)"),
        (np.zeros((4, 3)), r"make it a tensor: torch.from_numpy"),
    ],
)
def test_what_is_no_example_gets_the_way_out(example, said):
    with pytest.raises(vs.DataError, match=said):
        vs.inspect(nn.BatchNorm1d(3), example)


class Endless(IterableDataset):
    """Batches with a number beside, one after another; nobody knows how many."""

    def __iter__(self):
        generator = torch.Generator().manual_seed(0)
        return iter([(torch.randn(8, 3, generator=generator), step) for step in range(4)])


@pytest.mark.parametrize(
    "verb", [vs.measure, vs.explain, vs.predict, vs.recalibrate, vs.repair, vs.check]
)
@pytest.mark.parametrize("most", [None, 16])
def test_a_loader_without_a_length_is_data(verb, most):
    net, loader = settled(NET, X.split(4), 3), DataLoader(Endless(), batch_size=None)
    options = {"data": loader} if verb is vs.check else {}
    if verb is vs.repair:
        options |= {"method": "recalibrate", "labels": False, "max_samples": most or 32}
        with contextlib.suppress(vs.DataError):  # too few to judge by
            verb(net, loader, **options)
        return
    found = verb(net, *([] if options else [loader]), max_samples=most, **options)
    assert found is not None


@pytest.mark.parametrize("verb", [vs.measure, vs.recalibrate, vs.explain, vs.footprint])
def test_a_source_may_fill_one_memory_again_and_again(verb):
    """As loaders with pinned or shared buffers do: what is held is held by value."""
    x = torch.randn(128, 3, generator=torch.Generator().manual_seed(0))

    def reusing():
        buffer = torch.empty(32, 3)
        for part in x.split(32):
            yield buffer.copy_(part)

    def tables(data):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3), nn.ReLU(), nn.BatchNorm1d(3))
        return str(verb(settled(net, x.split(32), 30), data).to_dict())

    assert tables(reusing) == tables(list(x.split(32)))


def test_batches_are_let_go_by_value():
    buffer = np.zeros((4, 3), np.float32)

    def reusing():
        for value in range(3):
            buffer[:] = value
            yield {"x": torch.from_numpy(buffer), "raw": buffer}

    held = [batch.value for batch in batches(reusing, Named())]
    assert [float(value["x"][0, 0]) for value in held] == [0, 1, 2]
    assert [float(value["raw"][0, 0]) for value in held] == [0, 1, 2]
    assert [batch.samples for batch in batches([{"raw": buffer}], Named(), forward=print)] == [4]
    (lent,) = batches([X], NET)
    assert lent.value is X  # a list fills nothing anew: no copy of all the data
