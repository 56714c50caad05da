"""Notebooks executed as nbconvert does, in a thread of their own: the loop they leave is its."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

__all__ = ["execute"]


def execute(client) -> None:
    """Run all cells of an `nbclient.NotebookClient`."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(client.execute).result()
