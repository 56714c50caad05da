"""What a monitor writes into TensorBoard, read back by TensorBoard's own reader."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

import varshift as vs
from varshift.errors import MissingExtraError
from varshift.integrations import tensorboard


def monitored(steps=4):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4, momentum=None))
    monitor = vs.Monitor(model, every=1, warn=False)
    for _ in range(steps):
        x = torch.randn(256, 4)
        model(x)
        yield monitor, monitor.step(x)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_written_is_read_back(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with tensorboard.open_writer(tmp_path / "run") as writer:
        for monitor, record in monitored():
            if record:
                assert tensorboard.write(monitor, writer)
    events = reader.EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == set(monitor.metrics())
    assert tags["histograms"] == ["varshift/delta/1"]
    read = events.Scalars("varshift/severity/1")
    assert [event.step for event in read] == [2, 3, 4]
    expected = [record.norms["1"].severity for record in monitor.history]
    assert [event.value for event in read] == pytest.approx(expected, rel=1e-6)  # it keeps float32


class Kept(list):
    def add_scalar(self, tag, value, step):
        self.append((tag, step))

    def add_histogram(self, tag, values, step):
        self.append((tag, step))


def test_any_writer_any_step_any_prefix():
    kept = Kept()
    for monitor, _ in monitored(2):
        tensorboard.write(monitor, kept, step=70, prefix="train")
    assert ("train/severity/1", 70) in kept
    assert ("train/delta/1", 70) in kept
    assert len(kept) == 5


def test_before_the_first_look_nothing_is_written():
    kept = Kept()
    (monitor, _), *_ = monitored(1)
    assert not tensorboard.write(monitor, kept)
    assert not kept


def test_without_tensorboard_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'varshift\[tensorboard\]'"):
        tensorboard.open_writer(tmp_path)
