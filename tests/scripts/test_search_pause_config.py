# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Searches by the script: what it writes into its folder and into the model, and what it refuses."""

import json
import sys
from importlib.util import find_spec

import pytest

import paumer_hf.prediction
from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.data import get_dataset_description, load_segmentation_dataset
from paumer_hf.evaluation import results
from paumer_hf.evaluation.semantic_evaluation import evaluate_model


SCENES = get_dataset_description("street_scenes")
MINE = PauseConfig({2: 0.1})
DATA = ["--dataset", "street_scenes", "--max_samples", "2", "--window_size", "40", "40"]
FLAGS = [*DATA, "--cpu", "--num_resamples", "10", "--ratios", "0.3", "0.6"]


@pytest.fixture
def folder(make_model, make_tiny_config, tmp_path):
    """A checkpoint with a default and two presets."""
    model = make_model(make_tiny_config(id2label=SCENES.id2label))
    model.pause_config = MINE
    model.pause_presets = {"mine": MINE, "fast": MINE}
    model.save_pretrained(tmp_path / "model")
    PaumerImageProcessor(size_divisor=8).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def search(run_script, folder, tmp_path, monkeypatch):
    """A function that searches by MACs with the script, and returns `search.json`."""
    monkeypatch.setattr(results, "_git_state", lambda: None)

    def run(*arguments, speed="macs"):
        fixed = ["--model", folder, "--output", tmp_path / "out", "--speed", speed, "--tune_malloc", "false"]
        run_script("search_pause_config.py", *fixed, *FLAGS, *arguments)
        return json.loads((tmp_path / "out" / "search.json").read_text(encoding="utf-8"))

    return run


def load(folder):
    return PaumerForSemanticSegmentation.from_pretrained(folder)


def test_a_frontier_becomes_presets_and_a_profile(search, folder, tmp_path, capsys):
    found = search("--max_gain", "inf")
    printed = capsys.readouterr().out
    assert "accurate: " in printed
    assert "Written to" in printed
    model = load(folder)
    assert model.pause_config == model.pause_presets["mine"] == MINE, "what a search does not name stays"
    assert model.pause_presets.keys() == {"mine", "accurate", "balanced", "fast", "fastest"}
    for name, drop in {"accurate": 0.2, "balanced": 0.7, "fast": 2.0, "fastest": 5.0}.items():
        assert model.pause_presets[name] == model.select_pause_config(max_drop=drop)
    dense, *others = found["results"]
    assert len(others) == 6 + 12
    points = {point.pause_config.to_text(): point for point in model.pause_profile.points}
    assert points.keys() == {"", *found["frontier"]}
    assert points[""].mean_iou == dense["mean_iou"]
    conditions = model.pause_profile.conditions
    assert conditions.items() >= {"dataset": "street_scenes", "split": "validation", "speed": "macs"}.items()
    names = {"search.json", "search.md", "search.sqlite"} | ({"search.png"} if find_spec("matplotlib") else set())
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_the_same_command_writes_the_same_twice(search, folder, tmp_path):
    def written():
        search("--max_gain", "1", "--criterion", "random", "--seed", "3", "--layers", "1", "3")
        texts = [(tmp_path / "out" / name).read_text() for name in ("search.json", "search.md")]
        texts.append((folder / "pause_config.json").read_text())
        return ["\n".join(line for line in text.splitlines() if '"date"' not in line) for text in texts]

    first = written()
    assert written() == first
    (tmp_path / "out" / "search.sqlite").unlink()
    assert written() == first


@pytest.mark.parametrize("wish", [("--target_speedup", "1.2", "min_speedup"), ("--max_drop", "1", "max_drop")])
def test_a_wish_names_its_choice_and_saves_it_if_told_to(search, folder, wish, capsys):
    flag, value, name = wish
    before = (folder / "pause_config.json").read_bytes()
    choice = search(flag, value)["choice"]
    assert f"{choice['pause_config'] or 'dense'}: {choice['speedup']:.3f} times as fast" in capsys.readouterr().out
    assert (folder / "pause_config.json").read_bytes() == before
    search(flag, value, "--save_as", "chosen")
    model = load(folder)
    assert model.pause_presets.keys() == {"mine", "fast", "chosen"}
    assert model.pause_presets["chosen"].to_text() == choice["pause_config"]
    assert model.pause_profile is None
    assert model.pause_config == MINE
    search()
    assert load(folder).select_pause_config(**{name: float(value)}).to_text() == choice["pause_config"]


def test_speeds_are_measured(search, folder):
    flags = ["--layers", "2", "--max_pause_layers", "1", "--sweep_rounds", "1", "--confirmation_rounds", "2"]
    found = search(*flags, "--image_size", "64", "--threads", "1", speed="measured")
    assert all(row["images_per_second"] > 0 for row in found["results"])
    assert all(row["is_confirmed"] for row in found["results"] if row["on_frontier"])
    assert found["conditions"].items() >= {"image_size": [64, 64], "num_threads": 1, "speed": "measured"}.items()
    point = load(folder).pause_profile.dense
    assert point.images_per_second == found["results"][0]["images_per_second"]
    with pytest.raises(SystemExit, match=r"as fast as 1000000000 images/s.*the fastest, "):
        search(*flags, "--image_size", "64", "--threads", "1", "--target_throughput", "1e9", speed="measured")


def test_presets_are_not_written_when_told_so(search, folder, capsys):
    before = (folder / "pause_config.json").read_bytes()
    search("--write_presets", "false")
    assert "Written" not in capsys.readouterr().out
    assert (folder / "pause_config.json").read_bytes() == before


def test_a_trial_does_not_replace_a_better_profile(search, folder, capsys):
    """Of more images, or of measured speeds; what a user says twice is done."""
    fields = json.loads((folder / "pause_config.json").read_text())
    search("--layers", "2")
    found = json.loads((folder / "pause_config.json").read_text())["profile"]
    for change, message in (
        ({"num_images": 3}, "of 3 images, and this one of 2"),
        ({"speed": "measured"}, "are measured, and these are not"),
    ):
        better = {**found, "conditions": {**found["conditions"], **change}}
        (folder / "pause_config.json").write_text(json.dumps({**fields, "profile": better}))
        before = (folder / "pause_config.json").read_bytes()
        search("--layers", "2")
        assert f"{message}; --replace_profile replaces it" in capsys.readouterr().out
        assert (folder / "pause_config.json").read_bytes() == before
    search("--layers", "2", "--replace_profile")
    assert load(folder).pause_profile.conditions["speed"] == "macs"


def test_presets_of_a_model_from_the_hub_are_named_but_not_written(search, folder, monkeypatch, capsys):
    before = (folder / "pause_config.json").read_bytes()
    load_model = paumer_hf.prediction.load_model
    monkeypatch.setattr(paumer_hf.prediction, "load_model", lambda name, device: load_model(str(folder), device))
    found = search("--model", "someone/model", "--layers", "2")
    assert "Presets are written into local folders only" in capsys.readouterr().out
    assert found["conditions"]["model"] == "someone/model"
    assert (folder / "pause_config.json").read_bytes() == before


def test_results_are_those_of_an_evaluation(search, folder):
    rows = search("--layers", "1", "3")["results"]
    model = load(folder)
    dataset = load_segmentation_dataset(SCENES, "validation", num_samples=2)
    configs = [PauseConfig.from_text(row["pause_config"]) for row in rows if row["mean_iou"] is not None]
    expected = evaluate_model(model, dataset, configs, num_resamples=10, window_size=(40, 40))
    for row, other in zip((row for row in rows if row["mean_iou"] is not None), expected, strict=True):
        assert row["mean_iou"] == other["mean_iou"]
        assert row["mean_iou_interval"] == other["mean_iou_interval"]


def test_without_matplotlib_there_is_no_plot(search, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    search("--layers", "2")
    assert "No plot: Plots need matplotlib" in capsys.readouterr().out
    assert not (tmp_path / "out" / "search.png").exists()
    assert (tmp_path / "out" / "search.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--target_speedup 1.5 --max_drop 1", "one wish, got --target_speedup and --max_drop"),
        ("--target_speedup 99", "at least 99 times as fast as the dense model; the fastest, 1:0.6,2:0.6, is 1"),
        ("--target_throughput 5", "--target_throughput needs measured images/s"),
        ("--layers 1 9", "names layer 9, but the model has 4 layers"),
        ("--ratios 0.5 1.0", r"ratios must lie in \(0, 1\), got 1.0"),
        ("--max_pause_layers 0", "max_pause_layers must be at least 1"),
        ("--max_samples 0", "nothing to evaluate"),
        ("--preset_drops 1 2", "--preset_drops must be 4 numbers"),
        ("--save_as mine", "--save_as names the preset of a choice"),
        ("--dataset cityscapes", "cityscapes"),
        ("--model nowhere/at_all_", "nowhere/at_all_"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence_and_changes_nothing(search, folder, tmp_path, arguments, message):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(SystemExit, match=rf"^search_pause_config\.py: .*{message}"):
        search(*arguments.split())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    left = {path.name for path in (tmp_path / "out").iterdir()} if (tmp_path / "out").exists() else set()
    assert left <= {"search.sqlite"}


def test_an_output_that_cannot_be_is_refused(search, tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^search_pause_config\.py: The folder .*file cannot be made"):
        search("--output", tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "search.sqlite").write_text("no store " * 100, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"search\.sqlite is not the file of a search"):
        search()
    assert (tmp_path / "out" / "search.sqlite").read_text(encoding="utf-8") == "no store " * 100


def test_an_interruption_says_how_to_go_on(search, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(paumer_hf.prediction, "load_model", interrupted)
    with pytest.raises(SystemExit, match="the same command goes on where it stopped"):
        search()
