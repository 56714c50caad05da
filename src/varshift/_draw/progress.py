"""A progress bar on stderr with the time left; silent where output is piped."""

from __future__ import annotations

from contextlib import suppress
from threading import Timer

from rich.console import Console
from rich.errors import LiveError
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.text import Text

from varshift._draw.progress_line import ProgressLine
from varshift._visible import flat

__all__ = ["Bar", "bar"]


class Bar:
    """Called as `bar(done, total or None)`; closed when done.

    It appears `after` so many seconds, so that what is quick leaves the screen alone.
    """

    def __init__(self, label: str, console: Console, after: float = 0.0) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            _Count(),
            _Time(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(flat(label), total=None)
        # By a timer, not at a call that comes late enough: the first call may be what is slow.
        self._timer = Timer(after, self._start)
        self._timer.daemon = True
        if after > 0 and not self._progress.disable:
            self._timer.start()
        else:
            self._start()

    def _start(self) -> None:
        if not self._progress.disable:
            with suppress(LiveError):  # another display is running, and older rich nests none
                self._progress.start()

    def __call__(self, done: float, total: int | None) -> None:
        """Draw `done` of `total`."""
        self._progress.update(self._task, completed=done, total=total)

    def begin(self, label: str) -> None:
        """Another phase: counted and timed anew, since its steps take another time."""
        # Another task, not the same one reset: columns remember what they drew of a task.
        last = self._task
        self._progress.update(last, visible=False)
        self._task = self._progress.add_task(flat(label), total=None)
        self._progress.remove_task(last)

    def say(self, label: str) -> None:
        """What is being done, in the count that is running."""
        self._progress.update(self._task, description=flat(label))

    def close(self) -> None:
        """Take the bar off the screen."""
        self._timer.cancel()
        if self._timer.ident is not None:
            self._timer.join()  # it may be starting the bar just now
        if not self._progress.disable:  # else rich before 14 leaves an empty line in a pipe
            self._progress.stop()


class _Count(MofNCompleteColumn):
    """`3/60`; nothing before there is anything to count."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.completed or task.total is not None else Text("")


class _Time(ProgressColumn):
    """The time left, or where nobody knows how much there is to do, the time it took so far."""

    max_refresh = 0.5  # seconds; faster, an estimate only flickers

    def render(self, task: Task) -> Text:
        """`0:00:12 left`, or `0:00:05 so far`."""
        left = task.time_remaining
        if task.total is not None and left is not None:
            return Text(f"{_clock(left)} left", style="progress.remaining")
        return Text(f"{_clock(task.elapsed or 0)} so far", style="progress.elapsed")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def bar(label: str = "", after: float = 0.0) -> Bar | ProgressLine:
    """A bar that is running, and seen `after` so many seconds; in a notebook a line."""
    console = Console(stderr=True)
    if console.is_jupyter:
        return ProgressLine(label, after)
    return Bar(label, console, after)
