"""A model is borrowed: whatever a verb touches comes back as it was, above all on an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from varshift._engine.borrow.buffers import Buffers
from varshift._engine.borrow.guard import WriteGuard
from varshift._engine.borrow.hidden import everything
from varshift._engine.borrow.loan import Loan, trains_its_own_way
from varshift._engine.borrow.walk import walk
from varshift._torch.tensors import version
from varshift.errors import ModelError, UsageError, quoted

__all__ = [
    "Buffers",
    "borrowed",
    "evaluation_flags",
    "own_eval",
    "set_training",
    "training_flags",
    "unwrapped",
]

Flags = list[tuple[nn.Module, bool]]

_WRAPPERS = ("DataParallel", "DistributedDataParallel")


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's own module inside `torch.compile`, DDP and DataParallel wrappers."""
    if not isinstance(model, nn.Module):
        makes = isinstance(model, type) or callable(model)
        how = f", such as what {quoted(getattr(model, '__name__', ''))} makes" if makes else ""
        raise UsageError(f"model is a {type(model).__name__}; pass a torch.nn.Module{how}")
    while True:
        if isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        elif type(model).__name__ in _WRAPPERS and isinstance(model.module, nn.Module):
            model = model.module
        else:
            return model


@contextmanager
def borrowed(
    model: nn.Module, notes: list[str] | None = None, guard: WriteGuard | None = None
) -> Iterator[nn.Module]:
    """Lend the unwrapped model: eager, without gradients, and restored whatever happens.

    Restored are parameters and buffers (object, storage, bits, version), `.grad`, `requires_grad`
    and hooks; of every module its class and its attributes, what is registered, and whatever hangs
    on it (`borrow.objects` says what that is); and the process around it, random generators
    included. An interrupt at any line changes nothing in that.

    Args:
        model: what the user handed in, wrappers and all.
        notes: takes in, on leaving, sentences about what could not be given back. Without a list
            they go to that of the enclosing loan, and from the outermost one to a warning. An
            error or interrupt on its way carries them too (`__notes__`).
        guard: one for all loans of this model, where it is lent often. Everything that may write to
            a parameter must run inside it: it has large ones copied only then.

    Raises:
        ModelError: the model is half built, or a verb in another thread is using it. On another
            model a thread waits for its turn.
    """
    inner = unwrapped(model)
    _refuse_unready(inner)
    loan = Loan(inner, guard)
    try:
        with loan, loan, loan:
            loan.begin()
            yield inner
        loan.tell(notes)
    except BaseException as error:
        for sentence in loan.failed:
            error.add_note(f"not given back: {sentence}")
        raise


def training_flags(model: nn.Module) -> Flags:
    """The training flag of every module, hidden ones too, as `set_training` takes it."""
    return [(module, module.training) for _, module in everything(model)]


def evaluation_flags(model: nn.Module, now: Flags | None = None) -> tuple[Flags, bool]:
    """The flags that the user's own `model.eval()` gives: what it misses stays as `now`.

    A class with a `train()` of its own may keep a norm in training, or set norms in a plain list.
    It may also do more: average the statistics of a ghost norm, merge adapters. The second value
    says so, and that a pass in evaluation takes a call of `own_eval`; here all of it is undone.
    """
    if not trains_its_own_way(model):
        registered = {id(module) for _, module in walk(model)}
        now = training_flags(model) if now is None else now
        return [(module, on and id(module) not in registered) for module, on in now], False
    before = _held(model)
    with borrowed(model):
        own_eval(model)
        return training_flags(model), _held(model) != before


def own_eval(model: nn.Module) -> None:
    """The user's own `eval()`, which may be anybody's code."""
    try:
        model.eval()
    except Exception as error:
        said = f"the model's own eval() raised {type(error).__name__}: {error}"
        raise ModelError(said) from error


def _held(model: nn.Module) -> list[tuple[int, int]]:
    """Every tensor that the modules hold, by identity and version."""
    return [
        (id(tensor), version(tensor))
        for _, module in everything(model)
        for holder in (module._parameters, module._buffers, vars(module))
        for tensor in holder.values()
        if isinstance(tensor, Tensor) and not tensor.is_inference()
    ]


def set_training(flags: Flags) -> None:
    """Set each module's own flag: no call of `train()`, so nothing else happens."""
    for module, flag in flags:
        if module.training != flag:
            module.training = flag


def _refuse_unready(model: nn.Module) -> None:
    for path, module in walk(model):
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is None:
                continue
            full = f"{path}.{name}".lstrip(".")
            if nn.parameter.is_lazy(tensor):
                raise ModelError(
                    f"{full!r} is not initialised yet; run one batch through the model"
                )
            if tensor.is_meta:
                raise ModelError(f"{full!r} is on the meta device; load its weights first")
            if tensor.is_inference() and (name in module._parameters or "running" in name):
                raise ModelError(
                    f"{full!r} was created under torch.inference_mode(), so nothing can be "
                    "written to it; make or load the model outside of it"
                )
