"""How much is copied of a model: what is always, then a quarter of what is free."""

from __future__ import annotations

import pytest
import torch

from varshift._engine.borrow import room

MIB = 1 << 20


def tensor(mib):
    return torch.empty(mib * MIB // 4, device="meta")  # counts like one, and holds nothing


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """Says how much is free, in MiB."""

    def says(free):
        path = tmp_path / "meminfo"
        path.write_text(f"MemTotal: 99 kB\nMemAvailable: {free * 1024} kB\nBuffers: 7 kB\n")
        monkeypatch.setattr(room, "_MEMINFO", path)

    return says


def test_a_little_is_always_copied(memory):
    memory(0)
    made = room.Room()
    assert made.takes(tensor(200))
    assert made.takes(tensor(56))  # 256 in all
    assert not made.takes(tensor(1))
    assert not made.takes(tensor(1))


def test_then_a_quarter_of_what_is_free_when_it_is_first_asked(memory):
    memory(2000)
    made = room.Room()
    assert made.takes(tensor(200))
    assert made.takes(tensor(100))  # asks: 500 on top of 200
    memory(0)
    assert made.takes(tensor(400))
    assert not made.takes(tensor(1))
    assert made.takes(tensor(0))


def test_what_did_not_fit_is_not_counted(memory):
    memory(0)
    made = room.Room()
    assert not made.takes(tensor(300))
    assert made.takes(tensor(256))


def test_where_the_system_does_not_say(tmp_path, monkeypatch):
    for path in (tmp_path / "nothing", tmp_path / "silent"):
        (tmp_path / "silent").write_text("MemTotal: 99 kB\n")
        monkeypatch.setattr(room, "_MEMINFO", path)
        made = room.Room()
        assert made.takes(tensor(1024))  # of 4 GiB
        assert not made.takes(tensor(1))
