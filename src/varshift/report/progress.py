"""A progress bar on stderr with the time left; silent where stderr is not a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Bar", "bar"]


class Bar:
    """Called as `bar(done, total or None)`; closed when done."""

    def __init__(self, label: str = "") -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
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


def bar(label: str = "") -> Bar:
    """A bar that is already running."""
    return Bar(label)
