"""A progress bar on stderr with the time left; silent where stderr is not a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.text import Text

__all__ = ["Bar", "bar"]


class Bar:
    """Called as `bar(done, total or None)`; closed when done."""

    def __init__(self, label: str = "", console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            _Time(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(label, total=None)
        self._progress.start()

    def __call__(self, done: int, total: int | None) -> None:
        """Draw `done` of `total`."""
        self._progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take the bar off the screen."""
        self._progress.stop()


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


def bar(label: str = "") -> Bar:
    """A bar that is already running."""
    return Bar(label)
