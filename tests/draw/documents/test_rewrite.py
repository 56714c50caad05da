from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

import varshift as vs
from problems.documents import table, tables, texts
from varshift._draw.documents import document


class Written(nn.Module):
    """One dropout that is a module, and one that is written in `forward`."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.1)
        self.linear = nn.Linear(8, 16)
        self.norm = nn.BatchNorm1d(16)

    def forward(self, x):
        x = F.dropout(self.linear(self.drop(x)), 0.2, self.training)
        return self.norm(x)


def test_a_clean_model_is_good(every):
    made = document(every["rewrite"])
    assert made.head == "Noise reaches no norm any more; before, it reached 3 norms."
    assert made.tone == "good"
    rows = texts(table(made, "Changed in the model"))
    assert [row["noise"] for row in rows] == ["drop", "direct", "head.noise_before"]
    assert [row["τ"] for row in rows] == ["1 → 0", "1 → 0", "0 → 1"]
    assert rows[2]["before"] == "—"


def test_what_is_left_to_do_by_hand_is_counted_and_shown_as_a_patch():
    torch.manual_seed(0)
    result = vs.replace(Written(), torch.randn(64, 8), "uout")
    made = document(result)
    assert made.head.startswith("Noise reaches 1 norm now, directly or through other norms; before")
    assert made.tone is None
    assert made.detail == "1 noise is written in code, which is for you to change."
    held = table(made, "Written in code")
    assert [row.cells[1].style for row in held.rows[:2]] == ["removed", "added"]
    assert held.rows[0].cells[1].text.startswith("- x = F.dropout(")
    assert held.rows[0].cells[0].text.endswith(f":{result.patches[0].line.number}")
    assert held.below == ["r.diff() is all of it as one patch."]


def test_what_theory_expects_is_graded():
    torch.manual_seed(0)
    x = torch.randn(64, 8) + 2
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8))
    result = vs.replace(net, x, "uout", max_severity=1.3, data=x.split(16))
    made = document(result)
    (row,) = table(made, "Severity that theory expects").rows
    severity = result.severities["1"]
    assert row.cells[1].text == f"{severity:.2f}"
    assert 1.25 < severity <= 1.3 + 1e-6
    assert row.tone == made.tone == "clear"


def test_nothing_to_change_is_no_success():
    net = nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    made = document(vs.relocate(net, torch.randn(16, 8)))
    assert made.head == "Noise reached no norm, and reaches none now."
    assert made.tone is None
    assert "Changed in the model" not in tables(made)
