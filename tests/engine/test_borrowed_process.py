"""The process around a model, and threads that share it."""

from __future__ import annotations

import contextvars
import gc
import threading
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import varshift as vs
from faults.features import FEATURES, contexts, data, flags
from faults.marks import process, told
from varshift._engine.borrow.model import borrowed
from varshift._engine.borrow.process import process_state, set_process_state
from varshift._engine.borrow.rng import rng_state, set_rng_state


def into_disorder():
    """Change everything that is looked after; gives what is still open."""
    flags(None, None)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.backends.cudnn.allow_tf32 = not torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.benchmark = True
    torch.backends.mkldnn.set_flags(_enabled=False)
    torch.backends.opt_einsum.set_flags(_enabled=False)
    torch.set_autocast_enabled("cpu", True)
    torch.set_autocast_dtype("cpu", torch.float16)
    torch.set_autocast_cache_enabled(False)
    torch.autograd.set_detect_anomaly(True)
    torch.set_num_threads(torch.get_num_threads() + 1)
    gc.set_threshold(350, 5, 5)
    nn.modules.module.register_module_forward_hook(lambda *args: None)
    caught = warnings.catch_warnings(record=True)
    caught.__enter__()
    np.seterrcall(print)
    inference = torch._C._InferenceMode(True)
    inference.__enter__()
    return caught, inference


def test_it_is_put_back_part_by_part():
    before, around = process_state(), process()
    held = into_disorder()
    disorder = process_state()
    moved = sum(one != other for one, other in zip(before, disorder, strict=True))
    set_process_state(before)
    assert moved > 20
    assert process_state() == before
    assert process() | dict.fromkeys(("random", "numpy", "torch")) == around | dict.fromkeys(
        ("random", "numpy", "torch")
    )
    set_process_state(disorder)
    assert process_state() == disorder
    for each in held:  # a guard of torch's writes when it ends, whatever is set by then
        each.__exit__(None, None, None)
    set_process_state(before)
    assert process_state() == before


def test_what_is_as_it_was_is_not_written(monkeypatch):
    from varshift._engine.borrow import process as parts

    writes = []
    monkeypatch.setattr(parts, "_WRITES", [writes.append] * len(parts._READS))
    set_process_state(process_state())
    assert writes == []
    grad = process_state()
    with torch.no_grad():
        set_process_state(grad)
    assert writes == [True]


@pytest.mark.skipif(
    not hasattr(torch._C, "_get_fp32_precision_getter"), reason="precisions by part: torch 2.9"
)
def test_precisions_set_the_new_way_do_not_break_the_old():
    before = process_state()
    torch.backends.cuda.matmul.fp32_precision = "tf32"  # reading the old flags raises now
    set_process_state(before)
    assert torch.get_float32_matmul_precision() == "highest"
    assert process_state() == before


def test_modes_are_swapped_whole():
    class Mode(torch.overrides.TorchFunctionMode):
        pass

    empty = process_state()
    with Mode(), Mode():
        two = process_state()
        set_process_state(empty)
        assert torch._C._len_torch_function_stack() == 0
        set_process_state(two)
    assert process_state() == empty


VARIABLE = contextvars.ContextVar("VARIABLE", default=1)
BARE = contextvars.ContextVar("BARE")


def test_context_variables_come_back_or_are_named():
    net, notes = FEATURES["flags"](), []
    outer = contextvars.ContextVar("outer")
    outer.set("before")
    with borrowed(net, notes):
        VARIABLE.set(2)
        BARE.set(3)
        outer.set("inside")
    assert VARIABLE.get() == 1
    assert outer.get() == "before"
    assert notes == ["the context variable 'BARE' was set by a forward and stays set"]


@pytest.mark.parametrize("verb", ["measure", "recalibrate", "explain"])
def test_a_forward_that_changes_the_process_for_a_while(verb):
    net = type("While", (FEATURES["contexts"],), {"touch": contexts})()
    around = process()
    getattr(vs, verb)(net, data())
    assert process() == around


# Threads ---------------------------------------------------------------------------------------


def in_threads(*calls):
    """Run each in a thread of its own; gives what each gave or raised."""
    found = [None] * len(calls)

    def run(number):
        try:
            found[number] = calls[number]()
        except Exception as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return found


def test_a_model_in_use_is_refused_in_another_thread():
    net = FEATURES["counter"]()
    with borrowed(net):
        (error,) = in_threads(lambda: vs.measure(net, data()))
        assert isinstance(error, vs.ModelError)
        assert "the model is being used by another thread" in str(error)
        (error,) = in_threads(lambda: vs.measure(net.net, data()))  # a part of it too
        assert "the model is being used by another thread" in str(error)
        vs.inspect(net, data()[0])  # a verb inside a verb
    (found,) = in_threads(lambda: vs.measure(net, data()))
    assert isinstance(found, vs.Measurement)


def test_two_threads_on_one_model_leave_no_mark():
    net = FEATURES["counter"]()
    before, around = told(net), process()
    found = in_threads(*[lambda: vs.measure(net, data())] * 4)
    assert told(net) == before
    assert process() == around
    refused = [each for each in found if isinstance(each, Exception)]
    assert all("being used by another thread" in str(error) for error in refused)
    assert len(refused) < 4


def test_two_threads_on_two_models_get_the_figures_of_one_after_the_other():
    nets = [FEATURES["counter"](), FEATURES["namespace"]()]
    around, random = process(), rng_state()
    alone = []
    for net in nets:
        set_rng_state(random)
        alone.append({path: str(site) for path, site in vs.measure(net, data()).sites.items()})
    before = [told(net) for net in nets]
    set_rng_state(random)
    found = in_threads(*[lambda net=net: vs.measure(net, data()) for net in nets])
    assert [{p: str(s) for p, s in each.sites.items()} for each in found] == alone
    assert [told(net) for net in nets] == before
    assert process() == around


def test_the_next_thread_waits_for_its_turn():
    entered, order = threading.Event(), []

    def second():
        entered.wait(10)
        with borrowed(FEATURES["counter"]()):
            order.append("second")

    waiting = threading.Thread(target=second)
    waiting.start()
    with borrowed(FEATURES["counter"]()):
        entered.set()
        waiting.join(0.1)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_the_collector_is_as_before_where_an_interrupt_strikes_as_it_is_set(monkeypatch):
    before, real = gc.get_threshold(), gc.set_threshold

    def interrupted(*thresholds):
        monkeypatch.setattr(gc, "set_threshold", real)
        real(*thresholds)
        raise KeyboardInterrupt

    monkeypatch.setattr(gc, "set_threshold", interrupted)
    with pytest.raises(KeyboardInterrupt):
        vs.recalibrate(nn.Sequential(nn.BatchNorm1d(3)), [torch.randn(4, 3)])
    assert gc.get_threshold() == before
