from __future__ import annotations

import copy

import pytest
import torch

import varshift as vs
from problems.noisy_nets import Conv
from problems.settling import settled
from varshift._draw.document import Document
from varshift._draw.page import render
from varshift.theory import calculator


def far(out, batch):
    """A loss that says which sample it is of, whatever the model does: nothing can help."""
    return batch[1].double()


def monitored(net, batches):
    """What a monitor has seen over these batches, a look at each but the first."""
    monitor = vs.Monitor(net, every=1, warn=False)
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    for batch in batches:
        net(batch)
        monitor.step(batch)
    return monitor.result()


@pytest.fixture(scope="session")
def every():
    """One result of each kind, of a small network."""
    torch.manual_seed(0)
    net = Conv().double()
    x = torch.randn(40, 3, 12, 12, dtype=torch.float64)
    labelled = list(zip(x.split(8), torch.arange(40).split(8), strict=True))
    return {
        "structure": vs.inspect(net, x[:2]),
        "measurement": vs.measure(net, x.split(8)),
        "explanation": vs.explain(net, x.split(8), test_data=(1.3 * x).split(8)),
        "diagnosis": vs.diagnose(net, x.split(8), (1.3 * x).split(8)),
        "same-data": vs.explain(net, x.split(8)),
        "prediction": vs.predict(net, x.split(8), noise={"drop": 0.2}),
        "without-data": vs.predict(settled(copy.deepcopy(net), x.split(8), 20), example=x[:2]),
        "footprint": vs.footprint(settled(copy.deepcopy(net), x.split(8), 20), x.split(8)),
        "recalibration": vs.recalibrate(copy.deepcopy(net), x.split(8)),
        "repair": vs.repair(copy.deepcopy(net), labelled, loss=far),
        "rewrite": vs.relocate(copy.deepcopy(net), x[:2]),
        "calculation": calculator.direct(calculator.amount(drop_p=0.5), mean=1.0, var=2.0),
        "findings": vs.check(net, data=x.split(8), ignore=["VS106"], docs="https://example.org/x"),
        # Last: what trains draws, and what comes after it draws other noise.
        "monitoring": monitored(copy.deepcopy(net).train(), x.split(8)),
    }


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the page of a result or of a document on file://, without a network.

    What the console said and what was fetched is on the page object.
    """
    contexts = []

    def open_(shown, beside=None, **options):
        path = tmp_path / "page.html"
        if isinstance(shown, Document):
            path.write_text(render(shown, "made by hand", beside), encoding="utf-8")
        else:
            shown.to_html(path, beside=beside)
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)  # two cores, and other work on them
        page.said, page.fetched = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("dialog", lambda dialog: (page.said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.fetched.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
