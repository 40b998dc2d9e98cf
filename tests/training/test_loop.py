# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The training loop: it learns, it writes what it says, and an interruption changes nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.state import AcceleratorState, PartialState
from safetensors.torch import load_file
from transformers import AutoModelForSemanticSegmentation, ViTConfig, ViTModel
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from paumer_hf.training import TrainingRecipe, train
from paumer_hf.training import loop as loop_module


ROOT = Path(__file__).parents[2]
TINY_MODEL = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "patch_size": 8,
    "decoder_num_hidden_layers": 1,
    "hidden_dropout_prob": 0.1,
    "drop_path_rate": 0.1,
}


def tiny_recipe(output_dir: Path, **values) -> TrainingRecipe:
    fields = {
        "output_dir": str(output_dir),
        "scene_size": [32, 32],
        "crop_size": [32, 32],
        "num_train_scenes": 6,
        "num_validation_scenes": 2,
        "config_overrides": TINY_MODEL,
        "max_steps": 6,
        "batch_size": 4,
        "warmup_steps": 1,
        "learning_rate": 1e-3,
        "max_grad_norm": 1.0,
        "num_workers": 0,
        "logging_steps": 2,
        "eval_steps": 3,
        "eval_pause_configs": ["dense", "3:0.5"],
        "save_steps": 2,
    }
    return TrainingRecipe(**{**fields, **values})


def run(recipe: TrainingRecipe):
    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState._reset_state()
    return train(recipe)


def weights(output_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(output_dir / "last" / "model.safetensors")


def assert_same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_writes_models_log_results_and_the_last_checkpoints(tmp_path):
    results = run(tiny_recipe(tmp_path / "run", save_total_limit=1))
    output = tmp_path / "run"
    assert [path.name for path in (output / "checkpoints").iterdir()] == ["step-00000006"]
    assert json.loads((output / "results.json").read_text())["step"] == results["step"] == 6
    assert [result["pause_config"] for result in results["evaluation"]] == ["", "3:0.5"]
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [2, 4, 6]
    assert [line["step"] for line in lines if "mean_iou dense" in line] == [3, 6]
    for name in ("best", "last"):
        model = AutoModelForSemanticSegmentation.from_pretrained(output / name)
        assert model.config.id2label[0] == "sky"
        assert AutoImageProcessor.from_pretrained(output / name).size["height"] == 32


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    run(tiny_recipe(tmp_path / "whole"))
    calls = []

    def interrupted_save(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        save_checkpoint(*arguments)

    save_checkpoint = loop_module.save_checkpoint
    monkeypatch.setattr(loop_module, "save_checkpoint", interrupted_save)
    with pytest.raises(KeyboardInterrupt):
        run(tiny_recipe(tmp_path / "killed"))
    monkeypatch.undo()
    assert not (tmp_path / "killed" / "last").exists()
    torch.manual_seed(99)
    run(tiny_recipe(tmp_path / "killed", resume=True))
    assert_same_weights(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def test_accumulated_batches_add_up_to_one_step(tmp_path):
    """Without dropout and with one pause configuration, two halves of a batch give the gradient of the whole."""
    model = {**TINY_MODEL, "hidden_dropout_prob": 0.0, "drop_path_rate": 0.0, "decoder_dropout_prob": 0.0}
    options = {
        "config_overrides": model,
        "train_num_pause_layers": [0],
        "cat_max_ratio": 1.0,
        "scale_range": [1.0, 1.0],
        "max_steps": 2,
        "optimizer": "sgd",
    }
    run(tiny_recipe(tmp_path / "whole", **options))
    run(tiny_recipe(tmp_path / "halves", **options, gradient_accumulation_steps=2))
    whole, halves = weights(tmp_path / "whole"), weights(tmp_path / "halves")
    for name, value in whole.items():
        torch.testing.assert_close(halves[name], value, rtol=1e-3, atol=1e-5)


def test_sampling_of_several_layers_and_the_random_criterion_reach_the_model(tmp_path):
    options = {"train_num_pause_layers": [2], "train_pause_layers": [1, 2, 3], "train_pause_criterion": "random"}
    run(tiny_recipe(tmp_path, **options, max_steps=2))
    config = AutoModelForSemanticSegmentation.from_pretrained(tmp_path / "last").config
    assert (config.train_num_pause_layers, config.train_pause_criterion) == ([2], "random")


def test_starts_from_a_checkpoint(tmp_path):
    run(tiny_recipe(tmp_path / "first", max_steps=2))
    recipe = tiny_recipe(
        tmp_path / "second",
        init_from=str(tmp_path / "first" / "last"),
        config_overrides=None,
        train_num_pause_layers=[1, 2],
        train_pause_layers=[2, 3],
        learning_rate=1e-12,
        max_steps=2,
    )
    run(recipe)
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def test_starts_from_weights_of_another_origin_and_goes_on_without_them(tmp_path, capsys):
    source = ViTConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=24, image_size=32, patch_size=8
    )
    ViTModel(source, add_pooling_layer=False).save_pretrained(tmp_path / "vit")
    options = {"init_from": str(tmp_path / "vit"), "config_overrides": {"decoder_num_hidden_layers": 1}}
    run(tiny_recipe(tmp_path / "run", **options, max_steps=2, save_steps=2))
    printed = capsys.readouterr().out
    assert "(hugging_face); the decoder and the auxiliary head are new." in printed
    assert "No preprocessor_config.json was found" in printed
    started = load_file(tmp_path / "run" / "start" / "model.safetensors")
    original = load_file(tmp_path / "vit" / "model.safetensors")
    assert started["paumer.layernorm.bias"].equal(original["layernorm.bias"])
    shutil.rmtree(tmp_path / "vit")
    run(tiny_recipe(tmp_path / "run", **options, max_steps=4, save_steps=2, resume=True))
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["init_from"] == options["init_from"]


def test_learns(tmp_path):
    model = {**TINY_MODEL, "hidden_size": 32, "hidden_dropout_prob": 0.0, "drop_path_rate": 0.0}
    run(
        tiny_recipe(
            tmp_path,
            config_overrides=model,
            max_steps=120,
            logging_steps=10,
            eval_steps=120,
            save_steps=120,
            learning_rate=3e-3,
        )
    )
    losses = [json.loads(line).get("loss") for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [loss for loss in losses if loss is not None]
    assert losses[-1] < 0.75 * losses[0]


def test_refuses_to_write_over_another_training(tmp_path):
    run(tiny_recipe(tmp_path, max_steps=2))
    with pytest.raises(FileExistsError, match="holds checkpoints of another training"):
        run(tiny_recipe(tmp_path, max_steps=2))
    with pytest.raises(ValueError, match="has done 2 steps"):
        run(tiny_recipe(tmp_path, max_steps=2, resume=True))


def test_refuses_a_pause_configuration_that_the_model_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="names layer 7, but the model has 4 layers"):
        run(tiny_recipe(tmp_path, eval_pause_configs=["7:0.4"]))


def test_a_diverged_training_stops(tmp_path):
    with pytest.raises(FloatingPointError, match="The loss is nan"):
        run(tiny_recipe(tmp_path, learning_rate=1e30, max_grad_norm=None, warmup_steps=0, optimizer="sgd"))


@pytest.mark.slow
def test_a_training_killed_by_sigkill_ends_with_the_same_weights(tmp_path):
    """The processes are those of a user: `accelerate launch`, loader processes, SIGKILL in the middle of a step."""
    recipe = tiny_recipe(tmp_path, max_steps=40, save_steps=4, eval_steps=20, num_workers=1)

    def command(name: str, *flags: str) -> list[str]:
        arguments = ["--output_dir", str(tmp_path / name), *flags]
        for field in ("scene_size", "crop_size", "eval_pause_configs"):
            arguments += [f"--{field}", *(str(item) for item in getattr(recipe, field))]
        for field in ("num_train_scenes", "max_steps", "batch_size", "save_steps", "eval_steps", "num_workers"):
            arguments += [f"--{field}", str(getattr(recipe, field))]
        arguments += ["--num_validation_scenes", "2", "--config_overrides", json.dumps(TINY_MODEL)]
        launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
        return [*launch, str(ROOT / "scripts" / "train.py"), *arguments]

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    subprocess.run(command("whole"), check=True, env=environment, capture_output=True)
    process = subprocess.Popen(
        command("killed"),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "checkpoints" / "step-00000012").exists():
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "last").exists()
    subprocess.run(command("killed", "--resume"), check=True, env=environment, capture_output=True)
    assert_same_weights(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
