"""Which item of a batch repair takes for labels: never one that the model predicts from."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import varshift as vs
from varshift._engine import piece
from varshift._engine.session import session
from varshift._repair.choosing import Labels, choose
from varshift.judging import Judge

STATES, ACTIONS = torch.randn(64, 6), torch.randn(64, 1)
REWARDS = STATES[:, :1] * ACTIONS
CLASSES = (STATES[:, 0] > 0).long()
Step = namedtuple("Step", "state action reward next_state done")
Named = namedtuple("Named", "image mask y")


class Critic(nn.Module):
    def __init__(self, outputs=1):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(7, 8), nn.Dropout(0.3), nn.BatchNorm1d(8))
        self.head = nn.Linear(8, outputs)

    def forward(self, state, action):
        return self.head(self.body(torch.cat([state, action], 1)))


class Classes(nn.Module):
    """Takes labels too, and returns a loss beside the scores, as Hugging Face models do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.3), nn.BatchNorm1d(8))
        self.head = nn.Linear(8, 2)

    def forward(self, x, labels=None, y=None):
        x = x if y is None else x * (1 + y[:, None])
        logits = self.head(self.body(x))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits}


@dataclasses.dataclass(frozen=True)
class Batch:
    state: torch.Tensor
    action: torch.Tensor
    reward: torch.Tensor
    name: str = "a batch"


def chosen(model, value, forward=None, **judging):
    with session(model, forward=forward) as run:
        held = [run.example(part.value) for part in _cut(value, run)]
        return choose(run, held, Judge(**judging))


def _cut(value, run):
    """The batch in two, so that other values of its items are at hand."""
    whole = dataclasses.replace(run.example(value), samples=64)
    return [piece(whole, start, start + 32) or whole for start in (0, 32)]


def by_critic(model, batch):
    return model(batch[0], batch[1])


def test_an_action_is_no_label():
    value = Step(STATES, ACTIONS, REWARDS, STATES + 1, torch.zeros(64, 1))
    found = chosen(Critic(), value, by_critic)
    assert (found.item, found.usual, found.input) == ("reward", "action", True)
    assert found.rivals == ("done",)  # of the rewards' shape; the next states fit no prediction


def test_what_is_changed_before_the_model_takes_it_counts_too():
    def forward(model, batch):
        joined = torch.cat([batch[0], batch[1]], 1) * 2
        return model.head(model.body(joined))

    assert chosen(Critic(), (STATES, ACTIONS, REWARDS), forward).item == 2


FORMS = {
    "tuple": ((STATES, ACTIONS, REWARDS), 2),
    "list": ([STATES, ACTIONS, REWARDS], 2),
    "frozen dataclass": (Batch(STATES, ACTIONS, REWARDS), "reward"),
    "nested": (((STATES, ACTIONS), REWARDS), 1),
    "nested dataclass": ((Batch(STATES, ACTIONS, REWARDS), REWARDS), 1),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    value, item = FORMS[form]

    def forward(model, batch):
        batch = batch if len(items(batch)) > 2 else batch[0]
        return model(*items(batch)[:2])

    assert chosen(Critic(), value, forward).item == item


def items(batch):
    return list(vars(batch).values()) if isinstance(batch, Batch) else list(batch)


@pytest.mark.parametrize("item", [0, 1])
def test_the_only_item_left(item):
    """Labels first: the second item is the input."""
    value = (CLASSES, STATES) if item == 0 else (STATES, CLASSES)
    found = chosen(Classes(), value, lambda model, batch: model(batch[1 - item]))
    assert found == Labels(item, 1, input=item == 0)


def test_an_input_that_is_also_the_label():
    """As of an autoencoder: another item of the batch, though the same values."""
    net = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.BatchNorm1d(6))
    for value in ((STATES, STATES), (STATES, STATES[:, :])):
        assert chosen(net, value) == Labels(1)
        assert chosen(net, value, lambda model, batch: model(batch[0])) == Labels(1, 1)


def test_an_item_without_labels_fits_nothing():
    found = chosen(Critic(), (STATES, ACTIONS), by_critic)
    assert found == Labels(None, 1, input=True)
    found = chosen(Critic(), (STATES, ACTIONS, STATES + 1), by_critic)  # the next states
    assert found.item is None


def test_one_that_fits_the_predictions():
    weights = torch.rand(64)
    forward = lambda model, batch: model(batch[0], y=batch[1])  # noqa: E731
    assert chosen(Classes(), (STATES, weights, weights, CLASSES), forward).item == 3


def test_names_of_samples_are_no_labels():
    value = (STATES, ["a"] * 64, CLASSES)
    assert chosen(Classes(), value, lambda model, batch: model(batch[0])).item == 2
    assert chosen(Classes(), value).item == 1  # where none are found; without a forward, as said


def test_an_input_that_only_chooses_among_outputs():
    actions = torch.randint(0, 2, (64, 1))
    value = (STATES, actions, REWARDS)
    forward = lambda model, batch: model(batch[0])["logits"].gather(1, batch[1])  # noqa: E731
    assert chosen(Classes(), value, forward) == Labels(2, 1, input=True)
    coded = lambda m, b: m(b[0], nn.functional.one_hot(b[1][:, 0], 2)[:, :1].float())  # noqa: E731
    assert chosen(Critic(), value, coded) == Labels(2, 1, input=True)


def test_names_go_before_places():
    mask = torch.ones(64, 6)
    assert chosen(Critic(), Named(STATES, mask, REWARDS)) == Labels("y")
    forward = lambda model, batch: model(batch.image * batch.mask, batch.y)  # noqa: E731
    assert chosen(Critic(), Named(STATES, mask, ACTIONS), forward).item is None


def test_labels_that_the_model_takes_for_its_loss_are_labels():
    assert chosen(Classes(), {"x": STATES, "labels": CLASSES}).item == "labels"
    forward = lambda model, batch: model(**batch)  # noqa: E731
    assert chosen(Classes(), {"x": STATES, "labels": CLASSES}, forward).item == "labels"


def test_a_name_alone_makes_no_label():
    found = chosen(Classes(), {"x": STATES, "y": ACTIONS[:, 0]})
    assert found == Labels(None, "y", input=True)
    found = chosen(Classes(), {"x": STATES, "y": ACTIONS[:, 0], "labels": CLASSES})
    assert found.item == "labels"
    # Without a name nothing in a dict is one: an index of samples would be as likely.
    found = chosen(
        Critic(), {"s": STATES, "a": ACTIONS, "r": REWARDS}, lambda m, b: m(b["s"], b["a"])
    )
    assert found.item is None


def test_objects_with_attributes():
    value = SimpleNamespace(x=STATES, y=CLASSES)
    assert chosen(Classes(), value, lambda model, batch: model(batch.x)).item == "y"
    value.y = ACTIONS[:, 0]
    assert chosen(Classes(), value, lambda model, batch: model(batch.x, y=batch.y)).item is None


def test_items_that_are_alike_in_all_samples():
    """A mask of ones can be changed in no way that shows: that the model takes it does."""
    found = chosen(Critic(), (STATES, torch.ones(64, 1), REWARDS), by_critic)
    assert found.item == 2
    found = chosen(
        Critic(), (STATES, torch.ones(64, 1)), lambda m, b: m(b[0], ACTIONS[: len(b[0])])
    )
    assert found.item == 1


class Restless(Critic):
    def forward(self, state, action):
        state = nn.functional.dropout(state, 0.5, True)
        return super().forward(state, action)


def test_noise_in_evaluation_makes_no_item_an_input():
    assert chosen(Restless(), (STATES, ACTIONS, REWARDS), by_critic).item == 2
    one = lambda model, batch: model(batch[0], ACTIONS[: len(batch[0])])  # noqa: E731
    assert chosen(Restless(), (STATES, REWARDS), one).item == 1


# What is told -------------------------------------------------------------------------------------


def trained(batches):
    net = Critic()
    optimiser = torch.optim.SGD(net.parameters(), 0.01)
    for state, action, reward in batches:
        optimiser.zero_grad()
        (net(state, action) - reward).square().mean().backward()
        optimiser.step()
    return net


def test_the_result_says_what_it_was_judged_by():
    g = torch.Generator().manual_seed(0)
    states, actions = torch.randn(320, 6, generator=g), torch.randn(320, 1, generator=g)
    parts = (states.split(32), actions.split(32), (states[:, :1] * actions).split(32))
    batches = list(zip(*parts, strict=True))
    net = trained(batches)
    r = vs.repair(net, batches[:6], held_out=batches[6:], forward=by_critic, method="recalibrate")
    r.undo()
    net.eval()
    with torch.no_grad():
        losses = torch.cat([(net(s, a) - y).square() for s, a, y in batches[6:]])
    assert r.before.loss == pytest.approx(float(losses.mean()), rel=1e-5)
    assert r.labels_from == 2
    assert r.to_dict()["labels_from"] == 2
    assert "item 1 (from 0) of a batch is no label: the model predicts from it" in r.notes[-1]
    assert "labels (item 2 of a batch)" in text(r)
    unlabelled = vs.repair(net, batches[:6], forward=by_critic, labels=False, method="recalibrate")
    assert unlabelled.labels_from is None


def text(result):
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as held:
        console.print(result.table())
    return held.get()
