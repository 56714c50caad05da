"""The base of our dispatch modes: entering one does not load torch's compiler."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from varshift._torch import compiler
from varshift._torch.classes import DispatchModeBase, skipped_by_compiler

__all__ = ["DispatchMode"]


class DispatchMode(DispatchModeBase):
    """A dispatch mode that lets torch's compiler skip it, once that compiler is loaded.

    Newer torch wraps `__torch_dispatch__` of every subclass so that its compiler skips it, and the
    wrapper's first call imports `torch._dynamo`: seconds, in a process that compiles nothing. A
    class is asked by `_should_skip_dynamo`, which releases that do not wrap never call.
    """

    supports_higher_order_operators = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)  # type: ignore[no-untyped-call]
        own = cls.__dict__.get("__torch_dispatch__")
        if own is not None and hasattr(DispatchModeBase, "_should_skip_dynamo"):
            _let_compiler_skip(cls, own)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def _let_compiler_skip(cls: type[DispatchMode], dispatch: Callable[..., Any]) -> None:
    """Wrap `dispatch` as torch would, but only once the compiler is there.

    A model whose forward calls `torch.compile` loads it in the middle of a pass. The method stands
    aside at its next call, lest the compiler compile this very frame for each operation.
    """
    skipped = skipped_by_compiler(dispatch)

    @functools.wraps(dispatch)
    def dispatched(*args: Any, **kwargs: Any) -> Any:
        if not compiler.loaded():
            return dispatch(*args, **kwargs)
        cls.__torch_dispatch__ = skipped  # type: ignore[method-assign]
        return skipped(*args, **kwargs)

    cls.__torch_dispatch__ = dispatched  # type: ignore[method-assign]
