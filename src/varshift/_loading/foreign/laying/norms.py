"""What a file tells of its norms, beside their arrays, held against the model's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from varshift._loading.foreign.layers import ForeignLayer
from varshift._loading.foreign.laying.mismatching import Mismatch
from varshift._loading.foreign.laying.own import OwnLayer

__all__ = ["norm_notes", "refuse_other_eps"]

Pairs = Sequence[tuple[OwnLayer, ForeignLayer]]


def refuse_other_eps(pairs: Pairs) -> None:
    """Raises Mismatch where eps differs: each figure after such a norm would be another."""
    other = [
        (own, layer)
        for own, layer in pairs
        if layer.eps is not None
        and isinstance(own.told("eps"), float)
        and not math.isclose(own.told("eps"), layer.eps, rel_tol=1e-5)
    ]
    if other:
        own, layer = other[0]
        more = f", and {len(other) - 1} more differ" if len(other) > 1 else ""
        raise Mismatch(
            f"the norm {own.path!r} of the model has eps={own.told('eps'):g}, the file's "
            f"{layer.name!r} was trained with {layer.eps:g}{more}: let the factory make it with "
            f"eps={layer.eps:g}, for every figure behind it depends on that"
        )


def norm_notes(pairs: Pairs, form: str) -> Iterator[str]:
    """On eps where the file is silent, on momentum, and on the counters that it does not have."""
    norms = [(own, layer) for own, layer in pairs if own.kind == "norm"]
    if not norms:
        return
    silent = [own for own, layer in norms if layer.eps is None]
    if silent:
        kept = ", ".join(sorted({f"{own.told('eps'):g}" for own in silent if own.told("eps")}))
        default = "" if form == "ONNX" else "; Keras' and TensorFlow's default is 0.001"
        yield f"the file does not tell the eps of its norms; the model's {kept} was kept{default}"
    told = sorted({layer.momentum for _, layer in norms if layer.momentum is not None})
    if told:
        said = ", ".join(f"{each:g}" for each in told)
        first = f" ({form} writes it as {1 - told[0]:g})" if len(told) == 1 else ""
        differ = [own for own, layer in norms if layer.momentum not in (None, own.told("momentum"))]
        then = "the model's is the same"
        if differ:
            held = differ[0].told("momentum")
            then = f"the model's ({differ[0].path!r}: {held}) was left as it is"
        yield f"the momentum of the file's norms is {said} in torch's sense{first}; {then}"
    yield "such a file does not count batches: num_batches_tracked is 0"
