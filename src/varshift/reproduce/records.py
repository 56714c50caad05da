"""Records as JSON lines: read, written whole, and grown while runs finish."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from varshift._files import replacing, unreadable
from varshift.errors import DataError, VarshiftError
from varshift.reproduce.locking import locked

__all__ = ["Record", "RecordFile", "read_lines", "write_lines"]

Record = dict[str, Any]
PATIENCE = 60.0  # seconds; whoever holds the file writes one line


class RecordFile:
    """Records of finished runs, one a line, which several processes may add to.

    The file is replaced whole under a lock beside it, so that a kill or a full disk leaves it as
    it was. Lines of other runs, scales and nets stay where they are.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def read(self) -> list[Record]:
        """All of them; none where there is no file yet.

        Raises:
            DataError: with the number of a line that is no record.
        """
        return read_lines(self.path) if self.path.is_file() else []

    def repair(self) -> bool:
        """Take away a last line that was half written or copied; whether there was one."""
        with self._alone():
            held = self._bytes()
            whole = _whole(held)
            if whole != held:
                self._write(whole)
            return len(whole) < len(held)

    def add(self, records: Iterable[Record]) -> None:
        """Those of finished runs that are not there; they take the place of failed tries."""
        done = {record["id"]: record for record in records if "failed" not in record}
        if not done:
            return
        with self._alone():
            lines = _whole(self._bytes()).splitlines(keepends=True)
            there = {line: json.loads(line) for line in lines}
            for record in there.values():
                if "failed" not in record:
                    done.pop(record.get("id", ""), None)
            if done:
                kept = [line for line in lines if there[line].get("id") not in done]
                self._write(b"".join([*kept, *(_line(one).encode() for one in done.values())]))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = self.path.with_name(f"{self.path.name}.lock")
        with locked(lock, wait=PATIENCE) as free:
            if not free:
                raise VarshiftError(
                    f"another process has held {str(lock)!r} for {PATIENCE:.0f} seconds; end it, "
                    "and start the same command again: what is done is kept"
                )
            yield

    def _bytes(self) -> bytes:
        return self.path.read_bytes() if self.path.is_file() else b""

    def _write(self, lines: bytes) -> None:
        with replacing(self.path) as fresh:
            fresh.write_bytes(lines)


def write_lines(path: Path, records: Iterable[Record]) -> None:
    """JSON lines, one record each, the file replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        fresh.write_text("".join(map(_line, records)), "utf-8")


def read_lines(path: Path) -> list[Record]:
    """Raises DataError for a missing file, and with the number of a line that is not JSON."""
    if said := unreadable(path):
        raise DataError(said)
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{str(path)!r} is no text: pass a records.jsonl that varshift reproduce wrote"
        ) from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(f"line {number} of {str(path)!r} is not JSON: {error}") from error
        if not isinstance(found[-1], dict) or "run" not in found[-1]:
            raise DataError(
                f"line {number} of {str(path)!r} is no record of a run; pass a records.jsonl that "
                "varshift reproduce wrote"
            )
    return found


def _line(record: Record) -> str:
    return json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n"


def _whole(lines: bytes) -> bytes:
    """Without what stands behind the last end of line, unless that is a record as well."""
    before, end, last = lines.rpartition(b"\n")
    if not last:
        return lines
    try:
        json.loads(last)
    except ValueError:
        return before + end
    return lines + b"\n"
