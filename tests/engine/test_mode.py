"""A verb does not load torch's compiler; a model that does so in its forward is followed."""

from __future__ import annotations

import subprocess
import sys

_NET = """
import sys, warnings, torch, varshift as vs
warnings.simplefilter("error")
torch.manual_seed(0)
data = [torch.randn(8, 8) for _ in range(4)]
net = torch.nn.Sequential(
    torch.nn.Dropout(0.5), *(torch.nn.ReLU(), torch.nn.Tanh()) * 3, torch.nn.Linear(8, 4),
    torch.nn.BatchNorm1d(4),
)
for _ in range(60):  # a footprint wants statistics that training has settled
    net(data[0])
{call}
slow = {{"torch._dynamo", "torch.onnx", "sympy"}} & set(sys.modules)
assert bool(slow) is {loaded}, slow
"""

_VERBS = """
s = vs.inspect(net, data[0])
s.prove(s.routes[0])
vs.measure(net, data)
vs.explain(net, data)
vs.predict(net, data)
vs.predict(net, data, noise={"*": 0.1})
vs.predict(net, example=data[0])
vs.footprint(net, data)
vs.check(net, data[0])
vs.check(net, data=data)
vs.repair(net, data)
vs.recalibrate(net, data)
vs.relocate(net, data[0])
"""

_COMPILING = """
class Compiling(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net
    def forward(self, x):
        return torch.compile(self.net, backend="eager")(x)
warnings.simplefilter("default")
found = vs.inspect(Compiling(), data[0])
# Before torch 2.6 the compiled code runs, in which no module is named any more.
noise = "net.0" if hasattr(torch.compiler, "set_stance") else "(model)"
assert [(r.noise, r.norm, r.placement) for r in found.routes] == [(noise, "net.8", "b")]
"""


def run(call: str, loaded: bool) -> str:
    script = _NET.format(call=call, loaded=loaded)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_verbs_do_not_load_the_compiler():
    run(_VERBS, loaded=False)


def test_a_model_that_compiles_in_its_forward_is_followed_and_we_are_not_compiled():
    assert "varshift/_engine" not in run(_COMPILING, loaded=True)
