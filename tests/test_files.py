"""A file is replaced whole or not at all, whatever goes wrong meanwhile."""

from __future__ import annotations

import os
import stat

import pytest

from varshift._files import replacing


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_was_there_stays_on_any_error(tmp_path, error):
    path = tmp_path / "old.bin"
    path.write_bytes(b"old")

    def fail():
        with replacing(path) as fresh:
            fresh.write_bytes(b"half of the n")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_replaced_with_the_mode_it_had_or_that_of_any_new_file(tmp_path):
    old, new, plain = (tmp_path / name for name in ("old", "new", "plain"))
    old.write_text("old")
    old.chmod(0o640)
    plain.write_text("")
    for path in (old, new):
        with replacing(path) as fresh:
            fresh.write_text("now")
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == "now"
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert new.stat().st_mode == plain.stat().st_mode
    assert sorted(os.listdir(tmp_path)) == ["new", "old", "plain"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replacing(tmp_path / "link") as fresh:
        fresh.write_text("now")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "now"


def test_a_file_that_the_block_took_away_itself(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "x") as fresh:
        fresh.unlink()
    assert list(tmp_path.iterdir()) == []
