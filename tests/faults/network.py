"""No network: every attempt is recorded and refused, by Python's own audit events.

Run as a script it is put in front of a command: `python network.py RECORD -m varshift demo`.
"""

from __future__ import annotations

import runpy
import sys
from contextlib import contextmanager
from pathlib import Path

_EVENTS = (
    *("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request"),
)
_records: list[list[str]] = []  # of the blocks that are open


def _heard(event, arguments):
    if _records and event in _EVENTS:
        _records[-1].append(f"{event} {arguments[1:]}")
        raise ConnectionRefusedError(f"{event}: there is no network here")


@contextmanager
def no_network():
    """In the block; gives the attempts."""
    if not getattr(sys, "_varshift_tests_listen", False):  # a hook stays for good: one is enough
        sys.addaudithook(_heard)
        sys._varshift_tests_listen = True
    attempts: list[str] = []
    _records.append(attempts)
    try:
        yield attempts
    finally:
        _records.remove(attempts)


def main():
    record, _, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    with no_network() as attempts:
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        finally:
            Path(record).write_text("\n".join(attempts), "utf-8")


if __name__ == "__main__":
    main()
