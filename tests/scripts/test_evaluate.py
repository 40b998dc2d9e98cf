# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Evaluations by the script: its flags, recipes, data that cannot be read, and several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.data import get_dataset_description, load_segmentation_dataset
from paumer_hf.evaluation.multi_scale import MULTI_SCALES
from paumer_hf.evaluation.semantic_evaluation import evaluate_model


SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "evaluate.py"
MEAN, STD = [0.4, 0.5, 0.6], [0.3, 0.4, 0.5]
SCENES = get_dataset_description("street_scenes")
WINDOWS = {"window_size": [40, 40], "stride": [24, 24], "resize_short_side": 48, "resize_long_side": 80}


@pytest.fixture
def model(make_model, make_tiny_config):
    return make_model(make_tiny_config(id2label=SCENES.id2label))


@pytest.fixture
def evaluate(run_script, model, tmp_path):
    """A function that runs the script on a saved model and returns the results and the conditions."""
    model.save_pretrained(tmp_path / "model")
    PaumerImageProcessor(size_divisor=8, image_mean=MEAN, image_std=STD).save_pretrained(tmp_path / "model")

    def run(*arguments):
        output = tmp_path / "evaluation.json"
        given = ["--model", tmp_path / "model", "--max_samples", "2", "--cpu", "--output", output, *arguments]
        run_script(
            "evaluate.py", *given, *([] if "--pause_configs" in given else ["--pause_configs", "dense", "1:0.5"])
        )
        contents = json.loads(output.read_text(encoding="utf-8"))
        return contents["results"], contents["conditions"]

    return run


def expected_of(model, **settings):
    scenes = load_segmentation_dataset(SCENES, "validation", num_samples=2)
    configs = [PauseConfig(), PauseConfig({1: 0.5})]
    results = evaluate_model(model, scenes, configs, image_mean=MEAN, image_std=STD, num_resamples=2000, **settings)
    return json.loads(json.dumps(results).replace("NaN", "null"))


def test_flags_reach_the_evaluation(evaluate, model, capsys):
    flags = "--window_size 40 40 --stride 24 24 --resize_short_side 48 --resize_long_side 80 --scales 0.5 1 --flip"
    results, conditions = evaluate("--dataset", "street_scenes", *flags.split())
    assert results == expected_of(model, **WINDOWS, scales=(0.5, 1.0), flip=True)
    assert results != expected_of(model, **WINDOWS)
    assert conditions.items() >= {**WINDOWS, "scales": [0.5, 1.0], "flip": True, "dtype": "float32"}.items()
    assert "1:0.5" in capsys.readouterr().out


def test_multi_scale_is_written_out_in_the_conditions(evaluate):
    _, conditions = evaluate("--dataset", "street_scenes", "--multi_scale", "--pause_configs", "dense")
    assert conditions["scales"] == list(MULTI_SCALES)
    assert conditions["flip"] is True


def test_windows_and_resizing_come_from_the_recipe_where_no_flag_says_otherwise(evaluate, model, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    lines = [f"eval_{name}: {value}\n" for name, value in WINDOWS.items()]
    recipe.write_text("".join(["num_validation_scenes: 2\nscene_size: [128, 128]\n", *lines]), encoding="utf-8")
    results, conditions = evaluate("--recipe", recipe)
    assert results == expected_of(model, **WINDOWS)
    assert conditions.items() >= WINDOWS.items()
    results, conditions = evaluate("--recipe", recipe, "--window_size", "48", "48")
    assert results == expected_of(model, **{**WINDOWS, "window_size": [48, 48], "stride": None})
    assert conditions["stride"] is None


@pytest.fixture
def broken_folder(tmp_path):
    """Scenes in a folder of the form of `save_to_disk`, of which the second image is cut short."""
    datasets = pytest.importorskip("datasets")
    scenes = load_segmentation_dataset(SCENES, "validation", size=(48, 64), num_samples=3)
    folder = tmp_path / "files"
    folder.mkdir()
    rows = {"id": [], "image": [], "annotation": []}
    for scene in scenes:
        scene.image.save(folder / f"{scene.id}.png")
        datasets.Image().encode_example(scene.annotation)
        rows["id"].append(scene.id)
        rows["image"].append({"bytes": (folder / f"{scene.id}.png").read_bytes(), "path": None})
        rows["annotation"].append(datasets.Image().encode_example(scene.annotation))
    rows["image"][1]["bytes"] = rows["image"][1]["bytes"][:300]
    features = {"id": datasets.Value("string"), "image": datasets.Image(), "annotation": datasets.Image()}
    data = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    datasets.DatasetDict({"validation": data}).save_to_disk(tmp_path / "scenes")
    return tmp_path / "scenes", rows["id"][1]


def test_images_that_cannot_be_read_stop_the_script_or_are_named(evaluate, broken_folder, capsys):
    folder, bad_id = broken_folder
    data = ["--dataset", "street_scenes", "--dataset_path", folder]
    with pytest.raises(SystemExit, match=rf"evaluate\.py: .*{bad_id}"):
        evaluate(*data)
    results, conditions = evaluate(*data, "--on_bad_sample", "skip")
    assert [result["bad_samples"] for result in results] == [[bad_id], [bad_id]]
    assert [result["num_images"] for result in results] == [1, 1]
    assert conditions["on_bad_sample"] == "skip"
    assert f"Left out, because it cannot be read: {bad_id}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name the data set by --dataset, or by the --recipe"),
        (["--dataset", "street_scenes", "--recipe", "recipe.yaml"], "either --dataset or --recipe"),
        (["--dataset", "street_scenes", "--scales", "2", "--multi_scale"], "either --scales or --multi_scale"),
        (["--dataset", "street_scenes", "--scales", "0"], "scales must be one or more positive factors"),
        (["--dataset", "street_scenes", "--resize_long_side", "0"], "resize_long_side must be at least 1, got 0"),
        (["--recipe", "nowhere.yaml"], r"nowhere\.yaml"),
        (["--dataset", "cityscapes"], "cityscapes"),
    ],
)
def test_flags_that_contradict_each_other_end_in_one_sentence(evaluate, arguments, message):
    with pytest.raises(SystemExit, match=message):
        evaluate(*arguments)


@pytest.mark.slow
def test_two_processes_write_what_one_writes(evaluate, broken_folder, tmp_path):
    folder, bad_id = broken_folder
    flags = ["--dataset", "street_scenes", "--dataset_path", folder, "--on_bad_sample", "skip", "--scales", "0.5", "1"]
    random = ["--criteria", "entropy", "random", "--num_random_seeds", "2", "--pause_configs", "dense", "1:0.5"]
    of_one, _ = evaluate(*flags, *random, "--max_samples", "3")
    assert of_one[0]["bad_samples"] == [bad_id]

    output = tmp_path / "of-two.json"
    # With its flag --cpu the launcher starts one process, whatever number it is given; this flag starts as many.
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command = [sys.executable, *launch, SCRIPT, "--model", tmp_path / "model", *flags, *random, "--cpu"]
    command = [str(part) for part in [*command, "--output", output]]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    contents = json.loads(output.read_text(encoding="utf-8"))
    assert contents["conditions"]["num_processes"] == 2
    assert contents["results"] == of_one
    assert ran.stdout.count("mIoU") == 1, "the main process alone reports"
