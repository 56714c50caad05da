"""`varshift theory` as a process: what it prints, how wide, and how it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from problems.commands import varshift


def theory(arguments):
    return varshift("theory", *arguments.split())


@pytest.mark.parametrize(
    ("arguments", "answer", "formula"),
    [
        ("direct --drop-p 0.5 --mean -1 --var 2", "Δ = 0.4", "Δ = v / (v + τ(c² + v))"),
        (
            "width --drop-p 0.5 --mean 0.4 --var 0.34 --rho 0.1 --d-cos2 15 --slope 0.0214 "
            "--intercept -1.9",
            "Δ = 0.620061, min d = 12725",
            "A = v(1 + ρ(d·cos²θ − 1))",
        ),
        ("after --sigma 1 --var-test 2 --energy 3", "Δ = 0.4", "var_test / (var_test + τ·N)"),
        ("invert --keep-p 0.5 --mean 1 --stored-var 5", "v = 2, Δ = 0.4", "(V − τc²) / (1 + τ)"),
        ("angle --d 576 --filters 64", "E[d·cos²θ] = 1, low = 0.000984632", "Beta(1/2,"),
        ("moments relu", "c = 0.398942, v = 0.340845", "E f = ∫"),
    ],
)
def test_the_answer_comes_first(arguments, answer, formula):
    done = theory(arguments)
    assert done.returncode == 0, done.stderr
    first, second, *rest = done.stdout.splitlines()
    assert first.startswith(answer)
    assert formula in second
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert any(line.startswith(("0.7 ", "4608 ")) for line in rest)
    assert done.stderr == ""


def test_json_is_nothing_but_json():
    done = theory("direct --beta 0.1 --mean 0 --var 1 --format json")
    held = json.loads(done.stdout)
    assert held["schema"] == "varshift.calculation/1"
    assert held["outputs"]["shift"] == pytest.approx(300 / 301, rel=1e-14)
    assert [row["drop_p"] for row in held["rows"]] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("direct --drop-p 1 --mean 0 --var 1", "error: --drop-p is 1.0; pass a probability"),
        ("direct --mean 0 --var 1", "exactly one of --drop-p, --keep-p, --sigma, --beta, --tau"),
        ("direct --drop-p 0.5 --var 1", "--mean"),
        ("direct --sigma 1e200 --mean 0 --var 1", "error: --sigma is 1e+200; pass a finite"),
        ("direct --tau 1 --mean 0 --var=-1", "error: --var is -1.0; pass a number of 0 or more"),
        ("angle --d 1", "error: --d is 1; pass a whole number, 2 or more"),
        ("direct --tau=-1 --mean 0 --var 1", "error: --tau is -1.0; pass a finite number, 0 or"),
        ("moments softmax", "pass one of celu"),
        ("angle --d 9 --format html", "none of text, json"),
    ],
)
def test_bad_numbers_end_with_two(arguments, said):
    done = theory(arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_help_does_not_load_torch():
    code = (
        "import sys; sys.argv = ['varshift', 'theory', 'direct', '--help']\n"
        "from varshift._cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
