"""`hf:NAME-or-folder`: a model of transformers, from a folder or the local cache, never fetched."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from varshift._loading.saying import first_line
from varshift.errors import ModelError, UsageError, listed

__all__ = ["from_transformers"]

_LOOKS_LIKE_A_PATH = (".", "/", "~", "\\")


def from_transformers(name: str, keywords: Mapping[str, Any], notes: list[str]) -> nn.Module:
    """The class that its configuration names, such as ResNetForImageClassification, else AutoModel.

    Raises:
        UsageError: no such folder, a folder without a configuration, or an unknown argument.
        ModelError: a name that is not in the local cache; the message says how to fetch it.
    """
    transformers = _transformers(name)
    place = _place(name)
    config, unused = _config(transformers, place, name, keywords)
    kind = _class(transformers, config)
    try:
        if os.path.isdir(place) and not _has_weights(Path(place)):
            notes.append(f"hf:{name} holds no weights: they are random; give --checkpoint FILE")
            made = kind.from_config(config) if _is_auto(kind) else kind(config)
        else:
            with _no_bars(transformers):
                made, shown = kind.from_pretrained(
                    place, config=config, local_files_only=True, output_loading_info=True, **unused
                )
            if missing := sorted(shown.get("missing_keys", ())):
                notes.append(
                    f"hf:{name} has no weights for {listed(missing)}: these are random"
                    + (f" ({len(missing)} in all)" if len(missing) > 1 else "")
                )
    except TypeError as error:
        raise UsageError(
            f"hf:{name} cannot be made with --model-kwargs {listed(keywords)}: {error}"
        ) from error
    except OSError as error:
        raise _not_here(name) from error
    except Exception as error:
        raise ModelError(
            f"hf:{name} could not be made: {type(error).__name__}: {first_line(error)}"
        ) from error
    found: nn.Module = made
    return found


@contextmanager
def _no_bars(transformers: Any) -> Iterator[None]:
    """Its bars are drawn in pipes too, over what is said there."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _transformers(name: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UsageError(
            f"hf:{name} needs transformers, which is not installed: pip install transformers"
        ) from error
    return transformers


def _place(name: str) -> str:
    """The folder, where it is one; else the name as it is, of the cache."""
    path = Path(name).expanduser()
    if os.path.isdir(path):  # not by `Path.is_dir`, which raises for too long a name
        if not (path / "config.json").is_file():
            raise UsageError(
                f"hf:{name}: the folder holds no config.json; name one that "
                "model.save_pretrained(…) has written"
            )
        return str(path)
    if name.startswith(_LOOKS_LIKE_A_PATH) or os.path.exists(path) or name.count("/") > 1:
        raise UsageError(f"hf:{name}: there is no folder {str(path)!r}")
    return name


def _config(
    transformers: Any, place: str, name: str, keywords: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    try:
        found: tuple[Any, dict[str, Any]] = transformers.AutoConfig.from_pretrained(
            place, local_files_only=True, return_unused_kwargs=True, **keywords
        )
    except OSError as error:
        raise _not_here(name) from error
    except Exception as error:
        raise ModelError(
            f"the configuration of hf:{name} cannot be read: {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error
    config, unused = found
    if unused and os.path.isdir(place) and not _has_weights(Path(place)):
        raise UsageError(f"hf:{name} has nothing called {listed(unused)} in its configuration")
    return config, unused


def _class(transformers: Any, config: Any) -> Any:
    for name in getattr(config, "architectures", None) or ():
        if hasattr(transformers, name):
            return getattr(transformers, name)
    return transformers.AutoModel


def _is_auto(kind: Any) -> bool:
    return hasattr(kind, "from_config")


def _has_weights(folder: Path) -> bool:
    return any(
        path.suffix in (".safetensors", ".bin") or path.name.endswith(".index.json")
        for path in folder.iterdir()
    )


def _not_here(name: str) -> ModelError:
    near = difflib.get_close_matches(name, _cached(), 3, cutoff=0.5)
    there = f" Near to it in the cache: {', '.join(near)}." if near else ""
    return ModelError(
        f"hf:{name} is not whole on this machine, and nothing is fetched here.{there} Where there "
        f"is a network run: hf download {name} (or name a folder that model.save_pretrained(…) has "
        "written, as hf:./folder)"
    )


def _cached() -> list[str]:
    """Names in the local cache."""
    try:
        from huggingface_hub import scan_cache_dir

        return [each.repo_id for each in scan_cache_dir().repos if each.repo_type == "model"]
    except Exception:  # no cache, or one that another version has written
        return []
