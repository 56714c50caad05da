"""Which norms a source moves, without varshift: draw it anew, all else fixed, and compare bits.

A function mode seeds torch's generator before every call, by the module that runs and how manyth
call of it this is. So no draw depends on another, and those of one module can be made anew alone.
Plain hooks take a digest of what each norm receives.
"""

from __future__ import annotations

import hashlib
import random
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

import varshift as vs
from benchmarks.zoo.specimen import Specimen, call, norms

__all__ = ["ATTEMPTS", "Pairs", "tried"]

SOURCES, ATTEMPTS, SEEDS = 3, 4, 8
Received = dict[str, list[bytes]]  # by norm, digests of what it was given
OUTPUT = "(output)"  # beside the norms, so that a source without routes is seen to act


@dataclass
class Pairs:
    """Pairs of (source, norm) that were tried, and those that went otherwise than reported."""

    sources: int
    reported: int
    unreported: int
    unmoved: list[str]  # reported, and no draw moved them
    moved: list[str]  # not reported, and moved
    unshown: list[str]  # sources that moved nothing in any try, not even the output


def tried(lent: Specimen, batch: Any, structure: vs.Structure, attempts: int = ATTEMPTS) -> Pairs:
    """Draw each of a few sources anew and see which norms receive other bits."""
    reported = _reported(lent.model, structure)
    found = Pairs(0, 0, 0, [], [], [])
    paths = [path for path, module in norms(lent.model) if _reached(structure, path)]
    passes = Passes(lent, batch)
    for source in _chosen(reported):
        behind = reported[source] & set(paths)
        moved = passes.moved(source, behind, attempts)
        if not moved:
            found.unshown.append(source)
            continue
        found.sources += 1
        found.reported += len(behind)
        found.unreported += len(paths) - len(behind)
        found.unmoved += [f"{source} → {path}" for path in sorted(behind - moved)]
        found.moved += [f"{source} → {path}" for path in sorted(moved & set(paths) - behind)]
    return found


def _reached(structure: vs.Structure, path: str) -> bool:
    """Whether the pass that was inspected reached the norm."""
    return any(norm.path == path and norm.calls for norm in structure.norms)


def _reported(model: nn.Module, structure: vs.Structure) -> dict[str, set[str]]:
    """By module path, whatever it draws: the norms that inspect says it reaches."""
    modules = dict(model.named_modules())
    found: dict[str, set[str]] = {
        noise.path: set()
        for noise in structure.noises
        if noise.active and noise.calls and noise.law != "control-flow" and noise.path in modules
    }
    paths = {noise.name: noise.path for noise in structure.noises}
    for route in structure.routes:
        if paths.get(route.noise) in found:
            found[paths[route.noise]].add(route.norm)
    return found


def _chosen(reported: dict[str, set[str]]) -> list[str]:
    """By chance, but the same each time; two with routes come first, where there are two."""
    order = sorted(reported, key=lambda path: zlib.crc32(path.encode()))
    reaching = [path for path in order if reported[path]]
    others = [path for path in order if not reported[path]]
    return [*reaching[:2], *others, *reaching[2:]][:SOURCES]


class Passes:
    """Training forwards of one network; those without anything drawn anew are run once each."""

    def __init__(self, lent: Specimen, batch: Any) -> None:
        self.lent, self.batch = lent, batch
        self._plain: dict[int, Received] = {}

    def moved(self, source: str, behind: set[str], attempts: int) -> set[str]:
        """Norms that moved in any attempt; other draws may leave a mask as it was."""
        moved: set[str] = set()
        for attempt in range(attempts):
            if attempt not in self._plain:
                self._plain[attempt] = self._pass(attempt)
            plain = self._plain[attempt]
            for seed in range(1, SEEDS + 1):
                anew = self._pass(attempt, source, seed)
                now = {path for path in plain if plain[path] != anew[path]}
                moved |= now
                if now:
                    break
            if moved and behind <= moved:
                break
        return moved

    def _pass(self, attempt: int, source: str | None = None, renewed: int = 0) -> Received:
        """One training forward, its buffers put back."""
        random.seed(attempt)
        np.random.seed(attempt)
        model = self.lent.model
        held = {name: buffer.clone() for name, buffer in model.named_buffers()}
        received: Received = defaultdict(list)
        running: list[str] = []
        with _followed(model, running, received), EachItsOwn(attempt, running, source, renewed):
            output = call(self.lent, self.batch)
        parts = [part for part in tree_leaves(output) if isinstance(part, Tensor)]
        received[OUTPUT] = [_digest(part) for part in parts]
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(held[name])
        return received


class EachItsOwn(TorchFunctionMode):
    """Each call of a torch function draws from a seed of its own; no list says which calls draw."""

    def __init__(self, attempt: int, running: list[str], source: str | None, renewed: int) -> None:
        super().__init__()
        self.attempt, self.running = attempt, running
        self.source, self.renewed = source, renewed
        self.calls: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Seed, then call."""
        path = self.running[-1] if self.running else ""
        self.calls[path] += 1
        seed = self.renewed if path == self.source else 0
        key = f"{self.attempt} {path} {self.calls[path]} {seed}"
        torch.default_generator.manual_seed(zlib.crc32(key.encode()))
        return func(*args, **(kwargs or {}))


@contextmanager
def _followed(model: nn.Module, running: list[str], received: Received) -> Iterator[None]:
    """Hooks that keep which module runs, and what each norm is given."""
    hooks = []
    sites = {path for path, _ in norms(model)}

    def enter(path: str, args: tuple[Any, ...]) -> None:
        running.append(path)
        if path in sites:
            received[path].append(_digest(args[0]))

    def leave(*_: Any) -> None:
        running.pop()

    for path, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda _, args, path=path: enter(path, args)))
        hooks.append(module.register_forward_hook(leave, always_call=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _digest(value: Tensor) -> bytes:
    flat = value.detach().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.blake2b(flat.numpy(), digest_size=16).digest()
