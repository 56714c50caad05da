"""What --input-shape stands for: inputs that are made up, which every answer says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from varshift.results import Note

__all__ = ["made_example", "note_on_made_inputs"]

# Samples of a random example: enough for a variance per channel, few enough to be quick.
_LEAST, _MOST, _NUMBERS = 16, 256, 2**18


def made_example(shapes: list[str]) -> Any:
    """Random normal inputs, more of them than an inspection needs; of small ones more still."""
    import torch

    from varshift._loading import example_from_shapes

    made = example_from_shapes(shapes)
    generator = torch.Generator().manual_seed(0)
    one = isinstance(made, torch.Tensor)
    first = made if one else made[0]
    samples = min(_MOST, max(_LEAST, _NUMBERS // first[0].numel()))
    wide = tuple(
        torch.randn(samples, *held.shape[1:], generator=generator, device="cpu")
        for held in ([made] if one else made)
    )
    return wide[0] if one else wide


def note_on_made_inputs(example: Any) -> Note:
    """That the example is made up, and what follows for the figures."""
    from varshift.results import Note, NoteKind

    inputs = example if isinstance(example, tuple) else (example,)
    shapes = " and ".join(",".join(map(str, each.shape[1:])) for each in inputs)
    return Note(
        f"the inputs are made up: {len(inputs[0])} samples of random normal numbers, shape "
        f"{shapes}. Figures that rest on the example can be others on your data; give data to "
        "measure",
        NoteKind.MADE_INPUTS,
    )
