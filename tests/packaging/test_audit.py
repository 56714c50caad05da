"""The lock has what is pinned, with hashes, and the audit says where it does not."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("packaging")

from benchmarks.audit import ROOT, closure, known, mismatches, pins, unlocked

LOCK = """\
torch==2.14.1 \\
    --hash=sha256:00
tomli==2.0 ; python_full_version < '3.11' \\
    --hash=sha256:11 \\
    --hash=sha256:22
bare==1.0
"""


def test_the_lock_has_every_pin_with_hashes():
    constraints, lock = (
        (ROOT / name).read_text("utf-8") for name in ("constraints.txt", "requirements.lock")
    )
    assert len(pins(constraints)) > 100
    assert list(mismatches(pins(constraints), lock)) == []


def test_what_differs_is_named():
    assert pins(LOCK) == {"torch": "2.14.1", "tomli": "2.0", "bare": "1.0"}
    found = list(mismatches({"torch": "2.14.0", "numpy": "2.0"}, LOCK))
    assert found == [
        "torch: 2.14.0 in constraints.txt, 2.14.1 in the lock",
        "numpy: 2.0 in constraints.txt, not in the lock",
        "bare: no hash in the lock",
    ]
    installed = {"torch": "2.14.1+cpu", "tomli": "2.1", "stranger": "3"}
    assert list(unlocked(installed, pins(LOCK))) == [
        "stranger: 3 is installed, and is not in the lock",
        "tomli: 2.1 is installed, 2.0 is locked",
    ]


def test_all_that_the_project_leads_to():
    found = closure("varshift", ("dev",))
    assert {"torch", "greenlet", "pytest", "mdurl"} <= found  # rich → markdown-it-py → mdurl
    assert "varshift" not in found
    assert "pytest" not in closure("varshift", ())


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ("no network", 0, "NOT AUDITED: pip-audit cannot be asked here"),
        (
            [{"name": "torch", "skip_reason": "not found"}],
            0,
            "NOT AUDITED: the database knows none",
        ),
        ([{"name": "torch", "vulns": []}], 0, "1 of 1 packages asked for: 0 known"),
        ([{"name": "torch", "vulns": [{"id": "CVE-1"}]}], 1, "torch 2.14.1: CVE-1"),
    ],
)
def test_what_pip_audit_answers(answer, code, said, tmp_path, capsys):
    text = answer if isinstance(answer, str) else json.dumps({"dependencies": answer})
    asked = tmp_path / "python"
    asked.write_text(f"#!{sys.executable}\nprint({text!r})\n")
    asked.chmod(0o755)
    assert known(str(asked), LOCK) == code
    assert said in capsys.readouterr().out
