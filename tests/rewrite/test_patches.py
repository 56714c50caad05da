"""Noise written in code: the change that is suggested, applied to a real file and run."""

from __future__ import annotations

import importlib.util
import linecache
import shutil
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._rewrite.relocating import relocate
from varshift._rewrite.replacing import replace

X = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
HEAD = """\
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = 0.5
        self.one, self.norm, self.fc = nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)

    def forward(self, x):
"""
TAIL = """\
        return self.fc(self.norm(x))
"""


class Files:
    """Source files in a folder of their own, which is the current one."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        monkeypatch.chdir(folder)
        self._count = 0

    def write(self, body, head=HEAD, tail=TAIL, name="net.py"):
        text = head + textwrap.indent(textwrap.dedent(body).strip("\n"), " " * 8) + "\n" + tail
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
        return self.load(name)

    def load(self, name="net.py"):
        self._count += 1
        linecache.clearcache()
        path = self.folder / name
        spec = importlib.util.spec_from_file_location(f"patched_{self._count}", path)
        module = importlib.util.module_from_spec(spec)
        sys.dont_write_bytecode, kept = True, sys.dont_write_bytecode
        try:
            spec.loader.exec_module(module)
        finally:
            sys.dont_write_bytecode = kept
        return module.Net()

    def apply(self, diff, *command):
        """Apply with a real tool, and check that it says so."""
        command = command or ("git", "apply", "-p0")
        if shutil.which(command[0]) is None:
            pytest.skip(f"no {command[0]}; apt-get install {command[0]}")
        subprocess.run(command, input=diff.encode(), cwd=self.folder, check=True)
        return self.load()


@pytest.fixture
def files(tmp_path, monkeypatch):
    return Files(tmp_path, monkeypatch)


def only(rewrite):
    assert len(rewrite.patches) == 1
    return rewrite.patches[0]


@pytest.mark.parametrize("command", [("git", "apply", "-p0"), ("git", "apply"), ("patch", "-p0")])
def test_the_patched_file_is_clean(files, command):
    net = files.write(
        """
        x = self.one(x)
        x = F.dropout(x, 0.5, self.training)
        """
    )
    r = relocate(net, X)
    patch = only(r)
    assert (patch.noise, patch.line.number, patch.line.function) == ("(model)", 14, "forward")
    assert patch.old == "        x = F.dropout(x, 0.5, self.training)\n"
    assert patch.new == ""  # not x = x
    assert patch.why == ""
    assert patch.diff().startswith("--- net.py\n+++ net.py\n@@")
    assert not r.clean
    assert r.added == "fc"  # it waits for the patch
    assert "(model): written in code, unchanged until you change it (see patches)" in r.notes
    assert vs.inspect(net, X).routes
    fresh = files.apply(patch.diff(), *command)
    assert vs.inspect(fresh, X).noises == ()
    assert vs.inspect(fresh, X).routes == ()


RELOCATED = {
    "x = F.dropout(x, 0.5, self.training)": "",
    "x = F.dropout(x, 0.5)  # a remark": "",
    "F.dropout(x, 0.5, self.training, inplace=True)": "",
    "if self.p:\n    x = F.dropout(x, 0.5)": "x = x",
    "y = F.dropout(x, 0.5)\nx = y": "y = x",
    "if self.p:\n    x = F.dropout(x, 0.5); x = x + 1": "x = x; x = x + 1",
    "x = (\n    F.dropout(x, 0.5)\n)": "x",
    "x = F.dropout(self.one(x), self.p, training=self.training)": "x = self.one(x)",
    "x = F.dropout(input=x, p=0.5)": "",
    "x = 2 * F.dropout(x + 1, 0.5)": "x = 2 * (x + 1)",
    "x = F.dropout(-x, 0.5).relu()": "x = (-x).relu()",
    "x = torch.dropout(x, 0.5, self.training)": "",
    "x = nn.functional.feature_dropout(x[..., None], 0.5)[..., 0] if 0 else F.dropout(x)": (
        "x = nn.functional.feature_dropout(x[..., None], 0.5)[..., 0] if 0 else x"
    ),
    "é = 'é'; x = F.dropout(x, 0.5); é += 'é'": "é = 'é'; x = x; é += 'é'",
    "x = F.dropout(x, 0.2) + F.dropout(x, 0.2)": "x = x + x",
    "x = self.one(F.dropout(x, 0.5)) if self.p else F.relu(x)": (
        "x = self.one(x) if self.p else F.relu(x)"
    ),
}


@pytest.mark.parametrize("code", RELOCATED)
def test_a_call_becomes_its_input(files, code):
    patch = only(relocate(files.write(code), X))
    assert patch.new.strip() == RELOCATED[code]
    assert vs.inspect(files.apply(patch.diff()), X).noises == ()


SEVERAL = """
x = self.one(x)
x = F.dropout(  # a remark
    self.one(x)
    + x,
    p=self.p,
    training=self.training,
).relu()
"""


def test_a_call_over_several_lines(files):
    net = files.write(SEVERAL)
    r = relocate(net, X)
    assert only(r).old.count("\n") == 6
    fresh = files.apply(only(r).diff())
    assert vs.inspect(fresh, X).noises == ()
    fresh.load_state_dict(net.state_dict(), strict=True)
    assert torch.allclose(fresh.eval()(X), net.eval()(X))


def test_another_law_over_several_lines_keeps_the_layout(files):
    r = replace(files.write(SEVERAL), X, "gaussian")
    assert only(r).new == textwrap.indent(
        SEVERAL.split("\n", 2)[2]
        .replace("F.dropout", "varshift.nn.functional.gaussian_dropout")
        .replace("p=self.p", "sigma=1"),
        " " * 8,
    )
    assert "+import varshift\n" in only(r).diff()
    noise = only_noise(files.apply(only(r).diff()))
    assert (noise.law, noise.tau) == ("gaussian", pytest.approx(1.0))


def only_noise(net):
    (noise,) = vs.inspect(net, X).noises
    return noise


UOUT = "varshift.nn.functional.uout"
REPLACED = {
    "x = F.dropout(x, 0.5, self.training)": f"x = {UOUT}(x, 0.2, self.training)",
    "x = F.dropout(x, p=0.5, training=self.training)": (
        f"x = {UOUT}(x, beta=0.2, training=self.training)"
    ),
    "x = F.dropout(x)": f"x = {UOUT}(x, beta=0.2)",
    "x = F.dropout(input=x, training=self.training)": (
        f"x = {UOUT}(x=x, beta=0.2, training=self.training)"
    ),
    "x = torch.dropout(x, p=self.p, train=self.training)": (
        f"x = {UOUT}(x, beta=0.2, training=self.training)"
    ),
    "x = F.dropout(x, self.p, self.training, True)": f"x = {UOUT}(x, 0.2, self.training, True)",
}


@pytest.mark.parametrize("code", REPLACED)
def test_a_call_of_another_function(files, code):
    patch = only(replace(files.write(f"x = self.one(x)\n{code}"), X, vs.nn.Uout(0.2)))
    assert patch.new.strip() == REPLACED[code]
    noise = only_noise(files.apply(patch.diff()))
    assert noise.tau == pytest.approx(0.04 / 3)


RATES = {
    "x = F.dropout(x, 0.5, self.training)": "x = F.dropout(x, 0.1, self.training)",
    "x = F.dropout(x, p=self.p)": "x = F.dropout(x, p=0.1)",
    "x = F.dropout(x, training=self.training)": "x = F.dropout(x, p=0.1, training=self.training)",
    "x = F.dropout(x)": "x = F.dropout(x, p=0.1)",
    "x = F.dropout(input=x)": "x = F.dropout(input=x, p=0.1)",
}


@pytest.mark.parametrize("code", RATES)
def test_a_call_at_another_rate(files, code):
    patch = only(replace(files.write(code), X, 0.1))
    assert patch.new.strip() == RATES[code]
    assert only_noise(files.apply(patch.diff())).drop_p == pytest.approx(0.1)


def test_names_that_the_file_has_are_used(files):
    head = HEAD.replace("import torch\n", "import torch\nimport varshift as vs\n")
    patch = only(replace(files.write("x = F.dropout(x, 0.2)", head), X, "uout"))
    assert patch.new.strip() == "x = vs.nn.functional.uout(x, 0.866025)"
    assert "+import" not in patch.diff()
    assert only_noise(files.apply(patch.diff())).tau == pytest.approx(0.25, rel=1e-5)
    head = HEAD.replace(
        "import torch.nn.functional as F", "from torch.nn.functional import dropout"
    )
    patch = only(replace(files.write("x = dropout(x, 0.2)", head), X, nn.Dropout2d(0.1)))
    assert patch.new.strip() == "x = nn.functional.dropout2d(x, 0.1)"


def test_channels_that_shared_a_draw_still_do(files):
    body = "x = F.dropout1d(x[:, :, None].expand(-1, -1, 3), 0.2).mean(-1)"
    patch = only(replace(files.write(body), X, "uout"))
    assert '.uout(x[:, :, None].expand(-1, -1, 3), 0.866025, sharing="channel")' in patch.new
    noise = only_noise(files.apply(patch.diff()))
    assert (noise.sharing, noise.tau) == ("channel", pytest.approx(0.25, rel=1e-5))


def test_our_own_functions_keep_their_own_number(files):
    head = HEAD.replace("import torch\n", "import torch\nimport varshift as vs\n")
    body = "x = vs.nn.functional.uout(x, 0.5, self.training)"
    patch = only(replace(files.write(body, head), X, 0.2))
    assert patch.new.strip() == "x = vs.nn.functional.uout(x, 0.866025, self.training)"
    patch = only(relocate(files.write(body, head), X))
    assert patch.new == ""


def test_attention_kernels_take_a_rate(files):
    body = """
    h = x.view(-1, 1, 2, 4)
    h = F.scaled_dot_product_attention(h, h, h, dropout_p=self.p if self.training else 0.0)
    x = x + h.reshape(-1, 8)
    """
    patch = only(relocate(files.write(body), X))
    assert patch.new.strip().endswith("(h, h, h, dropout_p=0)")
    assert vs.inspect(files.apply(patch.diff()), X).noises == ()
    patch = only(replace(files.write(body), X, "gaussian"))
    assert (patch.new, patch.diff()) == (None, "")
    assert "can draw nothing but dropout" in patch.why


BY_HAND = {
    "mask": ("x = x * (torch.rand_like(x) < 0.5) * 2", "no dropout call of torch: take it out"),
    "star": ("x = F.dropout(*[x, 0.5])", "no dropout call of torch: take it out"),
    "alias": ("x = (lambda f: f(x, 0.5))(F.dropout)", "no dropout call of torch: take it out"),
    "nested": ("x = F.dropout(F.dropout(x, 0.5), 0.5)", "one call inside another"),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_what_takes_a_person(files, case):
    body, why = BY_HAND[case]
    r = relocate(files.write(body), X)
    assert only(r).new is None
    assert only(r).diff() == r.diff() == ""
    assert why in only(r).why
    assert "net.py:13" in only(r).why
    assert r.rows()[-1]["how"] == "by hand"


def test_a_mask_is_told_its_new_number(files):
    patch = only(replace(files.write("x = x * (torch.rand_like(x) < 0.8) / 0.8"), X, "gaussian"))
    assert "make it varshift.nn.functional.gaussian_dropout with sigma = 0.5 by hand" in patch.why


def test_a_file_that_has_changed_is_not_patched(files):
    net = files.write("x = F.dropout(x, 0.5)")
    linecache.getlines(str(files.folder / "net.py"))
    text = (files.folder / "net.py").read_text()
    (files.folder / "net.py").write_text("# one more line\n" + text)
    patch = only(relocate(net, X))
    assert patch.new is None
    assert "has changed since it was imported" in patch.why


def test_code_without_a_file():
    space = {}
    code = "import torch.nn.functional as F\ndef drop(x):\n    return F.dropout(x, 0.5)\n"
    exec(compile(code, "<prompt>", "exec"), space)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(8)

        def forward(self, x):
            return self.norm(space["drop"](x))

    patch = only(relocate(Net(), X))
    assert patch.new is None
    assert "the source of <prompt> cannot be read" in patch.why


def test_all_patches_are_one_diff(files):
    body = """
    x = F.dropout(x, 0.2)
    x = F.dropout(self.one(x), 0.1)
    """
    net = files.write(body)
    r = replace(net, X, "uout")
    assert len(r.patches) == 2
    assert r.diff().count("+import varshift\n") == 1
    taus = [noise.tau for noise in vs.inspect(files.apply(r.diff()), X).noises]
    assert taus == pytest.approx([0.25, 1 / 9], rel=1e-5)


def test_two_functions_need_two_imports(files):
    head = HEAD.replace("import torch\nimport torch.nn.functional as F\n", "")
    head = head.replace("import nn\n", "import nn\nfrom torch.nn.functional import dropout\n")
    head = head.replace("from torch import nn", "from torch.nn import BatchNorm1d, Linear, Module")
    body = """
    x = dropout(x, 0.2)
    x = dropout(self.one(x)[:, :, None].expand(-1, -1, 3), 0.1).mean(-1)
    """
    net = files.write(
        body, head.replace("nn.Mod", "Mod").replace("nn.Lin", "Lin").replace("nn.B", "B")
    )
    r = replace(net, X, {"(model)": "uout", "(model)#2": nn.Dropout1d(0.3)})
    assert {line for line in r.diff().splitlines() if line.startswith("+import")} == {
        "+import varshift",
        "+import torch.nn.functional",
    }
    after = vs.inspect(files.apply(r.diff()), X)
    assert [noise.law for noise in after.noises] == ["uniform", "bernoulli"]
    assert after.noises[1].sharing == "channel"


def test_one_line_in_many_modules_is_one_change(files):
    head = HEAD.replace("class Net", "class Block")
    tail = """\
        return self.norm(self.one(x))


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(Block(), Block(), nn.Linear(8, 2))
"""
    net = files.write("x = F.dropout(x, self.p, self.training)", head, tail)
    r = relocate(net, X)
    assert [patch.noise for patch in r.patches] == ["0", "1"]
    assert r.patches[0].diff() == r.patches[1].diff() == r.diff()
    assert vs.inspect(files.apply(r.diff()), X).routes == ()


def test_a_line_that_also_serves_after_the_last_norm_is_named(files):
    head = HEAD.replace("class Net", "class Block")
    tail = """\
        return self.norm(self.one(x)) if self.p == 0.5 else self.fc(x)


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(Block(), Block())
        self[1].p = 0.25
"""
    net = files.write("x = F.dropout(x, self.p, self.training)", head, tail)
    r = relocate(net, X)
    assert [patch.noise for patch in r.patches] == ["0"]
    assert any(note.startswith("1: drawn at ") for note in r.notes)


def test_folders_line_ends_and_a_missing_last_one(files):
    text = HEAD + "        x = F.dropout(x, 0.2)\n" + TAIL
    folder = files.folder / "models"
    folder.mkdir()
    for number, raw in enumerate((text.replace("\n", "\r\n"), text.rstrip("\n"))):
        (folder / "net.py").write_bytes(raw.encode())
        net = files.load("models/net.py")
        r = replace(net, X, "uout") if number == 0 else relocate(net, X)
        assert r.diff().startswith("--- models/net.py\n")
        subprocess.run(["git", "apply", "-p0"], input=r.diff().encode(), check=True)
        patched = (folder / "net.py").read_bytes()
        assert patched.count(b"\r\n") == (0 if number else patched.count(b"\n"))
        assert patched.endswith(b"\n") is (number == 0)
        after = vs.inspect(files.load("models/net.py"), X)
        assert [noise.law for noise in after.noises] == (["uniform"] if number == 0 else [])


def test_library_code_is_said_to_be_that(files):
    net = files.write("x = F.dropout(x, self.p, self.training)", name="site-packages/net.py")
    patch = only(relocate(net, X))
    assert patch.new == ""
    assert patch.why == "this is a library's code: change model.p instead, which is 0.5"


def test_a_bound_on_severity_holds_for_patches_too(files):
    torch.manual_seed(0)
    net = files.write("x = F.dropout(x, self.p, self.training)")
    data = [torch.randn(500, 8) for _ in range(4)]
    r = replace(net, X, "uout", max_severity=1.05, data=data)
    assert 1.049 < r.severities["norm"] <= 1.05
    fresh = files.apply(r.diff())
    f = vs.predict(fresh, data)
    assert f.sites["norm"].severity == pytest.approx(1.05, rel=5e-3)


def test_a_rate_that_was_computed_is_said_to_be_lost(files):
    head = HEAD.replace("class Net", "class Block")
    tail = """\
        return self.norm(self.one(x))


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(Block(), Block(), Block(), nn.Linear(8, 2))
        self[1].p, self[2].p = 0.0, 0.25
"""
    net = files.write("x = F.dropout(x, self.p, self.training)", head, tail)
    r = replace(net, X, "gaussian")
    assert [patch.noise for patch in r.patches] == ["0", "2"]
    assert (
        "self.p no longer sets the rate: the new number holds for every Block" in r.patches[0].why
    )
    assert any(note.startswith("2: ") and "the first change alone" in note for note in r.notes)
    noises = vs.inspect(files.apply(r.diff()), X).noises
    assert [noise.tau for noise in noises] == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("asked", ["dropout", 0.5])
def test_a_call_that_draws_that_already_needs_no_patch(files, asked):
    r = replace(files.write("x = F.dropout(x, self.p, self.training)"), X, asked)
    assert (r.patches, r.changes) == ((), ())
    assert "nothing to be done" in r.notes[0]


def test_channel_wise_calls_stay_channel_wise(files):
    body = "x = F.dropout1d(x[:, :, None].expand(-1, -1, 3), 0.2).mean(-1)"
    assert replace(files.write(body), X, "channel").patches == ()
    patch = only(replace(files.write("x = F.dropout(x, 0.2)"), X, "channel"))
    assert "put channel-wise dropout in its place by hand" in patch.why


def test_a_block_of_nothing_but_dropout_is_not_emptied(files):
    net = files.write("if self.p:\n    x = F.dropout(x, 0.5)\n    x = F.dropout(x, 0.3)")
    fresh = files.apply(relocate(net, X).diff())
    assert vs.inspect(fresh, X).noises == ()
