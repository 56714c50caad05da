"""What makes a command of a function: its dataclasses spread into options, examples below its help.

An option that several commands take is one field of one dataclass (`varshift._cli.lending.Lent`,
`varshift._cli.output.Answer`). A command names the dataclass, and describes its own options alone.
"""

from __future__ import annotations

import errno
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints

import typer

from varshift._cli.output import PipeClosed, apart
from varshift._cli.wording import whence
from varshift.errors import ModelError, WriteError

__all__ = ["SETTINGS", "add_command", "epilog", "examples", "spread"]

SETTINGS = {"help_option_names": ["-h", "--help"]}


def add_command(app: typer.Typer, function: Callable[..., None]) -> None:
    """Make the function a command of `app`, with -h, and with what `examples` says of it."""
    shown = vars(function).get("examples", ())
    app.command(context_settings=SETTINGS, epilog=epilog(*shown) or None)(spread(function))


def examples(*lines: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Command lines that run as they stand, for the help of the function.

    A line that does not fit into 80 columns holds its own break, a backslash at the line's end.
    """

    def shown(function: Callable[..., None]) -> Callable[..., None]:
        vars(function)["examples"] = lines
        return function

    return shown


def epilog(*lines: str) -> str:
    """A paragraph of examples; "" for none. It begins with a backspace: then it is not wrapped."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines))) if lines else ""


def spread(function: Callable[..., None]) -> Callable[..., None]:
    """The function with the fields of its dataclasses for parameters, in place of these.

    A field that the function also names itself is described by the function, in its own words and
    with its own default; the value goes to both.

    >>> from dataclasses import dataclass
    >>> from varshift._cli.output import stdout
    >>> @dataclass(frozen=True)
    ... class Box:
    ...     width: int
    ...     height: int = 1
    >>> def area(box, height=2): print(box, height, file=stdout())
    >>> area.__annotations__ |= {"box": Box, "height": int}
    >>> str(inspect.signature(spread(area)))
    '(*, width: int, height: int = 2)'
    >>> spread(area)(width=3, height=4)
    Box(width=3, height=4) 4
    """
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    groups = {name: hints[name] for name in parameters if is_dataclass(hints.get(name))}
    own = {
        name: _option(name, hints[name], parameter.default)
        for name, parameter in parameters.items()
        if name not in groups
    }
    options: dict[str, inspect.Parameter] = {}
    for name in parameters:
        for each in _fields(groups[name]) if name in groups else (own[name],):
            options.setdefault(each.name, own.get(each.name, each))

    @functools.wraps(function)
    def command(**given: Any) -> None:
        made = {name: _made(group, given) for name, group in groups.items()}
        with apart(), _ends_by_itself():
            function(**made, **{name: given[name] for name in own})

    vars(command)["__signature__"] = inspect.Signature(list(options.values()))
    command.__annotations__ = {name: each.annotation for name, each in options.items()}
    return command


@contextmanager
def _ends_by_itself() -> Iterator[None]:
    """A model or its data may leave by sys.exit: its code would pass for one of ours.

    So would the end of a file and a closed pipe, at which Typer ends with 1.
    """
    try:
        yield
    except PipeClosed:
        raise
    except WriteError as error:
        if error.errno == errno.EPIPE:  # nobody reads from the pipe that --out names
            raise PipeClosed from None
        raise
    except (EOFError, BrokenPipeError) as error:
        raise ModelError(f"{type(error).__name__}: {error} {whence(error)}") from error
    except SystemExit as leaving:
        raise ModelError(
            f"the model, its data or --forward called sys.exit({leaving.code!r}), and nothing was "
            "found out (--debug shows where)"
        ) from leaving


def _fields(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    empty = inspect.Parameter.empty
    return [
        _option(each.name, hints[each.name], empty if each.default is MISSING else each.default)
        for each in fields(group)
    ]


def _option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY  # which may stand before those without a default
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _made(group: Any, given: Mapping[str, Any]) -> Any:
    return group(**{each.name: given[each.name] for each in fields(group)})
