"""Large parameters, copied at the moment an operation is about to write to them, and not before.

To copy all parameters of a network and to compare every bit afterwards takes longer than a forward
of a small batch, and hardly any forward writes to one. So where the same loan is taken again and
again, the first one copies everything. If that has found no parameter written, the later ones hold
large parameters under a guard, and copy only what is written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor

from varshift._engine.trace.mode import DispatchMode
from varshift._engine.trace.ops import Operation, tensors_in
from varshift._torch.tensors import operation_space, schema_of, storage_identity

__all__ = ["WriteGuard"]


class WriteGuard(DispatchMode):
    """A mode that has what is held copied before an operation writes to it.

    An operation of torch's own writes to what its schema says, any other one to whatever it is
    given. What is written past torch (through `.numpy()`, or as C++ likes) is not seen; that is
    what the first loan is for.

    `late` says whether large parameters may be copied late: a loan has come back before, and no
    parameter was ever written to.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.late = False
        self._written = False
        self._held: dict[int, list[Callable[[], None]]] = {}

    @property
    def holds(self) -> bool:
        """Whether anything is held, so that the mode has to be entered."""
        return bool(self._held)

    def clear(self) -> None:
        """Hold nothing any more."""
        self._held = {}

    def hold(self, tensor: Tensor, copy: Callable[[], None]) -> None:
        """Call `copy` before the first write to this storage."""
        self._held.setdefault(storage_identity(tensor), []).append(copy)

    def given_back(self, *, written: bool) -> None:
        """A loan came back, and a parameter had been `written` to, or none."""
        self._written |= written
        self.late = not self._written

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Copy what this operation writes to, then run it."""
        kwargs = kwargs or {}
        if self._held and _may_write(func):
            own = operation_space(func) == "aten" and schema_of(func) is not None
            written = Operation(func, args, kwargs).written() if own else tensors_in([args, kwargs])
            for tensor in written:
                self._copy(tensor)
        return func(*args, **kwargs)

    def _copy(self, tensor: Tensor) -> None:
        try:
            key = storage_identity(tensor)
        except (NotImplementedError, RuntimeError):  # a layout without a storage: none is held
            return
        for copy in self._held.get(key, ()):
            copy()
        self._held.pop(key, None)  # after the copy: an interrupt must find it made, or to be made


@cache
def _may_write(func: Any) -> bool:
    schema = schema_of(func)
    if schema is None or operation_space(func) != "aten":
        return True
    return any(a.alias_info is not None and a.alias_info.is_write for a in schema.arguments)
