"""A pass over a loader that somebody is in the middle of leaves no mark in their epoch."""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing
import random
import sqlite3
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    TensorDataset,
    WeightedRandomSampler,
)

import varshift as vs
from faults.injecting import Lines as Interrupts
from problems.parked import Parks
from varshift._engine import loaders
from varshift._engine.batches import batches

SAMPLES = TensorDataset(torch.arange(64.0)[:, None].repeat(1, 2))


def net():
    return nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2))


def loader_of(dataset=SAMPLES, kind=DataLoader, **keywords):
    return kind(dataset, batch_size=8, **{"shuffle": True, "num_workers": 1} | keywords)


def persistent(**keywords):
    return loader_of(persistent_workers=True, **keywords)


def epochs(loader, read=lambda: None, at=(), number=2):
    """What a training loop of some epochs sees, `read` called after these batches of each.

    -1 stands for before the first batch, and once before the first epoch.
    """
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(0)
    seen = []
    if -1 in at:
        read()
    for _ in range(number):
        own = []
        for index, batch in enumerate(loader):
            own += (batch[0] if isinstance(batch, (list, tuple)) else batch)[:, 0].tolist()
            if index in at:
                read()
        if -1 in at:
            read()
        seen.append(own)
    return seen


def recalibrates(data, **keywords):
    def run():
        model = net()
        vs.recalibrate(model, data, **keywords).undo()

    return run


READS = {
    "recalibrate": recalibrates,
    "a few": functools.partial(recalibrates, max_samples=20),
    "measure": lambda data: lambda: vs.measure(net(), data, max_samples=30),
}


@pytest.mark.parametrize("how", READS)
@pytest.mark.parametrize("at", [(3,), (0, 7), (-1,)], ids=str)
def test_an_epoch_over_persistent_workers_goes_on_as_if_nobody_had_read(how, at):
    loader = persistent()
    seen = epochs(loader, READS[how](loader), at)
    assert seen == epochs(persistent())
    assert all(sorted(own) == [float(i) for i in range(64)] for own in seen)


class Noisy(Dataset):
    """Its samples are augmented by what the worker draws, or by a generator of the dataset."""

    def __init__(self, draw=torch.rand):
        self.draw = draw

    def __len__(self):
        return 64

    def __getitem__(self, index):
        return torch.full((2,), float(index)) + self.draw(2)


@pytest.mark.parametrize("at", [(-1,), (3,), (7,)], ids=str)
def test_what_workers_draw_is_what_they_would_have_drawn(at):
    loader = persistent(dataset=Noisy())
    assert epochs(loader, recalibrates(loader, max_samples=16), at) == epochs(
        persistent(dataset=Noisy())
    )


def test_the_workers_of_a_pass_end_with_it_and_the_loaders_own_stay():
    loader = persistent()
    started = iter(loader)
    next(started)
    before = {child.pid for child in multiprocessing.active_children()}
    vs.measure(net(), loader, max_samples=16)
    assert {child.pid for child in multiprocessing.active_children()} == before
    assert loader._iterator is started


def test_the_loader_is_back_while_the_error_is_still_held():
    loader = persistent()
    started = iter(loader)
    first = next(started)[0]

    def raising(model, batch):
        raise ValueError("in the model")

    with pytest.raises(vs.VarshiftError, match="in the model") as held:
        vs.measure(net(), loader, forward=raising)
    assert held.value is not None
    assert loader._iterator is started
    rest = [batch[0][:, 0] for batch in started]
    assert sorted(torch.cat([first[:, 0], *rest]).tolist()) == [float(i) for i in range(64)]


class Wrapper:
    """As those of accelerators and prefetchers: a loader inside, another way to iterate."""

    def __init__(self, loader):
        self.parts = {"train": loader}

    def __iter__(self):
        for batch in self.parts["train"]:
            yield batch[0]

    def read(self):
        return iter(self)


def first_items(loader):
    for batch in loader:
        yield batch[0]


class Named(DataLoader):
    """A subclass that iterates in its own way."""

    def __iter__(self):
        for batch in super().__iter__():
            yield batch[0]


AROUND = {
    "an object": Wrapper,
    "a list": lambda loader: Joined([loader]),
    "a method": lambda loader: Wrapper(loader).read,
    "a function": lambda loader: lambda: loader,
    "an iterator made by a function": lambda loader: lambda: iter(loader),
    "a generator expression": lambda loader: lambda: (batch[0] for batch in loader),
    "a generator": first_items,
    "a partial": lambda loader: functools.partial(first_items, loader),
}


class Joined:
    """Several loaders, one after the other."""

    def __init__(self, loaders):
        self.loaders = loaders

    def __iter__(self):
        for loader in self.loaders:
            yield from loader


@pytest.mark.parametrize("what", AROUND)
def test_it_is_found_whatever_stands_around_it(what):
    loader = persistent()
    assert epochs(loader, lambda: recalibrates(AROUND[what](loader))(), (2,)) == epochs(
        persistent()
    )


class Bare(DataLoader):
    """Takes nothing from torch but its name."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


def test_a_subclass_that_torch_has_not_made():
    assert vs.measure(net(), Bare([torch.randn(8, 2)])).samples == 8


def test_a_subclass_with_an_iteration_of_its_own():
    loader = persistent(kind=Named)
    assert epochs(loader, recalibrates(loader), (2,)) == epochs(persistent(kind=Named))


# Shuffling and augmenting ----------------------------------------------------------------------


class Turns(Sampler):
    """Another order in each epoch, counted on itself."""

    def __init__(self):
        self.epoch = 0

    def __len__(self):
        return 64

    def __iter__(self):
        self.epoch += 1
        yield from random.Random(self.epoch).sample(range(64), 64)


def seeded():
    return torch.Generator().manual_seed(3)


def drawing():
    generator = np.random.default_rng(5)
    return Noisy(lambda size: torch.from_numpy(generator.random(size, dtype=np.float32)))


class Augmented(Noisy):
    """Holds its generator as an attribute."""

    def __init__(self):
        self.generator = np.random.default_rng(5)

    def draw(self, size):
        return torch.from_numpy(self.generator.random(size, dtype=np.float32))


class Placed(IterableDataset):
    """Counts on itself where it is."""

    def __init__(self):
        self.place = 0

    def __iter__(self):
        self.place = 0
        while self.place < 64:
            self.place += 1
            yield torch.full((2,), float(self.place))


class Files(IterableDataset):
    """Shuffles its own list in place."""

    def __init__(self):
        self.files = list(range(64))

    def __iter__(self):
        random.shuffle(self.files)
        for file in self.files:
            yield torch.full((2,), float(file))


class InPlace(Sampler):
    """Shuffles an array of its own in place."""

    def __init__(self):
        self.order = np.arange(64)

    def __len__(self):
        return 64

    def __iter__(self):
        np.random.shuffle(self.order)
        return iter(self.order.tolist())


class Duck:
    """A sampler by what it does, which counts in a dict."""

    def __init__(self):
        self.state = {"epoch": 0}

    def __len__(self):
        return 64

    def __iter__(self):
        self.state["epoch"] += 1
        return iter(random.Random(self.state["epoch"]).sample(range(64), 64))


class Lines(IterableDataset):
    """Reads line by line from a file that stays open."""

    def __init__(self, path):
        self.file = path.open()

    def __iter__(self):
        self.file.seek(0)
        while line := self.file.readline():
            yield torch.full((2,), float(line))


class Counting(TensorDataset):
    """Counts the samples it has given."""

    given = 0

    def __getitem__(self, index):
        self.given += 1
        return super().__getitem__(index)[0] + self.given / 1000


class Transform(nn.Module):
    """Augments, as torchvision's modules do, with a generator of its own."""

    def __init__(self):
        super().__init__()
        self.generator = np.random.default_rng(5)

    def forward(self, size):
        return torch.from_numpy(self.generator.random(size, dtype=np.float32))


class Steps:
    """Augments by a count of its own, and is no module."""

    def __init__(self):
        self.calls = 0

    def __call__(self, size):
        self.calls += 1
        return torch.full((size,), self.calls / 1000)


class Loader:
    """No DataLoader, but somebody's own."""

    def __init__(self):
        self.generator, self.epoch = np.random.default_rng(0), 0

    def __iter__(self):
        self.epoch += 1
        for chosen in torch.from_numpy(self.generator.permutation(64)).split(8):
            yield SAMPLES.tensors[0][chosen] + self.epoch / 100

    def batches(self):
        return iter(self)


class Opens:
    """Counts who reads from it, until they have left."""

    def __init__(self):
        self.open = 0

    def __iter__(self):
        self.open += 1
        try:
            yield from (torch.randn(8, 2) for _ in range(4))
        finally:
            self.open -= 1


def test_what_is_read_has_been_left_when_it_is_given_back():
    data = Opens()
    vs.measure(net(), data, max_samples=8)
    assert data.open == 0


def own(dataset):
    return loader_of(dataset, num_workers=0, shuffle=None)


def sampled(sampler):
    return loader_of(num_workers=0, shuffle=None, sampler=sampler)


SHUFFLED = {
    "a list of files": lambda: own(Files()),
    "a sampler's array": lambda: sampled(InPlace()),
    "a sampler by what it does": lambda: sampled(Duck()),
    "a dataset that counts": lambda: own(Counting(*SAMPLES.tensors)),
    "a module that augments": lambda: own(Noisy(Transform())),
    "an object that augments": lambda: own(Noisy(Steps())),
    "a loader of no kind": Loader,
    "the loader's generator": lambda: loader_of(num_workers=0, generator=seeded()),
    "its generator, with workers": lambda: persistent(generator=seeded()),
    "a sampler's generator": lambda: loader_of(
        num_workers=0, shuffle=None, sampler=RandomSampler(SAMPLES, True, 64, seeded())
    ),
    "weights": lambda: loader_of(
        num_workers=0,
        shuffle=None,
        sampler=WeightedRandomSampler(torch.arange(1.0, 65), 64, generator=seeded()),
    ),
    "a sampler that counts": lambda: loader_of(num_workers=0, shuffle=None, sampler=Turns()),
    "a dataset's generator": lambda: loader_of(Augmented(), num_workers=0),
    "an iterable that counts": lambda: loader_of(Placed(), num_workers=0, shuffle=None),
}


@pytest.mark.parametrize("at", [(-1,), (3,)], ids=str)
@pytest.mark.parametrize("what", SHUFFLED)
def test_order_and_draws_are_those_of_an_epoch_alone(what, at):
    loader = SHUFFLED[what]()
    assert epochs(loader, recalibrates(loader, max_samples=24), at) == epochs(SHUFFLED[what]())


READ_BY = {
    "a file": (lambda path: own(Lines(path)), lambda data: data),
    "a method": (lambda path: Loader(), lambda data: data.batches),
    "a generator": (lambda path: Loader(), lambda data: (batch for batch in data)),
    "a chain": (lambda path: persistent(), lambda data: itertools.chain(data)),
    "an iterator": (lambda path: persistent(), lambda data: lambda: iter(data)),
}


@pytest.mark.parametrize("what", READ_BY)
def test_what_reads_on_goes_on_where_it_stood(what, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(map(str, range(64))))
    make, taken = READ_BY[what]
    data, alone = make(path), make(path)
    notes = []

    def reads():
        notes.extend(vs.recalibrate(net(), taken(data), max_samples=30).notes)

    seen = epochs(data, reads, (2,))
    assert seen == epochs(alone)
    assert not notes
    for each in (data, alone):
        if what == "a file":
            each.dataset.file.close()


def test_samples_are_not_copied_and_what_is_written_to_them_is_said():
    images = np.zeros((400, 64, 64, 3), np.float64)  # 37 MiB
    dataset = Noisy()
    dataset.images, dataset.names = images, [("name", index) for index in range(10**5)]
    dataset.tensor = torch.zeros(3 * 10**6, dtype=torch.float64)
    loader = own(dataset)
    tracemalloc.start()
    assert not vs.recalibrate(net(), loader, max_samples=16).notes
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < images.nbytes / 4

    def shuffled(size):
        dataset.images += 1
        dataset.tensor += 1
        return torch.rand(size)

    dataset.draw = shuffled
    notes = vs.recalibrate(net(), loader, max_samples=16).notes
    assert [note.partition(" was written")[0] for note in notes] == [
        "'Noisy.images' of the data (a ndarray)",
        "'Noisy.tensor' of the data (a Tensor)",
    ]


def test_an_interrupt_at_any_line_of_the_reading_apart():
    """Generators, samplers and the loader's one iterator are as before all the same."""
    generator, counting = seeded(), Turns()
    one = loader_of(num_workers=0, generator=generator)
    other = sampled(counting)
    vars(one)["persistent_workers"] = True  # as if it kept its iterator
    vars(one)["_iterator"] = kept = object()

    def read(at):
        with Interrupts(loaders.__file__, at) as lines:
            for data in (one, other):
                with contextlib.closing(batches(data, net())) as taken:
                    next(taken)
        return lines.count

    before = generator.get_state()
    total = read([])
    for at in range(1, total + 1):
        with contextlib.suppress(KeyboardInterrupt):
            read([at])
        assert torch.equal(generator.get_state(), before), at
        assert (counting.epoch, vars(one)["_iterator"]) == (0, kept), at


def stateful_loader():
    reason = "no torchdata; pip install torchdata"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import reads names of torch that are deprecated
        found = pytest.importorskip("torchdata.stateful_dataloader", reason=reason)
    return found.StatefulDataLoader


# What keeps more -------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*set_vital")  # torchdata's own
@pytest.mark.parametrize("workers", [0, 1])
def test_a_stateful_loader_says_where_the_epoch_is_and_resumes_there(workers):
    stateful = stateful_loader()

    def made():
        return loader_of(kind=stateful, num_workers=workers, persistent_workers=workers > 0)

    def stopped(read):
        torch.manual_seed(0)
        loader = made()
        batches = iter(loader)
        first = [next(batches)[0][:, 0].tolist() for _ in range(3)]
        if read:
            vs.measure(net(), loader, max_samples=24)
        state = loader.state_dict()
        again = made()
        again.load_state_dict(state)
        if read:
            vs.measure(net(), again, max_samples=24)
        return first, [batch[0][:, 0].tolist() for batch in again]

    first, rest = stopped(True)
    assert (first, rest) == stopped(False)
    assert len(first) + len(rest) == 8
    assert sorted(x for own in first + rest for x in own) == [float(i) for i in range(64)]


class Endless(DataLoader):
    """One iterator for all epochs, so that workers never end."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.stream = self._again()

    def _again(self):
        while True:
            yield from DataLoader.__iter__(self)

    def __iter__(self):
        for _ in range(len(self)):
            yield next(self.stream)


def test_a_loader_whose_epochs_share_an_iterator_is_refused_while_one_is_under_way():
    loader = loader_of(kind=Endless, num_workers=0)
    for _ in loader:
        with pytest.raises(vs.DataError, match=r"Endless in the middle of an epoch.*last ones"):
            vs.measure(net(), loader)
        with pytest.raises(vs.DataError, match="holds a Endless in the middle"):
            vs.measure(net(), Wrapper(loader))
    notes = vs.recalibrate(net(), loader, max_samples=8).notes
    assert any("next one goes on where this pass has stopped" in note for note in notes)


def test_timms_loader_of_many_epochs():
    kind = pytest.importorskip("timm.data.loader", reason="no timm").MultiEpochsDataLoader
    loader = loader_of(kind=kind, num_workers=0)
    for _ in loader:
        with pytest.raises(vs.DataError, match="MultiEpochsDataLoader in the middle of an epoch"):
            vs.measure(net(), loader)


def prepared(**keywords):
    accelerate = pytest.importorskip("accelerate", reason="no accelerate; pip install accelerate")
    return accelerate.Accelerator(cpu=True, **keywords).prepare_data_loader


@pytest.mark.parametrize("at", [(-1,), (3,), (7,)], ids=str)
@pytest.mark.parametrize(("workers", "most"), [(0, None), (0, 20), (1, 20)])
def test_a_prepared_loader_is_read_beside_its_epoch(workers, most, at):
    """Not as a loader that the optimiser waits for, whether it is read to its end or not."""
    prepare = prepared()
    keywords = {"num_workers": workers, "persistent_workers": workers > 0}
    loader = prepare(loader_of(**keywords))
    ended = []

    def reads():
        active = loader.gradient_state.active_dataloader
        recalibrates(loader, max_samples=most)()
        assert loader.gradient_state.active_dataloader is active
        ended.append(loader.gradient_state.end_of_dataloader)

    seen = epochs(loader, reads, at)
    assert seen == epochs(prepare(loader_of(**keywords)))
    assert ended == [-1 not in at and 7 in at] * len(ended)  # true in the last batch alone


def test_a_prepared_loader_that_dispatches_is_refused_while_an_epoch_is_under_way():
    accelerate = pytest.importorskip("accelerate", reason="no accelerate; pip install accelerate")
    config = accelerate.utils.DataLoaderConfiguration(dispatch_batches=True)
    loader = prepared(dataloader_config=config)(loader_of(num_workers=0))
    for _ in loader:
        with pytest.raises(vs.DataError, match="DataLoaderDispatcher in the middle of an epoch"):
            vs.measure(net(), loader)
    assert vs.measure(net(), loader).samples == 64


class Own(IterableDataset):
    """Is its own iterator, and begins anew."""

    def __init__(self):
        self.place = 0

    def __iter__(self):
        self.place = 0
        return self

    def __next__(self):
        self.place += 1
        if self.place > 64:
            raise StopIteration
        return torch.full((2,), float(self.place))


class Prefetcher:
    """Holds the epoch under way, and the next batch; so do Ray's prepared loaders."""

    def __init__(self, loader):
        self.loader, self.stream, self.ahead = loader, None, None

    def __iter__(self):
        self.stream = iter(self.loader)
        self.ahead = next(self.stream, None)
        return self

    def __next__(self):
        if self.ahead is None:
            raise StopIteration
        given, self.ahead = self.ahead, next(self.stream, None)
        return given


def prepared_by_ray(loader):
    utils = pytest.importorskip("ray.train.torch.train_loop_utils", reason="no ray")
    return utils._WrappedDataLoader(loader, torch.device("cpu"), auto_transfer=True)


HOLDING = {
    "a dataset": lambda: loader_of(Own(), num_workers=0, shuffle=None),
    "a prefetcher": lambda: Prefetcher(loader_of(num_workers=0)),
    "a prefetcher, workers": lambda: Prefetcher(persistent()),
    "Ray's": lambda: prepared_by_ray(loader_of(num_workers=0)),
    "Ray's, workers": lambda: prepared_by_ray(persistent()),
}


@pytest.mark.parametrize("at", [(-1,), (3,), (7,)], ids=str)
@pytest.mark.parametrize("what", HOLDING)
def test_what_is_its_own_iterator_goes_on(what, at):
    data, notes = HOLDING[what](), []

    def reads():
        with vs.test_statistics(net(), data, max_samples=24) as r:
            notes.extend(r.notes)

    seen = epochs(data, reads, at)
    assert seen == epochs(HOLDING[what]())
    assert [len(own) for own in seen] == [64, 64]
    assert not notes


class Once(IterableDataset):
    """Its own iterator over a stream that nobody can wind back."""

    def __init__(self):
        self.stream = (index for index in range(64))

    def __iter__(self):
        return self

    def __next__(self):
        return torch.full((2,), float(next(self.stream)))


class Rows(IterableDataset):
    """Reads from a cursor, which says to nobody where it stands."""

    def __init__(self):
        self.base = sqlite3.connect(":memory:")
        self.base.execute("create table t(x)")
        self.base.executemany("insert into t values(?)", [(index,) for index in range(64)])
        self.cursor = self.base.cursor()

    def __iter__(self):
        self.cursor.execute("select x from t")
        while row := self.cursor.fetchone():
            yield torch.full((2,), float(row[0]))


def test_what_is_taken_for_good_is_said():
    batches = (torch.randn(8, 2) for _ in range(8))
    next(batches)
    given = loader_of(num_workers=0)
    started = iter(given)
    next(started)
    for data, sentence in (
        (batches, "a generator that had been begun"),
        (started, "SingleProcessDataLoaderIter that had been begun"),
        (loader_of(Once(), num_workers=0, shuffle=None), "Once.stream' of the data (a generator)"),
        (loader_of(Rows(), num_workers=0, shuffle=None), "Rows.cursor' of the data (a Cursor)"),
    ):
        (note,) = vs.recalibrate(net(), data, max_samples=16).notes
        assert sentence in note
        assert "missing when it is read on" in note
    data.dataset.base.close()
    fresh = [torch.randn(8, 2) for _ in range(3)]
    for data in (fresh, iter(fresh), (b for b in fresh), lambda: iter(fresh), given, iter(given)):
        assert not vs.recalibrate(net(), data).notes


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_loader_draws_is_no_noise_of_the_model(workers):
    """Or a model that keeps state between forwards would not be found out."""
    x = torch.randn(64, 2, generator=seeded()) * torch.linspace(0.2, 3, 64)[:, None]
    whole, model = Parks(2, 4).double(), Parks(2, 4).double()
    vs.recalibrate(whole, [x.double()])
    loader = loader_of(TensorDataset(x.double()), num_workers=workers)
    (note,) = vs.recalibrate(model, loader).notes
    assert "keeps something from one forward to the next" in note
    torch.testing.assert_close(model.m.running_var, whole.m.running_var, rtol=1e-9, atol=0)


def test_a_torch_that_keeps_its_iterator_elsewhere_is_refused():
    loader = persistent()
    del loader.__dict__["_iterator"]
    with pytest.raises(vs.DataError, match=r"persistent_workers=True.*persistent_workers=False"):
        vs.measure(net(), loader)
