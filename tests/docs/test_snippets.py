"""The python blocks of README.md and docs/index.md run as they stand, on a small network."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from docs.pages import DOCS, ROOT, blocks
from problems.libraries import library
from problems.steady import steady

PAGES = {
    "README.md": ROOT / "README.md",
    "README.zh-CN.md": ROOT / "README.zh-CN.md",
    "index.md": DOCS / "index.md",
}


class Layer(nn.Module):
    """Dropout straight before a norm, then a norm that a convolution feeds, for footprint."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(wide, wide, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(wide)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.bn1(self.drop(self.conv1(x).relu())).relu()
        return x + self.bn2(self.conv2(x)).relu()


class Net(nn.Module):
    """The names that the snippets use: layer3.bn1, and sources that end in .drop."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3 = Layer(8), Layer(8), Layer(8)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def trained():
    """What the snippets take for granted: a trained network, its data, a factory."""
    bunch = library("sklearn.datasets").load_digits()
    images, labels = torch.tensor(bunch.images).float()[:, None] / 16, torch.tensor(bunch.target)
    batches = [(images[i : i + 50], labels[i : i + 50]) for i in range(0, 1750, 50)]
    loader, validation, test_loader = batches[:20], batches[20:28], batches[28:]
    with steady(0):
        model = Net()
        optimiser = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        for _ in range(4):
            for x, y in loader:
                optimiser.zero_grad()
                F.cross_entropy(model(x.double()), y).backward()
                optimiser.step()
    return {
        "model": model.float(),
        "make_model": Net,
        "example": images[:50],
        "loader": loader,
        "validation": validation,
        "test_loader": test_loader,
        **_of_a_loop(loader),
    }


def _of_a_loop(loader):
    """What a training loop has beside its model."""

    def train_step(model, batch):
        F.cross_entropy(model.train()(batch[0]), batch[1]).backward()
        model.zero_grad()

    averaged = torch.optim.swa_utils.AveragedModel(Net())
    return {
        "train_loader": loader,
        "train_step": train_step,
        "validate": lambda model: model.eval(),
        "averaged": averaged,
        "logger": SimpleNamespace(log=dict),
        "lightning": library("lightning"),
    }


@pytest.fixture
def lent(trained):
    transformers = library("transformers")
    arguments = transformers.TrainingArguments(report_to="none", use_cpu=True)
    model = copy.deepcopy(trained["model"])
    return trained | {"model": model, "trainer": transformers.Trainer(Net(), arguments)}


def _run(page, lent):
    """Run the blocks in one namespace; what they leave there."""
    found = [block for block in blocks(PAGES[page].read_text()) if block.language == "python"]
    assert found, f"{page} has no python block"
    names = dict(lent)
    for block in found:
        exec(compile(block.text, page, "exec"), names)
    return names


@pytest.fixture(autouse=True)
def _as_found(tmp_path, monkeypatch):
    """Snippets write files and draw noise: nothing of that leaves the test."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs(page, lent):
    _run(page, lent)


def test_what_is_undone_is_undone(lent):
    # Stored twenty times too large: exact statistics help, whatever training has made of the rest.
    lent["model"].layer2.bn1.running_var.mul_(20)
    before = {name: value.clone() for name, value in lent["model"].state_dict().items()}
    names = _run("index.md", lent)
    assert names["r"].accepted, "the branch with undo() was not taken"
    for name, value in lent["model"].state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("page", ["index.md"])
def test_they_run_where_no_repair_is_kept(page, lent):
    for module in lent["model"].modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    assert not _run(page, lent)["r"].accepted
