"""Notebooks executed as nbconvert does, in a process of their own: what they leave open goes."""

from __future__ import annotations

import json
import subprocess
import sys

__all__ = ["executed"]


def executed(*cells: str) -> tuple[list[dict], list[str]]:
    """The cells with their outputs, and every plain text that was displayed meanwhile."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    book, shown = json.loads(done.stdout)
    return book["cells"], shown


def _execute(cells: list[str]) -> None:
    import nbclient
    import nbformat

    book = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    client = nbclient.NotebookClient(book, timeout=240, kernel_name="python3")
    shown = []

    def processed(message, *rest):
        data = message["content"].get("data", {})
        if "text/plain" in data:
            shown.append(data["text/plain"])
        return usual(message, *rest)

    usual, client.process_message = client.process_message, processed
    client.execute()
    print(json.dumps([book, shown]))


if __name__ == "__main__":
    _execute(json.loads(sys.stdin.read()))
