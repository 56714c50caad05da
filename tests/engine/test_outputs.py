"""What counts as an output of a model, and what each is called."""

from __future__ import annotations

import torch

from varshift._engine.record.recording import outputs_of

SAMPLES = 4


def named(out):
    return {name: tuple(value.shape) for name, value in outputs_of(out, SAMPLES)}


def test_outputs_are_named_by_where_they_are():
    x, y = torch.randn(4, 2), torch.randn(4, 3, 5)
    assert named(x) == {"output": (4, 2)}
    assert named({"a": x, "deep": {"b": [y, x]}}) == {
        "output.a": (4, 2),
        "output.deep.b[0]": (4, 3, 5),
        "output.deep.b[1]": (4, 2),
    }
    assert named((x, {"a": y})) == {"output[0]": (4, 2), "output[1].a": (4, 3, 5)}


def test_what_is_one_number_a_sample_is_a_column():
    x = torch.randn(4, requires_grad=True)
    ((name, value),) = outputs_of(x, SAMPLES)
    assert (name, tuple(value.shape), value.requires_grad) == ("output", (4, 1), False)


def test_rows_may_be_parts_of_samples():
    assert named(torch.randn(8, 2)) == {"output": (8, 2)}


def test_what_is_no_output():
    kept = torch.randn(4, 2)
    for other in (
        torch.tensor(1.0),  # a loss
        torch.randn(6, 2),  # its rows are no samples
        torch.randn(0, 2),
        torch.ones(4, 2, dtype=torch.long),
        "text",
        None,
    ):
        assert named([other, kept]) == {"output[1]": (4, 2)}
