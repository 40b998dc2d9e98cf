# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a dry run says is what a training then does, and it finds every problem at once."""

import dataclasses
import json

import pytest
from safetensors.torch import load_file

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation
from paumer_hf.training import TrainingRecipe, train
from paumer_hf.training.dry_run import describe_training, find_local_start, format_description
from paumer_hf.training.memory_estimate import StepMemory


SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "patch_size": 8,
    "decoder_num_hidden_layers": 1,
}
SECTIONS = ["Recipe", "Data", "First batch of the first process", "Model", "Memory", "Training", "Disk", "Problems"]


@pytest.fixture(autouse=True)
def counted_at_once(request, monkeypatch):
    """Counting the memory of a step, and operations of a thousand draws, take long; the slow tests count them."""
    if "slow" not in request.keywords:
        counted = StepMemory(2 * 2**20, 3 * 2**20)
        monkeypatch.setattr("paumer_hf.training.training_costs.count_step_memory", lambda *_, **__: counted)
        monkeypatch.setattr("paumer_hf.training.training_costs.NUM_DRAWS", 50)


@pytest.fixture
def make_recipe(tmp_path):
    def make(**values) -> TrainingRecipe:
        fields = {"output_dir": str(tmp_path / "run"), "scene_size": [32, 48], "crop_size": [32, 48]}
        fields |= {"num_train_scenes": 20, "num_validation_scenes": 3, "config_overrides": SMALL, "num_workers": 0}
        fields |= {"max_steps": 5, "batch_size": 8, "save_steps": 2, "eval_steps": 4}
        return TrainingRecipe(**{**fields, **values})

    return make


def test_it_says_what_the_training_reads(make_recipe):
    description = describe_training(make_recipe(per_device_batch_size=3))
    assert description["problems"] == []
    data = description["data"]
    assert (data["name"], data["path"], data["revision"]) == ("street_scenes", "a generator", None)
    assert len(data["class_names"]) == 10
    assert data["splits"]["train"] == {"num_samples": 20, "first_ids": ["train-00000", "train-00001", "train-00002"]}
    assert data["splits"]["validation"]["num_samples"] == 3
    batch = description["batch"]
    assert batch["pixel_values"]["shape"][1:] == [3, 32, 48]
    assert batch["labels"]["shape"][1:] == [32, 48]
    assert batch["pixel_values"]["shape"][0] == batch["labels"]["shape"][0] in (2, 3)
    assert (batch["pixel_values"]["dtype"], batch["labels"]["dtype"]) == ("float32", "int64")
    assert -1 <= batch["pixel_values"]["range"][0] < batch["pixel_values"]["range"][1] <= 1
    assert 1 <= batch["labels"]["num_classes"] <= 10
    assert 0 <= batch["labels"]["ignored_share"] < 1
    assert batch["skipped"] == []


def test_it_says_how_long_the_training_is(make_recipe):
    training = describe_training(make_recipe(per_device_batch_size=3))["training"]
    assert (training["steps"], training["epochs"], training["steps_per_epoch"]) == (5, 2.0, 2.5)
    assert (training["evaluations"], training["checkpoints"]) == (2, 3)  # after steps 4, 5 and 2, 4, 5
    assert training["evaluation_images"] == 3
    assert training["batch"] == {"batch_size": 8, "processes": 1, "accumulated_batches": 3, "images_at_once": 3}
    assert training["learning_rates"]["1"] == 1e-4
    batch = describe_training(make_recipe(per_device_batch_size=2), num_processes=3)["training"]["batch"]
    assert batch == {"batch_size": 8, "processes": 3, "accumulated_batches": 2, "images_at_once": 2}


def test_it_says_what_the_model_is(make_recipe):
    model = describe_training(make_recipe())["model"]
    whole = PaumerForSemanticSegmentation(PaumerConfig(**SMALL, num_labels=10, image_size=(32, 48)))
    parts = {"embeddings": whole.paumer.embeddings, "auxiliary_head": whole.paumer.auxiliary_head}
    parts |= {"decoder": whole.decoder, "all": whole}
    for name, part in parts.items():
        assert model["parameters"][name] == sum(parameter.numel() for parameter in part.parameters()), name
    assert sum(model["parameters"].values()) == 2 * model["parameters"]["all"]
    assert 0 < model["macs"]["sampled_crop"] < model["macs"]["dense_crop"]
    assert (model["start"], model["origin"]) == (None, None)


def test_it_writes_nothing_and_changes_no_recipe(make_recipe, tmp_path):
    recipe = make_recipe(dry_run=True)
    describe_training(recipe)
    assert not list(tmp_path.iterdir())
    assert recipe == make_recipe(dry_run=True)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_training_leaves_on_the_disk_what_was_said(make_recipe, tmp_path, optimizer):
    recipe = make_recipe(optimizer=optimizer, ema_decay=0.9, save_total_limit=1)
    description = describe_training(recipe)
    assert description["memory"]["temporary"] > 0
    train(recipe)
    *best, checkpoint = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert len(best) <= 1, "that of the best evaluation, if it is not the newest"
    written = sum(
        tensor.numel() * tensor.element_size()
        for path in checkpoint.glob("*.safetensors")
        for tensor in load_file(path).values()
        if tensor.ndim
    )
    assert written == description["disk"]["checkpoint"]
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sum("mean_iou dense" in line for line in log) == description["training"]["evaluations"]


# --- start weights ---


def test_a_checkpoint_on_this_machine_is_read(make_recipe, tmp_path):
    config = PaumerConfig(**{**SMALL, "hidden_size": 24}, num_labels=10, image_size=(32, 48))
    PaumerForSemanticSegmentation(config).save_pretrained(tmp_path / "start")
    description = describe_training(make_recipe(init_from=str(tmp_path / "start"), config_overrides=None))
    assert description["problems"] == []
    assert description["model"]["start"] == str(tmp_path / "start")
    assert description["model"]["parameters"]["auxiliary_head"] == 24 * 10 + 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("runs/ade20k/last", "there is no file or folder `init_from` runs/ade20k/last. Train what writes it first"),
        ("timm/some_vit", "was not downloaded from the Hub to this machine. Run `hf download timm/some_vit`"),
    ],
)
def test_start_weights_that_are_not_there_are_a_problem_and_hide_nothing_else(make_recipe, monkeypatch, name, message):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name_of_function in ("socket.getaddrinfo", "socket.socket.connect"):
        monkeypatch.setattr(name_of_function, lambda *_, **__: pytest.fail("it asks the network"))
    description = describe_training(make_recipe(init_from=name))
    (problem,) = description["problems"]
    assert problem.startswith("start weights: not found: ")
    assert message in problem
    assert description["recipe"]["init_from"] == name
    assert description["model"]["start"] is None
    for section in ("data", "batch", "model", "memory", "training", "disk"):
        assert description[section] is not None, section


def test_a_page_of_the_hub_that_was_downloaded_is_read_from_there(make_recipe, tmp_path, monkeypatch):
    folder = tmp_path / "hub" / "models--some--paumer"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    config = PaumerConfig(**SMALL, num_labels=10, image_size=(32, 48))
    PaumerForSemanticSegmentation(config).save_pretrained(folder / "snapshots" / ("0" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    recipe = make_recipe(init_from="some/paumer", init_revision="main")
    source = find_local_start(recipe)
    assert source == dataclasses.replace(recipe, init_from=str(folder / "snapshots" / ("0" * 40)), init_revision=None)


def test_weights_that_cannot_be_read_are_a_problem(make_recipe, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    (problem,) = describe_training(make_recipe(init_from=str(tmp_path / "broken.safetensors")))["problems"]
    assert "start weights: " in problem
    assert "broken.safetensors" in problem


# --- problems ---


def test_all_problems_are_found_at_once(make_recipe, tmp_path):
    (tmp_path / "run" / "checkpoints" / "step-00000002").mkdir(parents=True)
    values = {"batch_size": 2, "init_from": "runs/gone", "eval_pause_configs": ["dense", "4:0.5", "3;0.5"]}
    description = describe_training(make_recipe(**values, num_validation_scenes=1), num_processes=4)
    starts = [problem.partition(":")[0] for problem in description["problems"]]
    assert starts == ["output folder", "batch", "start weights", "eval_pause_configs", "eval_pause_configs"]
    assert "names layer 4, but the model has 4 layers" in description["problems"][3]
    assert (description["batch"], description["memory"]) == (None, None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dataset": "camvid"}, "data set: 'camvid' has no place of its own. Name one by `dataset_path`."),
        ({"dataset": "unknown"}, "data set: 'unknown' is no registered data set"),
        ({"dataset": "camvid", "dataset_path": "/nowhere"}, "train split: "),
        ({"config_overrides": {"hidden_size": 17}}, "model: "),
        ({"config_overrides": {"hidden": 17}}, "model: `config_overrides` has the unknown field 'hidden'"),
        ({"scale_range": [2.0, 1.0]}, "batch: scale_range must be"),
        ({"resume": True}, "output folder: `resume` needs a checkpoint in "),
    ],
)
def test_a_problem_is_said_and_the_rest_is_still_described(make_recipe, values, message):
    description = describe_training(make_recipe(**values))
    assert any(problem.startswith(message) for problem in description["problems"]), description["problems"]
    assert description["training"]["steps"] == 5
    text = format_description(description)
    assert all(problem in text for problem in description["problems"])


def test_an_unforeseen_error_is_a_problem_and_named(make_recipe, monkeypatch):
    def fail(*arguments):
        raise ZeroDivisionError("no\nluck")

    monkeypatch.setattr("paumer_hf.training.dry_run.training_memory", fail)
    description = describe_training(make_recipe())
    assert description["problems"] == ["memory: ZeroDivisionError: no luck"]
    assert description["memory"] is None


# --- in words ---


def test_the_text_has_all_sections_and_numbers(make_recipe):
    description = describe_training(make_recipe(ema_decay=0.5))
    text = format_description(description)
    titles = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert [title.removesuffix(" of a process that holds all weights") for title in titles] == SECTIONS
    for expected in (
        *("max_steps: 5", "street_scenes from a generator", "train: 20 samples, the first are train-00000, "),
        *("float32 (8, 3, 32, 48)", "int64 (8, 32, 48)", f"all {description['model']['parameters']['all']:,}"),
        *("5 steps, 2.00 epochs", "2 evaluations of 3 images: dense", "3 checkpoints", "activations: 2.0 MiB"),
        "temporary: 1.0 MiB",
    ):
        assert expected in text
    assert text.endswith("Problems\n  none found\n")


def test_the_description_can_be_written_as_json(make_recipe):
    description = describe_training(make_recipe())
    assert json.loads(json.dumps(description)) == description
