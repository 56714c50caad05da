"""The tables of operations name operations that there are, and say what they do."""

from __future__ import annotations

import pytest
import torch

from varshift._engine.trace import ops

ELSEWHERE = {"spmm_mean", "spmm_sum", "fbgemm_linear"}  # not aten's
TABLES = ("BATCH_NORMS", "CONTROL", "FRESH_NOISE", "FUSED_NOISE", "MATRIX", "NONLINEAR", "NORMS")
TABLES += ("OVERWRITES", "POOLS", "SHAPE_ONLY")


@pytest.mark.parametrize("table", TABLES)
def test_every_name_is_one_of_atens(table):
    names = set(getattr(ops, table)) - ELSEWHERE
    assert {name for name in names if not hasattr(torch.ops.aten, name)} == set()


def test_a_fused_kernel_has_the_argument_that_silences_it():
    for name, argument in ops.FUSED_NOISE.items():
        packet = getattr(torch.ops.aten, name)
        schemas = [getattr(packet, overload)._schema for overload in packet.overloads()]
        names = {each.name for schema in schemas for each in schema.arguments}
        assert argument in names, name


def test_a_draw_takes_its_chances_from_arguments_that_it_has():
    for (name, overload), arguments in ops._CHANCES.items():
        schema = getattr(getattr(torch.ops.aten, name), overload)._schema
        assert set(arguments) <= {each.name for each in schema.arguments}, (name, overload)
