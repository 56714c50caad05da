"""A whole model as it is now: all its modules, objects and tensors, and how each is put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from varshift._engine.borrow.guard import WriteGuard
from varshift._engine.borrow.hidden import named_by_attributes, named_in_code, user_classes
from varshift._engine.borrow.hooks import named_by_hooks
from varshift._engine.borrow.leaves import KeptLeaf
from varshift._engine.borrow.modules import (
    KeptClass,
    KeptModule,
    KeptOutside,
    kept_module,
    sharded,
)
from varshift._engine.borrow.objects import Objects
from varshift._engine.borrow.room import Room
from varshift._engine.borrow.tensors import Digest, KeptTensor, changed, has_values, parts_of
from varshift._torch.tensors import version as version_of

__all__ = ["Kept"]

T = TypeVar("T")
_SMALL = 1 << 16  # bytes up to which a copy is cheaper than to think
_LARGE = 1 << 19  # bytes from which a copy costs more than to follow the operations of a forward


class Kept:
    """What a model is like; `restore()` makes it so again, and may be called again.

    `outer` are the tensors that an enclosing loan of the same model has copied, by id: a large
    parameter is not copied again, as long as nothing says that it was written to. Under a `guard`
    that has seen a loan of this model before, it is copied when it is written to.
    """

    def __init__(
        self,
        model: nn.Module,
        outer: Mapping[int, KeptTensor],
        guard: WriteGuard | None = None,
    ) -> None:
        self.copies: dict[int, KeptTensor] = {}
        self._outer = outer
        self._guard = guard
        self._late: list[tuple[KeptTensor, str]] = []
        self._objects = Objects()
        self._modules: list[KeptModule | KeptOutside] = []
        self._classes: dict[type, KeptClass] = {}
        self._leaves: list[tuple[KeptLeaf, str]] = []
        self._copied: list[tuple[KeptTensor, str]] = []
        self._watched: list[tuple[KeptTensor, int]] = []
        self._digests: list[tuple[Digest, str]] = []
        self._room = Room()
        if guard is not None:
            guard.clear()
        self._follow(model)
        for tensor, path in self._objects.tensors.values():
            self._keep(tensor, path)

    @property
    def unseen(self) -> list[str]:
        """What was not looked into, in sentences."""
        return self._objects.unseen

    def lend(self) -> None:
        """Take gradients away for the time."""
        for leaf, _ in self._leaves:
            leaf.lend()

    def restore(self) -> list[str]:
        """Put everything back; gives what could not be, in sentences."""
        failed: list[str] = []
        _each([(each, "a class") for each in self._classes.values()], KeptClass.restore, failed)
        for module in self._modules:
            module.restore()
        failed += self._objects.restore()
        self._restore_tensors(failed)
        _each(self._leaves, KeptLeaf.restore, failed)
        failed += [
            f"{path!r} was written by a forward and is too large to be copied beforehand: it was "
            "not put back"
            for digest, path in self._digests
            if not digest.same()
        ]
        return failed

    def _restore_tensors(self, failed: list[str]) -> None:
        for kept, version in self._watched:
            if kept.moved() or version_of(kept.tensor) != version:
                kept.restore()
        failed += [
            f"{path!r} was written by a forward that had not done so before, and in a way that "
            "cannot be seen beforehand: it was not put back"
            for kept, path in self._late
            if kept.lost()
        ]
        copied = [*self._copied, *((kept, path) for kept, path in self._late if kept.taken)]
        _each([*self._copied, *self._late], KeptTensor.put_in_place, failed)
        paths = {id(kept): path for kept, path in copied}
        written = [(kept, paths[id(kept)]) for kept in changed([kept for kept, _ in copied])]
        _each(written, KeptTensor.write, failed)
        _each([*self._copied, *self._late], KeptTensor.put_version, failed)
        if self._guard is not None:
            parameters = [kept for kept, _ in written if isinstance(kept.tensor, nn.Parameter)]
            self._guard.given_back(written=bool(parameters))

    def _follow(self, model: nn.Module) -> None:
        """Modules first to last; what hangs on each is looked into on the way."""
        seen: set[int] = set()
        ahead: list[tuple[str, nn.Module, bool]] = [("", model, False)]
        while ahead:
            path, module, within = ahead.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            kept = kept_module(module, within)
            self._modules.append(kept)
            within = within or sharded(module)
            followed = [(value, f"{path}.{name}".lstrip(".")) for name, value in kept.followed]
            for kind in user_classes(module):
                if kind not in self._classes:
                    self._classes[kind] = KeptClass(kind)
                    shared = [*self._classes[kind].followed, *named_in_code(kind)]
                    followed += [(value, f"{kind.__name__}.{name}") for name, value in shared]
            named = (*named_by_attributes(module), *named_by_hooks(module))
            followed += [(value, name) for name, value in named]
            self._objects.take(followed)
            met, self._objects.modules = self._objects.modules, []
            ahead.extend((place, child, within) for place, child in reversed(met))

    def _keep(self, tensor: Tensor, path: str) -> None:
        try:
            if tensor.is_leaf and not tensor.is_inference():
                self._leaves.append((KeptLeaf(tensor), path))
            for part in parts_of(tensor):
                if has_values(part):
                    self._keep_values(part, path)
        except MemoryError:  # nothing has been touched yet
            raise
        except Exception as error:  # a tensor of another library's, that does as it likes
            self._objects.unseen.append(
                f"{path!r} (a {type(tensor).__name__}) could not be copied ({error}): what a "
                "forward changes in it is not put back"
            )

    def _keep_values(self, tensor: Tensor, path: str) -> None:
        size = tensor.numel() * tensor.element_size()
        outer = self._outer.get(id(tensor))
        if outer is not None and size > _SMALL and _as_before(outer):
            self._watched.append((outer, version_of(tensor)))
            return
        if size >= _LARGE and self._kept_late(tensor, path):
            return
        if size > _SMALL and not self._room.takes(tensor):
            if outer is None:
                self._digests.append((Digest(tensor), path))
            return
        kept = KeptTensor(tensor)
        self._copied.append((kept, path))
        self.copies[id(tensor)] = kept

    def _kept_late(self, tensor: Tensor, path: str) -> bool:
        """Leave it to the guard: a plain parameter, whose writes torch counts."""
        plain = type(tensor) is nn.Parameter and tensor.layout == torch.strided
        if self._guard is None or not self._guard.late or not plain:
            return False
        kept = KeptTensor(tensor, late=True)
        if not kept.unwritten():  # a torch that does not count
            return False
        self._late.append((kept, path))
        self._guard.hold(tensor, lambda: self._take(kept))
        return True

    def _take(self, kept: KeptTensor) -> None:
        if not kept.taken and self._room.takes(kept.tensor):
            kept.take()


def _as_before(outer: KeptTensor) -> bool:
    """Whether a parameter is, by all signs, what an enclosing loan has a copy of."""
    return isinstance(outer.tensor, nn.Parameter) and not outer.moved() and outer.unwritten()


def _each(held: Iterable[tuple[T, str]], action: Callable[[T], Any], failed: list[str]) -> None:
    """Do it with every one, whatever becomes of the others."""
    for each, path in held:
        try:
            action(each)
        except MemoryError:  # the loan tries again
            raise
        except Exception as error:
            failed.append(f"{path!r} could not be put back: {error}")
