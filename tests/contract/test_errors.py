"""Which kind of error, and what its message names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import varshift as vs
from contract.cases import case
from varshift import errors

VERBS = {
    "measure": vs.measure,
    "diagnose": vs.diagnose,
    "explain": vs.explain,
    "predict": vs.predict,
    "footprint": vs.footprint,
    "check": lambda model, data: vs.check(model, data=data),
    "recalibrate": vs.recalibrate,
    "repair": vs.repair,
}
every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


def test_the_tree_and_its_exit_codes():
    for name, root, builtin, code in (
        ("UsageError", errors.VarshiftError, ValueError, 2),
        ("MissingExtraError", errors.UsageError, ImportError, 2),
        ("WriteError", errors.VarshiftError, OSError, 3),
        ("LentError", errors.VarshiftError, Exception, 3),
        ("ModelError", errors.LentError, RuntimeError, 3),
        ("MemoryBoundError", errors.ModelError, RuntimeError, 3),
        ("DataError", errors.LentError, ValueError, 3),
        ("CheckpointError", errors.LentError, ValueError, 3),
    ):
        kind = getattr(errors, name)
        assert getattr(vs, name) is kind
        assert issubclass(kind, root)
        assert issubclass(kind, builtin)
        assert kind.exit_code == code


@every_verb
def test_no_batches(verb):
    with pytest.raises(vs.DataError, match="data gave no batches"):
        verb(case("linear").model, [])


@pytest.mark.parametrize(
    ("verb", "named"),
    [
        *((vs.explain, "test_data"), (vs.diagnose, "test_data")),
        *((vs.repair, "held_out"), (vs.diagnose, "held_out")),
    ],
)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "{named} gave no batches"),
        (iter(()), "{named} gave no batches: it is an iterator that is already used up"),
        (torch.zeros(4, 8), r"{named} is one tensor of shape \(4, 8\)"),
        ((torch.zeros(4, 8), torch.zeros(4)), "{named} is one pair of tensors"),
        (3, "{named} is a int"),
        (["x"], "batch 0 of {named} is a str"),
        ([torch.full((4, 8), torch.nan)], "batch 0 of {named} holds 32 values"),
    ],
)
def test_other_data_are_called_by_their_name(verb, named, given, said):
    found = case("linear")
    with pytest.raises(vs.DataError, match=f"^{said.format(named=named)}"):
        verb(*found.lent, **{named: given})


@every_verb
def test_nan_is_named_by_its_batch(verb):
    found = case("linear")
    found.batches[5][7, 2] = float("nan")
    with pytest.raises(vs.DataError, match=r"batch 5 holds 1 value that is NaN.*\(7, 2\)"):
        verb(*found.lent)


@every_verb
def test_a_batch_of_unknown_form(verb):
    with pytest.raises(vs.DataError, match="batch 0 is a str; pass forward="):
        verb(case("linear").model, ["a picture"])


@every_verb
def test_one_tensor_is_no_data(verb):
    with pytest.raises(vs.DataError, match="data is one tensor"):
        verb(case("linear").model, torch.randn(64, 6))


@every_verb
def test_what_the_model_raises_is_told_with_its_batch(verb):
    batches = [torch.randn(32, 6 if index else 5).double() for index in range(4)]
    with pytest.raises(vs.ModelError, match=r"the model raised RuntimeError .*batch 0"):
        verb(case("linear").model, batches)


@pytest.mark.parametrize("verb", [vs.measure, vs.predict, vs.recalibrate, vs.footprint])
def test_a_model_without_batchnorm(verb):
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 2))
    with pytest.raises(vs.ModelError, match="no BatchNorm"):
        verb(model, torch.randn(64, 6).split(16))


def test_without_batchnorm_the_others_have_nothing_to_say():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 2))
    data = torch.randn(256, 6).split(32)
    assert vs.inspect(model, data[0]).norms == ()
    assert not vs.check(model, data=data)
    assert vs.explain(model, data).factors == {}
    assert not vs.repair(model, data).accepted


def test_wrong_calls():
    found = case("linear")
    with pytest.raises(vs.UsageError, match="max_samples is 0"):
        vs.measure(*found.lent, max_samples=0)
    with pytest.raises(vs.UsageError, match="give data="):
        vs.predict(found.model)
    with pytest.raises(vs.UsageError, match="needs data"):
        vs.predict(found.model, example=found.batches[0], width=2)
    with pytest.raises(vs.UsageError, match="'9'"):
        vs.predict(*found.lent, noise={"9": 0.1})
    with pytest.raises(vs.UsageError, match="no norm site '9' was measured; there are '2'"):
        vs.measure(*found.lent)["9"]
    with pytest.raises(vs.UsageError, match=r"drop_p is 1\.5"):
        vs.theory.tau_of(1.5)


def test_an_empty_or_used_up_iterator_says_so():
    found = case("linear")
    used = iter(found.batches)
    vs.measure(found.model, used)
    with pytest.raises(vs.DataError, match="already used up"):
        vs.measure(found.model, used)
    with pytest.raises(vs.DataError, match="batch 0 is empty"):
        vs.measure(found.model, [found.batches[0][:0]])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"max_samples": 2.5}, "max_samples is 2.5; pass a whole number"),
        ({"max_samples": "64"}, "max_samples is '64'; pass a whole number"),
        ({"device": "gpu"}, "device is 'gpu'; pass one that torch knows"),
        ({"forward": 3}, r"forward is 3; pass a function of \(model, batch\)"),
    ],
)
@pytest.mark.parametrize("verb", [vs.measure, vs.explain, vs.predict, vs.footprint, vs.recalibrate])
def test_an_argument_of_the_wrong_kind(verb, arguments, match):
    model, batches = case("linear").lent
    with pytest.raises(vs.UsageError, match=match):
        verb(model, batches, **arguments)


@pytest.mark.parametrize("name", ["noise", "moved"])
def test_what_is_given_by_source_is_a_mapping(name):
    with pytest.raises(vs.UsageError, match=f"{name} is 0.3; pass a mapping by source, as in"):
        vs.predict(*case("linear").lent, **{name: 0.3})


@pytest.mark.parametrize("model", [nn.Linear, case])
def test_what_makes_a_model_is_none(model):
    match = f"pass a torch.nn.Module, such as what '{model.__name__}' makes"
    with pytest.raises(vs.UsageError, match=match):
        vs.measure(model, [torch.randn(8, 2)])


@pytest.mark.parametrize("given", [{"budget": "0.01"}, {"budget": None}, {"threshold": "1.1"}])
def test_a_monitor_takes_numbers(given):
    ((name, value),) = given.items()
    with pytest.raises(vs.UsageError, match=f"{name} is {value}; pass a"):
        vs.Monitor(case("linear").model, **given)
