"""Models by the names that libraries have for them: `timm:`, `torchvision:` and `hf:`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from varshift._loading.saying import first_line
from varshift._loading.transformers_models import from_transformers
from varshift.errors import MissingExtraError, ModelError, UsageError, listed

__all__ = ["from_hub", "hub_of", "untrained"]

Keywords = Mapping[str, Any]


def hub_of(target: str) -> tuple[str, str] | None:
    """The library and the name in it; None for a target of another kind.

    >>> hub_of("timm:resnet18.a1_in1k"), hub_of("net.py:make")
    (('timm', 'resnet18.a1_in1k'), None)
    """
    kind, _, name = target.partition(":")
    return (kind, name) if kind in _HUBS and name else None


def from_hub(kind: str, name: str, keywords: Keywords, notes: list[str]) -> nn.Module:
    """The model of that name, made with `keywords`; `notes` takes in what a reader must know.

    Raises UsageError for a name or an argument that there is not, ModelError where making it fails
    or its weights are not on this machine, MissingExtraError without the library.
    """
    return _HUBS[kind](name, keywords, notes)


def untrained(target: str, keywords: Keywords) -> str | None:
    """That the weights are random, where nothing has asked for others."""
    kind, _ = hub_of(target) or ("", "")
    asked = {"timm": "pretrained", "torchvision": "weights"}.get(kind)
    if asked is None or any(keywords.get(name) for name in (asked, "checkpoint_path")):
        return None
    value = "True" if kind == "timm" else "DEFAULT"
    return (
        f"{target} has random weights; give --checkpoint FILE, or --model-kwargs {asked}={value} "
        "for those that the library fetches"
    )


def _timm(name: str, keywords: Keywords, notes: list[str]) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", "zoo", f"timm:{name}") from error
    known = "/" in name or timm.is_model(name)  # with a slash it is a place, of timm's own naming
    if not known:
        raise _unknown("timm", name, timm.list_models())
    architecture, _, tag = name.partition(".")
    tags = [each for each in timm.list_pretrained() if each.startswith(f"{architecture}.")]
    if "/" not in name and tag and name not in tags:
        raise _unknown("timm", name, tags)
    return _made(f"timm:{name}", lambda: timm.create_model(name, **keywords), keywords)


def _torchvision(name: str, keywords: Keywords, notes: list[str]) -> nn.Module:
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingExtraError("torchvision", "zoo", f"torchvision:{name}") from error
    if name not in models.list_models():
        raise _unknown("torchvision", name, models.list_models())
    weights = keywords.get("weights")
    if isinstance(weights, str):
        there = [each.name for each in models.get_model_weights(name)]
        # The library also takes "ResNet18_Weights.IMAGENET1K_V1".
        if weights.rpartition(".")[2] not in ("DEFAULT", *there):
            raise UsageError(
                f"torchvision:{name} has no weights {weights!r}; it has DEFAULT, {', '.join(there)}"
            )
    return _made(f"torchvision:{name}", lambda: models.get_model(name, **keywords), keywords)


_HUBS: dict[str, Callable[[str, Keywords, list[str]], nn.Module]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "hf": from_transformers,
}


def _unknown(kind: str, name: str, names: Iterable[str]) -> UsageError:
    names = list(names)
    near = difflib.get_close_matches(name, names, 4)
    near = near or [each for each in names if each.startswith(name[:4])][:4]
    said = f"near to it: {', '.join(near)}" if near else f"{kind}.list_models() lists all"
    if kind == "torchvision" and not near:
        said = "torchvision.models.list_models() lists all"
    return UsageError(f"{kind} has no model {name!r}; {said}")


def _made(target: str, make: Callable[[], Any], keywords: Keywords) -> nn.Module:
    try:
        made = make()
    except TypeError as error:
        if not keywords:
            raise ModelError(f"{target} could not be made: TypeError: {error}") from error
        raise UsageError(
            f"{target} cannot be made with --model-kwargs {listed(keywords)}: {error}"
        ) from error
    except OSError as error:  # what downloads raise is one: URLError, and those of hubs
        raise ModelError(
            f"the weights of {target} are not on this machine and could not be fetched "
            f"({type(error).__name__}: {first_line(error)}); fetch them where there is a network "
            f"and {_fetching(target)}"
        ) from error
    except Exception as error:
        raise ModelError(
            f"{target} could not be made: {type(error).__name__}: {first_line(error)}"
        ) from error
    if not isinstance(made, nn.Module):
        raise UsageError(f"{target} gave a {type(made).__name__}, no torch.nn.Module")
    return made


def _fetching(target: str) -> str:
    """Where they lie on the network, and how they are given here."""
    kind, _, name = target.partition(":")
    told = "give the file as --checkpoint, without asking for weights in --model-kwargs"
    if kind == "torchvision":
        from torchvision import models

        return f"{told}: {models.get_model_weights(name).DEFAULT.url}"
    import timm

    found = timm.get_pretrained_cfg(name)
    place = getattr(found, "hf_hub_id", None) or getattr(found, "url", None) or name
    fetch = str(place) if "://" in str(place) else f"hf download {str(place).rstrip('/')}"
    return f"{told}: {fetch}"
