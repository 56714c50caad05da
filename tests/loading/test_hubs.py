"""Models by the names that libraries have for them."""

from __future__ import annotations

import socket

import pytest
import torch
from torch import nn

from varshift._loading import keywords_of, load_factory, load_model, untrained
from varshift.errors import ModelError, UsageError


def test_keywords():
    assert keywords_of(None) == {}
    found = keywords_of(["drop_rate=0.5", "act_layer=silu", "block_args={'a': 1}", "eq=a=b"])
    assert found == {"drop_rate": 0.5, "act_layer": "silu", "block_args": {"a": 1}, "eq": "a=b"}
    for item in ("drop_rate", "=3", "a-b=3"):
        with pytest.raises(UsageError, match="is no name=value; write it as"):
            keywords_of([item])
    with pytest.raises(UsageError, match="so write pretrained=False"):
        keywords_of(["pretrained=false"])


class TestTimm:
    @pytest.fixture(autouse=True)
    def timm(self):
        return pytest.importorskip("timm", reason="no timm; pip install '.[zoo]'")

    def test_a_model_with_arguments(self):
        made = load_model("timm:test_resnet", keywords_of(["drop_rate=0.5", "num_classes=3"]))
        assert made.drop_rate == 0.5
        assert made.num_classes == 3
        assert type(load_model("timm:resnet18.a1_in1k", {"num_classes": 2})).__name__ == "ResNet"

    @pytest.mark.parametrize(
        ("name", "keywords", "match"),
        [
            ("resnet181", {}, "timm has no model 'resnet181'; near to it: .*resnet18"),
            ("qqqqqqqqq", {}, r"near to it|timm.list_models\(\) lists all"),
            ("resnet18.a1_in2k", {}, "no model 'resnet18.a1_in2k'; near to it: resnet18.a1_in1k"),
            ("test_resnet", {"dorp": 1}, r"with --model-kwargs 'dorp': .*unexpected keyword"),
        ],
    )
    def test_sentences(self, name, keywords, match):
        with pytest.raises(UsageError, match=match):
            load_model(f"timm:{name}", keywords)

    def test_weights_that_cannot_be_fetched(self, monkeypatch):
        def refuse(*arguments, **keywords):
            raise ConnectionError("no network")

        monkeypatch.setattr("timm.create_model", refuse)
        with pytest.raises(ModelError, match=r"no network\); fetch .* hf download timm/resnet18"):
            load_model("timm:resnet18", {"pretrained": True})


class TestTorchvision:
    @pytest.fixture(autouse=True)
    def torchvision(self):
        return pytest.importorskip("torchvision", reason="no torchvision; '.[zoo]'")

    def test_a_model_with_arguments(self):
        made = load_model("torchvision:squeezenet1_1", {"dropout": 0.2, "num_classes": 3})
        assert made.classifier[0].p == 0.2

    @pytest.mark.parametrize(
        ("name", "keywords", "match"),
        [
            ("resnet81", {}, "torchvision has no model 'resnet81'; near to it: .*resnet18"),
            ("qqqqqqqqq", {}, r"torchvision.models.list_models\(\) lists all"),
            ("resnet18", {"weights": "V9"}, "no weights 'V9'; it has DEFAULT, IMAGENET1K_V1"),
            ("resnet18", {"dorp": 1}, "with --model-kwargs 'dorp': .*unexpected keyword"),
        ],
    )
    def test_sentences(self, name, keywords, match):
        with pytest.raises(UsageError, match=match):
            load_model(f"torchvision:{name}", keywords)

    def test_weights_that_cannot_be_fetched(self, monkeypatch):
        def refuse(*arguments, **keywords):
            raise OSError("no network")

        monkeypatch.setattr("torchvision.models.get_model", refuse)
        with pytest.raises(ModelError, match=r"as --checkpoint.*: https://.*resnet18.*\.pth$"):
            load_model("torchvision:resnet18", {"weights": "DEFAULT"})


class TestTransformers:
    @pytest.fixture(autouse=True)
    def transformers(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        return pytest.importorskip("transformers", reason="no transformers")

    @pytest.fixture
    def saved(self, tmp_path, transformers):
        config = transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3
        )
        torch.manual_seed(0)
        model = transformers.ResNetForImageClassification(config)
        model.save_pretrained(tmp_path / "net")
        return tmp_path / "net", model

    def test_the_class_that_was_saved_with_its_weights(self, saved, capfd):
        folder, model = saved
        notes = []
        capfd.readouterr()
        made = load_model(f"hf:{folder}", None, notes)
        assert "Loading weights" not in capfd.readouterr().err
        assert type(made) is type(model)
        assert notes == []
        found, wanted = made.state_dict(), model.state_dict()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
        assert load_model(f"hf:{folder}", {"hidden_act": "gelu"}).config.hidden_act == "gelu"

    def test_a_configuration_alone_gives_random_weights_and_says_so(self, saved):
        folder, _ = saved
        for file in folder.glob("*.safetensors"):
            file.unlink()
        notes = []
        made = load_model(f"hf:{folder}", {"hidden_act": "gelu"}, notes)
        assert isinstance(made, nn.Module)
        assert "holds no weights: they are random" in notes[0]
        with pytest.raises(UsageError, match="has nothing called 'dorp' in its configuration"):
            load_model(f"hf:{folder}", {"dorp": 1})

    def test_weights_that_are_missing_are_named(self, saved, transformers):
        folder, model = saved
        model.resnet.save_pretrained(folder)  # without the classifier
        config = model.config
        config.architectures = ["ResNetForImageClassification"]
        config.save_pretrained(folder)
        notes = []
        load_model(f"hf:{folder}", None, notes)
        assert "has no weights for 'classifier.1.bias', 'classifier.1.weight'" in notes[0]

    def test_sentences(self, saved, tmp_path):
        folder, _ = saved
        with pytest.raises(UsageError, match="there is no folder"):
            load_model(f"hf:{tmp_path}/none")
        with pytest.raises(UsageError, match=r"there is no folder './none'|no folder 'none'"):
            load_model("hf:./none")
        with pytest.raises(UsageError, match=r"holds no config\.json"):
            load_model(f"hf:{tmp_path}")
        with pytest.raises(ModelError, match=r"is fetched here.*hf download nobody/nothing"):
            load_model("hf:nobody/nothing")
        with pytest.raises(UsageError, match="cannot be made with --model-kwargs 'dorp'"):
            load_model(f"hf:{folder}", {"dorp": 1})


def test_factories_take_the_arguments_too(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\nmade = nn.Linear(2, 2)\n"
        "def make(width, depth=1):\n    return nn.Sequential(*[nn.Linear(width, width)] * depth)\n"
        "def breaks(width):\n    raise KeyError(width)\n"
    )
    assert load_model(f"{file}:make", {"width": 3, "depth": 2})[1].in_features == 3
    assert load_factory(f"{file}:make", {"width": 3})[0].in_features == 3
    with pytest.raises(UsageError, match="unexpected keyword argument 'wide'; it takes 'width', "):
        load_model(f"{file}:make", {"width": 3, "wide": 3})
    with pytest.raises(UsageError, match="is a Linear and is not called: it takes no --model-kw"):
        load_model(f"{file}:made", {"width": 3})
    with pytest.raises(ModelError, match="raised KeyError when called with 'width'"):
        load_model(f"{file}:breaks", {"width": 3})


def test_random_weights_are_said():
    assert "random weights; give --checkpoint FILE, or --model-kwargs pretrained=True" in untrained(
        "timm:resnet18", {}
    )
    assert untrained("timm:resnet18", {"pretrained": True}) is None
    assert "weights=DEFAULT" in untrained("torchvision:resnet18", {"weights": None})
    assert untrained("net.py:make", {}) is None


def test_no_target_names_the_kinds():
    with pytest.raises(UsageError, match=r"timm:resnet50, torchvision:resnet50 or hf:FOLDER"):
        load_model("resnet50")
    with pytest.raises(UsageError, match=r"write package.module:factory"):
        load_model("timm:")


class TestNoHub:
    """With arguments, too, a model is made from what is on this machine."""

    @pytest.fixture(autouse=True)
    def sockets(self, monkeypatch):
        """What was looked up or connected to; each attempt also fails."""
        tried = []

        def refuse(*arguments, **keywords):
            tried.append(arguments)
            raise OSError("a socket was opened")

        for name in ("connect", "connect_ex", "sendto"):
            monkeypatch.setattr(socket.socket, name, refuse)
        for name in ("getaddrinfo", "create_connection", "gethostbyname"):
            monkeypatch.setattr(socket, name, refuse)
        yield tried
        assert tried == []

    def test_a_factory(self, tmp_path):
        (tmp_path / "net.py").write_text(
            "from torch import nn\n"
            "def make(classes, drop=0.5):\n"
            "    return nn.Sequential(nn.Dropout(drop), nn.Linear(4, classes))\n"
        )
        made = load_model(f"{tmp_path}/net.py:make", keywords_of(["classes=10", "drop=0.3"]))
        assert (made[0].p, made[1].out_features) == (0.3, 10)

    def test_timm(self):
        pytest.importorskip("timm", reason="no timm; pip install '.[zoo]'")
        keywords = keywords_of(["num_classes=10", "drop_rate=0.3"])
        for name in ("test_resnet", "resnet18.a1_in1k"):
            made = load_model(f"timm:{name}", keywords)
            assert (made.num_classes, made.drop_rate) == (10, 0.3)

    def test_torchvision(self):
        pytest.importorskip("torchvision", reason="no torchvision; '.[zoo]'")
        keywords = keywords_of(["num_classes=10", "dropout=0.3"])
        made = load_model("torchvision:squeezenet1_1", keywords)
        assert (made.classifier[0].p, made.classifier[1].out_channels) == (0.3, 10)

    def test_transformers(self, tmp_path):
        transformers = pytest.importorskip("transformers", reason="no transformers")
        config = transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3
        )
        transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "net")
        made = load_model(f"hf:{tmp_path / 'net'}", keywords_of(["hidden_act=gelu"]))
        assert (made.config.hidden_act, made.config.num_labels) == ("gelu", 3)
        with pytest.raises(ModelError, match="nothing is fetched here"):
            load_model("hf:nobody/nothing", keywords_of(["num_labels=10"]))
