"""What a forward can do to the model it belongs to, one net a kind of change."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import random
import types
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    """A net with noise and a norm; `touch` is what its forward does beside."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 6), nn.Dropout(0.5), nn.BatchNorm1d(6))
        self.net[2].running_mean.add_(0.1)  # as if trained: some verbs refuse what never was
        self.head = nn.Linear(6, 2)
        self.make()

    def make(self):
        pass

    def touch(self, x):
        raise NotImplementedError

    def forward(self, x):
        self.touch(x)
        return self.head(self.net(x))


def data():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(12, 3, generator=generator) for _ in range(5)]


def nothing(net):
    pass


def sets(**attributes):
    return lambda net: [setattr(net, name, made()) for name, made in attributes.items()]


class Slotted:
    __slots__ = ("n", "tensor", "unset")

    def __init__(self):
        self.n, self.tensor = 0, torch.zeros(2)


@dataclasses.dataclass(frozen=True)
class Frozen:
    held: list


class Own(dict):
    def clear(self):
        raise AssertionError("its own clear() is none of our business")


class OwnList(list):
    total = 0


class Cyclic:
    def __init__(self):
        self.me, self.n = self, 0


def max_norm(net, x):
    F.embedding(torch.arange(4), net.table, max_norm=0.1)


def first_batch(net, x):
    if not net.done:
        net.loc.data.copy_(-x.mean(0))
        net.done.fill_(True)


def parameter_in_place(net, x):
    with torch.no_grad():
        net.head.weight.clamp_(-0.01, 0.01)


def parameter_data(net, x):
    net.head.weight.data = net.head.weight.data * 2


def parameter_replaced(net, x):
    net.head.weight = nn.Parameter(net.head.weight.detach() + 1)


def registers_buffer(net, x):
    net.register_buffer("mask", torch.ones(3))


def registers_parameter(net, x):
    net.scale = nn.Parameter(torch.ones(3))


def registers_child(net, x):
    net.proj = nn.Linear(3, 3)


def replaces_child(net, x):
    net.head = nn.Linear(6, 2)


def removes_and_adds(net, x):
    """The order of the state_dict is the same too."""
    held = net._buffers.pop("one", None)
    if held is not None:
        net._buffers["one"] = held


def removes_buffer(net, x):
    if hasattr(net, "one"):
        del net.one


def hook_removes_itself(net, x):
    if net.head._forward_pre_hooks:
        net.head._forward_pre_hooks.popitem()


def hook_added(net, x):
    net.net[0].register_forward_hook(lambda module, args, kwargs, out: None, with_kwargs=True)
    layer = net.net[0]  # torch before 2.5 has the second of these names alone
    name = "register_state_dict_post_hook"
    getattr(layer, name, layer._register_state_dict_hook)(lambda *args: None)
    net.net[0].register_full_backward_hook(lambda *args: None)


def hook_on_tensor(net, x):
    net.head.weight.register_hook(lambda grad: grad)


def generators(net, x):
    torch.rand(1, generator=net.torchs)
    net.numpys.random()
    net.legacy.rand()
    net.pythons.random()


def calls_backward(net, x):
    with torch.enable_grad():
        net.head(torch.ones(1, 6)).sum().backward()


def adds_to_a_gradient(net, x):
    if net.head.bias.grad is None:
        net.head.bias.grad = torch.ones(2)
    net.head.bias.grad.add_(1)


def requires_grad(net, x):
    net.head.weight.requires_grad_(False)
    net.stat.requires_grad_(True)


def array(net, x):
    net.array += 1
    net.arrays["deep"][0] = -0.0


def namespace(net, x):
    net.space.n += 1
    net.space.tensor.add_(1)
    net.space.added = x


def counter(net, x):
    net.counter["calls"] += 1
    net.own["stat"].add_(1)
    net.own["new"] = 1
    net.ordered.move_to_end("a")
    net.ownlist.append(1)
    net.ownlist.total += 1
    net.latest.append(x)


def slots(net, x):
    net.slotted.n += 1
    net.slotted.tensor.add_(1)
    net.slotted.unset = 3


def frozen(net, x):
    net.frozen.held.append(x)
    object.__setattr__(net.frozen, "extra", 1)


def cycle(net, x):
    net.cyclic.me.n += 1


def class_counter(net, x):
    type(net).calls += 1
    type(net).diary.append(1)


def class_swapped(net, x):
    net.net[1].__class__ = nn.Dropout1d


def parametrized(net, x):
    if not nn.utils.parametrize.is_parametrized(net.head):
        nn.utils.parametrizations.weight_norm(net.head)


def hidden_module(net, x):
    net.hidden[0].weight.data.add_(1)
    net.hidden[0].training = False
    net.hidden[0].extra = 1


def big_list(net, x):
    net.big[0].add_(1)
    net.big.append(1)


def tied(net, x):
    net.two.data.add_(1)


def iterators(net, x):
    next(net.lines)


def uncountable(net, x):
    """What cannot be put back, and must be named."""
    next(net.numbers)


def flags(net, x):
    """The process, changed for good."""
    torch.backends.cudnn.enabled = False
    torch.backends.cuda.enable_flash_sdp(False)
    torch.set_float32_matmul_precision("high")
    torch._C._set_deterministic_algorithms(True, warn_only=True)  # without loading the compiler
    torch.set_grad_enabled(True)
    warnings.simplefilter("ignore", ResourceWarning)
    warnings.filters[0:0] = [("ignore", None, FutureWarning, None, 0)]
    np.seterr(all="ignore")
    random.random()
    np.random.rand()
    torch.rand(1)


def contexts(net, x):
    """The process, changed for as long as the forward takes."""
    with (
        torch.backends.cudnn.flags(enabled=False),
        torch.autocast("cpu", torch.bfloat16, enabled=False),
        torch.enable_grad(),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        net.net(x)


def global_hook(net, x):
    nn.modules.module.register_module_forward_hook(lambda module, args, out: None)


def leaves_a_mode(net, x):
    """A mode entered and never left."""
    torch.device("cpu").__enter__()


def default_dtype(net, x):
    """As Hugging Face does while it builds masks."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        net.net(x)
    finally:
        torch.set_default_dtype(before)


FEATURES = {
    touch.__name__: type(touch.__name__, (Net,), {"make": make, "touch": touch, **more})
    for touch, make, more in (
        (max_norm, sets(table=lambda: nn.Parameter(torch.ones(4, 3))), {}),
        (
            first_batch,
            lambda net: (
                setattr(net, "loc", nn.Parameter(torch.zeros(3))),
                net.register_buffer("done", torch.tensor(False)),
            ),
            {},
        ),
        (parameter_in_place, nothing, {}),
        (parameter_data, nothing, {}),
        (parameter_replaced, nothing, {}),
        (registers_buffer, nothing, {}),
        (registers_parameter, nothing, {}),
        (registers_child, nothing, {}),
        (replaces_child, nothing, {}),
        (
            removes_and_adds,
            lambda net: [net.register_buffer(name, torch.ones(1)) for name in ("one", "two")],
            {},
        ),
        (removes_buffer, lambda net: net.register_buffer("one", torch.ones(1)), {}),
        (
            hook_removes_itself,
            lambda net: net.head.register_forward_pre_hook(lambda module, args: None),
            {},
        ),
        (hook_added, nothing, {}),
        (hook_on_tensor, nothing, {}),
        (
            generators,
            sets(
                torchs=torch.Generator,
                numpys=lambda: np.random.default_rng(0),
                legacy=lambda: np.random.RandomState(0),
                pythons=lambda: random.Random(0),
            ),
            {},
        ),
        (calls_backward, nothing, {}),
        (
            adds_to_a_gradient,
            lambda net: setattr(net.head.bias, "grad", torch.zeros(2)),
            {},
        ),
        (requires_grad, lambda net: net.register_buffer("stat", torch.ones(1)), {}),
        (
            array,
            sets(
                array=lambda: np.array([1.0, np.nan, 0.0]),
                arrays=lambda: {"deep": np.zeros((2, 2)).T},
            ),
            {},
        ),
        (namespace, sets(space=lambda: types.SimpleNamespace(n=0, tensor=torch.zeros(2))), {}),
        (
            counter,
            sets(
                counter=collections.Counter,
                own=lambda: Own(stat=torch.zeros(2)),
                ordered=lambda: collections.OrderedDict(a=1, b=2),
                ownlist=OwnList,
                latest=lambda: collections.deque([1, 2], maxlen=2),
            ),
            {},
        ),
        (slots, sets(slotted=Slotted), {}),
        (frozen, sets(frozen=lambda: Frozen([])), {}),
        (cycle, sets(cyclic=Cyclic), {}),
        (class_counter, nothing, {"calls": 0, "diary": []}),
        (class_swapped, nothing, {}),
        (parametrized, nothing, {}),
        (hidden_module, sets(hidden=lambda: [nn.Linear(2, 2)]), {}),
        (big_list, sets(big=lambda: [torch.zeros(1) for _ in range(1001)]), {}),
        (tied, lambda net: setattr(net, "two", net.head.weight), {}),
        (uncountable, sets(numbers=itertools.count), {}),
        *((each, nothing, {}) for each in (flags, contexts, global_hook, leaves_a_mode)),
        (default_dtype, nothing, {}),
        (iterators, sets(lines=lambda: iter([0] * 10_000)), {}),
    )
}
