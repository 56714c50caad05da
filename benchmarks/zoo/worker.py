"""Reads the names it is sent, each with the parameters it may have, and answers in JSON.

A process of its own: what an architecture does to it, or a want of memory, ends here.
"""

from __future__ import annotations

import json
import os
import resource
import sys

import torch
from torch import nn

import varshift as vs
from benchmarks.zoo.reading import line_of
from benchmarks.zoo.specimen import LARGEST

__all__ = ["main"]


def main() -> None:
    """`python -m benchmarks.zoo.worker ANSWERS MEMORY`: a descriptor, and bytes."""
    answers, memory = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    torch.set_num_threads(1)
    vs.inspect(nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3)), torch.randn(4, 3))  # its imports
    with os.fdopen(answers, "w") as out:
        for asked in sys.stdin:
            largest, _, name = asked.strip().partition(" ")
            LARGEST.set(float(largest))
            try:
                line = line_of(name)
            except Exception as failed:  # the next name shall be read all the same
                said = f"{type(failed).__name__}: {failed}".strip().splitlines()[0][:300]
                line = {"name": name, "outcome": "failed", "reason": said}
            print(json.dumps(line), file=out, flush=True)


if __name__ == "__main__":
    main()
