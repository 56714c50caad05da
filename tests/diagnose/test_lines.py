"""Where to change the noise: its constructor, else the class that holds it, else the call."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import varshift as vs
from diagnose.nets import direct, features, settled
from varshift._diagnose.lines import built_origins
from varshift._rewrite.constructing import constructions
from varshift.results import Line, OriginLine


class Held(nn.Module):
    def __init__(self, drop=None):
        super().__init__()
        self.drop = nn.Dropout(0.5) if drop is None else drop
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        x = self.drop(x)
        return self.norm(x)


class Called(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        x = F.dropout(x, 0.5, self.training)
        return self.norm(x)


def diagnosed(model):
    data = features(8)
    return vs.diagnose(settled(model.double(), data), data)


def test_a_layer_is_shown_where_it_is_made_not_where_it_is_called():
    d = diagnosed(Held())
    worst = d.worst[0]
    assert worst.line_of == "constructor"
    assert worst.line.code == "self.drop = nn.Dropout(0.5) if drop is None else drop"
    assert d.causes[0].line == worst.line
    relocate = next(step for step in d.advice if step.kind == "relocate")
    assert (relocate.at_line, relocate.line_of) == (worst.line, "constructor")
    assert d.rows()[0]["line"] == str(worst.line)


def test_code_is_shown_where_it_draws():
    worst = diagnosed(Called()).worst[0]
    assert (worst.line_of, worst.line.code) == ("call", "x = F.dropout(x, 0.5, self.training)")


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x):
        return self.norm(self.layer(x))


def test_a_layer_that_was_given_another_forward_is_shown_where_that_draws():
    model = Plain()
    plain = model.layer.forward

    def forward(x):
        return plain(x * (1 + 0.9 * torch.randn_like(x)) if model.training else x)

    model.layer.forward = forward
    worst = diagnosed(model).worst[0]
    assert worst.line_of == "call"
    assert worst.line.code.startswith("return plain(x * (1 + 0.9 * torch.randn_like(x))")


def test_a_hook_that_draws_is_shown_not_the_layer_that_it_is_on():
    model = Plain()

    def noisy(module, args):
        return args[0] * (1 + 0.9 * torch.randn_like(args[0])) if module.training else None

    model.layer.register_forward_pre_hook(noisy)
    worst = diagnosed(model).worst[0]
    assert worst.line_of == "call"
    assert "torch.randn_like(args[0])" in worst.line.code


class Given(Held):
    def __init__(self, drop):
        nn.Module.__init__(self)
        self.drop, self.norm = drop, nn.BatchNorm1d(8)


def test_of_what_came_from_outside_the_class_that_holds_it():
    worst = diagnosed(nn.Sequential(Given(nn.AlphaDropout(0.5)))).worst[0]
    assert (worst.line_of, worst.line.code) == ("class", "class Given(Held):")


def test_of_a_model_that_is_torchs_all_the_way_nothing():
    worst = diagnosed(direct()).worst[0]
    assert (worst.line_of, worst.line) == ("nowhere", None)


def test_who_watched_the_model_being_made_knows_the_line():
    with constructions() as built:
        model = direct()
    d = diagnosed(model)
    d = d.at(built_origins(model, d.structure, built))
    assert d.worst[0].line_of == d.causes[0].line_of == "constructor"
    assert "nn.Dropout(drop_p)" in d.worst[0].line.code
    relocate = next(step for step in d.advice if step.kind == "relocate")
    assert relocate.at_line == d.worst[0].line


def test_lines_can_be_given():
    origin = OriginLine(Line("net.py", 3, "make", "nn.Dropout(0.5)"), "constructor")
    d = diagnosed(direct())
    assert d.at({"0": origin}).worst[0].line == origin.line
    assert d.at({"elsewhere": origin}).worst == d.worst


def test_noise_of_a_users_own_layer():
    class Mine(nn.Module):
        def __init__(self, rate):
            super().__init__()
            self.rate = rate

        def forward(self, x):
            return x * torch.empty_like(x).bernoulli_(1 - self.rate) if self.training else x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.mine = Mine(0.5)
            self.norm = nn.BatchNorm1d(8)

        def forward(self, x):
            return self.norm(self.mine(x))

    d = diagnosed(Net())
    (origin,) = {(c.line.code, c.line_of) for c in d.causes if c.source} or {None}
    assert origin == ("self.mine = Mine(0.5)", "constructor")
