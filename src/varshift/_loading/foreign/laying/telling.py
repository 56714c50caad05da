"""What is said of how a file's layers were laid onto a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varshift._counting import counted, verb
from varshift._loading.foreign.layers import ForeignFile, ForeignLayer
from varshift._loading.foreign.laying.matching import Matched
from varshift._loading.foreign.laying.norms import norm_notes
from varshift._loading.foreign.laying.own import OwnLayer
from varshift.errors import listed

__all__ = ["laying_notes"]

_SHOWN = 6

Pairs = Sequence[tuple[OwnLayer, ForeignLayer]]


def laying_notes(found: Matched, own: Sequence[OwnLayer], file: ForeignFile) -> Iterator[str]:
    """One sentence for each thing that was done, or could not be known.

    Args:
        found: which layer went where.
        own: all modules of the model.
        file: what was read.
    """
    pairs = found.pairs
    norms = sum(each.kind == "norm" for each, _ in pairs)
    yield (
        f"weights of {counted(len(pairs), 'layer')}, of which {counted(norms, 'norm')}, taken "
        f"from a file of {file.format} by {found.how}: {_mapping(pairs)}"
    )
    yield from _told_apart(found)
    yield from _turned(pairs)
    yield from _filled(pairs)
    yield from norm_notes(pairs, file.format)
    yield from _left(found, own, file)
    yield from file.notes


def _mapping(pairs: Pairs) -> str:
    said = [f"{layer.name} → {each.path or 'the model'}" for each, layer in pairs]
    if len(said) > _SHOWN:
        said = [*said[: _SHOWN - 1], "…", said[-1]]
    return ", ".join(said)


def _told_apart(found: Matched) -> Iterator[str]:
    if found.alike:
        yield (
            f"{counted(len(found.alike), 'layer')} {verb(len(found.alike), 'have')} a twin of the "
            "same kind and shape, and their order alone tells them apart (first "
            f"{_mapping(found.alike[:1])}): see that the model defines its layers in the file's "
            "order"
        )


def _turned(pairs: Pairs) -> Iterator[str]:
    kernels = [each for each, layer in pairs if layer.layout == "last" and _has_kernel(layer)]
    if kernels:
        yield (
            f"{counted(len(kernels), 'kernel')} turned from (…, in, out) to torch's (out, in, …), "
            f"first {kernels[0].path!r}"
        )
    flat = [(each, layer) for each, layer in pairs if layer.flattened and _many(layer)]
    if flat:
        yield (
            f"flattened maps go into {listed(each.path for each, _ in flat)}: reordered from "
            f"channels last ({flat[0][1].flattened} channels) to channels first, as "
            "torch.flatten gives them"
        )
    unknown = [each.path for each, layer in pairs if _may_be_flat(each, layer, pairs)]
    if unknown:
        yield (
            f"flattened maps may go into {listed(unknown)}, and the file does not tell how they "
            "were flattened: their order was left as it is. If channels stood last, as Keras and "
            "TensorFlow have them, let the model move them there before it flattens, or what "
            "comes behind is wrong"
        )


def _has_kernel(layer: ForeignLayer) -> bool:
    return bool({"kernel", "depthwise_kernel"} & layer.arrays.keys())


def _many(layer: ForeignLayer) -> bool:
    """Whether more than one place was flattened: of one, both orders are the same."""
    held = layer.arrays.get("kernel" if layer.kind == "dense" else "moving_mean")
    width = 0 if held is None else held.shape[0 if layer.layout == "last" else -1]
    return bool(layer.flattened) and width > (layer.flattened or 0)


def _may_be_flat(own: OwnLayer, layer: ForeignLayer, pairs: Pairs) -> bool:
    """What was not told of and is a multiple wide of the channels of the convolution before it."""
    if layer.flattened is not None or own.kind not in ("dense", "norm", "layernorm"):
        return False
    at = next(i for i, (each, _) in enumerate(pairs) if each is own)
    before = [each for each, _ in pairs[:at] if each.kind in ("conv", "dense", "transposed")]
    if not before or before[-1].kind == "dense" or not own.shape:
        return False
    out, wide = (before[-1].told("out_channels") or 1), own.shape[-1]
    return bool(wide > out and wide % out == 0)


def _filled(pairs: Pairs) -> Iterator[str]:
    """What the file's layers were made without, and the model's have."""
    scaled = [each for each, layer in pairs if "gamma" not in layer.arrays]
    scaled = [each for each in scaled if each.kind in ("norm", "layernorm")]
    moved = [each for each, layer in pairs if not {"beta", "bias"} & layer.arrays.keys()]
    for name, value, modules in (("weight", 1, scaled), ("bias", 0, moved)):
        paths = [each.path for each in modules if name in each.tensors]
        if paths:
            yield f"the file has no {name} for {listed(paths)}: set to {value}"


def _left(found: Matched, own: Sequence[OwnLayer], file: ForeignFile) -> Iterator[str]:
    used = {id(layer) for _, layer in found.pairs}
    unused = [layer.name for layer in file.layers if id(layer) not in used]
    if unused:
        yield f"the model has no place for {len(unused)} of the file's layers: {listed(unused)}"
    if file.others:
        yield (
            f"passed over beside the layers: {counted(len(file.others), 'array')}, such as an "
            f"optimiser's (first {file.others[0]!r})"
        )
    kept = [each for each in own if each.kind == "other" and not each.parameters]
    if kept:
        yield f"buffers that such files do not have were kept: {listed(e.path for e in kept)}"
