"""`varshift reproduce` as a process: what it lists, writes and refuses."""

import json

import pytest

from problems import lean_reproduce
from problems.commands import varshift


def reproduce(*arguments, **how):
    return varshift("reproduce", *arguments, **how)


def test_list_names_every_experiment_and_fits_80_columns():
    done = reproduce("--list")
    assert done.returncode == 0
    names = [
        "fig1",
        "fig3",
        "fig4",
        "fig5",
        "table1",
        "table3",
        "table4",
        "table5",
        "table6",
        "all",
        "slips",
    ]
    assert all(f"\n{name} " in done.stdout for name in names)
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_slips_and_the_imagenet_recipe_need_no_training(tmp_path):
    slips = reproduce("slips", cwd=tmp_path)
    recipe = reproduce("table5", cwd=tmp_path)
    assert (slips.returncode, recipe.returncode) == (0, 0)
    assert "30000/30001" in slips.stdout
    assert "21.48" in recipe.stdout
    assert "IMAGENET1K_V1" in recipe.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "name a table or figure, or all; --list shows what there is"),
        (("table9",), 2, "no experiment 'table9'; there are fig1, fig3"),
        (
            ("table3", "--scale", "huge"),
            2,
            "'huge' is none of smoke, cpu, converged, paper",
        ),
        (("table3", "--seeds", "0"), 2, "--seeds 0; at least one is needed"),
        (("table3", "--workers", "0"), 2, "workers is 0; pass 1 or more"),
        (("table3", "--from", "gone.jsonl", "--out", "x"), 2, "there is no file 'gone.jsonl'"),
        (("table3", "--from", "gone.jsonl"), 2, "--from needs --out FOLDER"),
        (("table3", "--precision", "fp16"), 2, "--precision 'fp16' is none of fp32, bf16, auto"),
        (("table3", "--records", "gone/x.jsonl"), 2, "there is no folder 'gone'"),
        (("table3", "--folder", "made/../file"), 2, "is no folder, and none can be made (File e"),
        (("table3", "--out", "file/page"), 2, "is no folder, and none can be made (Not a direc"),
        (
            ("table3", "--records", "made/records.jsonl", "--out", "made"),
            2,
            "would be replaced by those of this page alone",
        ),
        (
            ("table3", "--from", "x.jsonl", "--out", "made", "--records", "y.jsonl"),
            2,
            "--from trains nothing; --records is for runs that do",
        ),
        (("table3", "--network", "VGG"), 2, "--network 'VGG' is none of those to be run: PreRes"),
        (
            ("table3", "--from", "x.jsonl", "--out", "made", "--data", "digits"),
            2,
            "--from trains nothing; --network and --data are for runs that do",
        ),
        (("power",), 2, "power needs --from FILE"),
        (("table3", "--root", "cifar=x"), 2, "scale smoke has no set 'cifar', but digits"),
        (("table3", "--every", "0"), 2, "0.0 seconds between two saved states"),
        (("table3", "--format", "html"), 2, "--format 'html' is none of text, json"),
        (("table3", "--scale", "cpu"), 3, "cifar10 needs --root"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, code, sentence, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "file").touch()
    done = reproduce(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert sentence in " ".join(done.stderr.split())


def test_a_page_is_rebuilt_from_its_records(tmp_path):
    asked = ("table1", "--folder", "kept", "--records", "lines.jsonl")
    first = reproduce(*asked, cwd=tmp_path, main=lean_reproduce.__name__)
    assert first.returncode == 0, first.stderr
    assert "lines.jsonl has the records of 0 of 4 runs" in first.stderr
    assert "Table 1, digits (scikit-learn)" in first.stdout
    assert "page, pictures and records are in kept/smoke/table1" in first.stderr
    made = tmp_path / "kept" / "smoke" / "table1"
    lines = [json.loads(line) for line in (made / "records.jsonl").read_text().splitlines()]
    assert [line["run"]["shape"]["family"] for line in lines] == [
        *("PreResNet", "ResNeXt", "WRN", "DenseNet")
    ]
    for line in lines:
        assert {"sha256", "torch", "varshift", "measured"} <= line["provenance"].keys()
    page, picture = (made / name for name in ("README.md", "table1.png"))
    before = page.read_bytes(), picture.read_bytes()
    lines = tmp_path / "lines.jsonl"
    written = lines.read_bytes()
    assert sorted(written.splitlines()) == sorted(
        (made / "records.jsonl").read_bytes().splitlines()
    )
    foreign = b'{"id":"other","run":{"images":{},"recipe":{"epochs":1,"batch_size":1}}}\n'
    lines.write_bytes(foreign + written + b'{"id": "a ki')
    elsewhere = reproduce("table1", "--folder", "new", "--records", "lines.jsonl", cwd=tmp_path)
    assert "its last line was half written and is gone" in elsewhere.stderr
    assert "lines.jsonl has the records of 4 of 4 runs" in elsewhere.stderr
    assert lines.read_bytes() == foreign + written
    assert not list((tmp_path / "new").rglob("weights.pt"))  # nothing was trained
    command = page.read_text().split("```")[1].split()
    assert command[:2] == ["varshift", "reproduce"]
    (made / "records.jsonl").write_bytes(foreign + (made / "records.jsonl").read_bytes())
    again = reproduce(*command[2:], "--format", "json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (page.read_bytes(), picture.read_bytes()) == before
    assert (made / "records.jsonl").read_bytes().startswith(foreign)
    told = json.loads(again.stdout)
    assert told["schema"] == "varshift.reproduce/1"
    assert told["scale"] == "smoke"
    assert [claim["key"] for claim in told["claims"]] == [
        *("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")
    ]
