"""The command as a process of its own, forked from one that has loaded torch and all rooms.

To start Python and to load torch takes seconds, most of what such a test would take. How a process
starts and ends is tested in `cli/test_cli.py` and `cli/test_output.py`, which start real ones.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import varshift as vs

PATIENCE = 240  # seconds for a command, beyond which it is killed
SETTINGS = {"NO_COLOR": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LEFT = ("varshift.integrations", "varshift.__main__")  # other people's libraries, and a start


def varshift(*arguments, **how):
    """What `python -m varshift` does, its two outputs as text; `how` as in `running`."""
    with running(*arguments, **how) as command:
        return command.wait()


@contextmanager
def running(*arguments, main="varshift._cli", cwd=None, patience=PATIENCE, **environment):
    """The command while it runs; another module than its own may bring `main`. One at a time."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        request = {
            "main": main,
            "patience": patience,
            "arguments": ["varshift", *map(str, arguments)],
            "cwd": str(cwd or os.getcwd()),
            "environment": os.environ | SETTINGS | environment,
            "out": str(out),
            "err": str(err),
        }
        server = _server()
        print(json.dumps(request), file=server.stdin, flush=True)
        command = Running(request["arguments"], int(server.stdout.readline()), out, err)
        try:
            yield command
        finally:
            if command.done is None:
                os.kill(command.pid, signal.SIGKILL)
                command.wait()


@dataclass
class Running:
    """A command, and what has become of it once somebody has waited for it."""

    arguments: list[str]
    pid: int
    out: Path
    err: Path
    done: subprocess.CompletedProcess | None = None

    def wait(self) -> subprocess.CompletedProcess:
        """Until it ends."""
        code = int(_server().stdout.readline())
        text = (file.read_bytes().decode() for file in (self.out, self.err))
        self.done = subprocess.CompletedProcess(self.arguments, code, *text)
        return self.done


@cache
def _server() -> subprocess.Popen:
    """One for all tests of this process; it ends when nobody can ask it any more."""
    made = subprocess.Popen(
        [sys.executable, "-c", "from problems.commands import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | SETTINGS | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    atexit.register(_close, made)
    return made


def _close(server: subprocess.Popen) -> None:
    server.stdin.close()
    server.stdout.close()
    server.wait()


def serve() -> None:
    """A line in, a process, its number and its exit code out: until there are no more lines."""
    for module in pkgutil.walk_packages(vs.__path__, "varshift.", onerror=lambda name: None):
        if not module.name.startswith(LEFT):
            import_module(module.name)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(request: dict) -> None:
    """The command, in this process; it does not come back."""
    signal.alarm(request["patience"])
    code = 1
    try:
        _stand_in(0, os.devnull, os.O_RDONLY)
        for number, name in ((1, "out"), (2, "err")):
            _stand_in(number, request[name], os.O_WRONLY | os.O_CREAT)
        sys.stdin, sys.stdout, sys.stderr = (
            io.TextIOWrapper(os.fdopen(number, mode), errors=errors, write_through=number == 2)
            for number, mode, errors in (
                *((0, "rb", "strict"), (1, "wb", "strict")),
                (2, "wb", "backslashreplace"),
            )
        )
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["cwd"])
        sys.argv, sys.path[0] = request["arguments"], request["cwd"]
        import_module(request["main"]).main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _stand_in(number: int, path: str, flags: int) -> None:
    file = os.open(path, flags, 0o600)
    os.dup2(file, number)
    os.close(file)
