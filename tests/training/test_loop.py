# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The training loop: it learns, it writes what it says, and an interruption changes nothing."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.state import AcceleratorState, PartialState
from safetensors.torch import load_file
from transformers import AutoModelForSemanticSegmentation, ViTConfig, ViTModel
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from paumer_hf.data import BadSampleError
from paumer_hf.training import TrainingPreempted, TrainingRecipe, train
from paumer_hf.training import loop as loop_module


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a training that nothing interrupted, and the results that it returned."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(tiny_recipe(folder, save_total_limit=1))


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """The folder of the same training with an average of the weights."""
    folder = tmp_path_factory.mktemp("averaged")
    run(tiny_recipe(folder, ema_decay=0.9))
    return folder


def test_writes_models_log_results_and_the_last_checkpoints(whole):
    output, results = whole
    state = json.loads((output / "checkpoints" / "step-00000006" / "training_state.json").read_text())
    best = f"step-{state['best_step'] or 6:08d}"
    assert {path.name for path in (output / "checkpoints").iterdir()} == {"step-00000006", best}
    assert json.loads((output / "results.json").read_text())["step"] == results["step"] == 6
    assert [result["pause_config"] for result in results["evaluation"]] == ["", "3:0.5"]
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [2, 3, 4, 6]
    assert [line["step"] for line in lines if "mean_iou dense" in line] == [3, 6]
    for name in ("best", "last"):
        model = AutoModelForSemanticSegmentation.from_pretrained(output / name)
        assert model.config.id2label[0] == "sky"
        assert AutoImageProcessor.from_pretrained(output / name).size["height"] == 32


def test_an_interrupted_training_ends_with_the_same_weights(whole, tmp_path, monkeypatch):
    calls = []

    def interrupted_save(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        save_checkpoint(*arguments, **options)

    save_checkpoint = loop_module.save_checkpoint
    monkeypatch.setattr(loop_module, "save_checkpoint", interrupted_save)
    with pytest.raises(KeyboardInterrupt):
        run(tiny_recipe(tmp_path / "killed"))
    monkeypatch.undo()
    assert not (tmp_path / "killed" / "last").exists()
    torch.manual_seed(99)
    run(tiny_recipe(tmp_path / "killed", resume=True))
    assert_same_weights(weights(whole[0]), weights(tmp_path / "killed"))


def test_sigterm_ends_a_training_after_its_step_with_a_checkpoint(whole, tmp_path, monkeypatch):
    def be_ended(state, log, parts):
        if state.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(loop_module, "note_skipped", be_ended)
    with pytest.raises(TrainingPreempted, match="SIGTERM ended the training after step 3; go on with --resume"):
        run(tiny_recipe(tmp_path / "ended", save_steps=100))
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "ended" / "checkpoints").iterdir()] == ["step-00000003"]
    assert not (tmp_path / "ended" / "last").exists()
    run(tiny_recipe(tmp_path / "ended", save_steps=100, resume=True))
    assert_same_weights(weights(whole[0]), weights(tmp_path / "ended"))


def test_sigterm_in_an_evaluation_leaves_it_to_be_done_again(whole, tmp_path, monkeypatch):
    evaluate = loop_module.evaluate_model
    calls = []

    def be_ended(*arguments, **options):
        calls.append(options)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(*arguments, **options)

    monkeypatch.setattr(loop_module, "evaluate_model", be_ended)
    with pytest.raises(TrainingPreempted, match="in an evaluation"):
        run(tiny_recipe(tmp_path / "ended"))
    monkeypatch.undo()
    assert not (tmp_path / "ended" / "last").exists()
    results = run(tiny_recipe(tmp_path / "ended", resume=True))
    assert results["step"] == 6
    assert_same_weights(weights(whole[0]), weights(tmp_path / "ended"))
    lines = [json.loads(line) for line in (tmp_path / "ended" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "mean_iou dense" in line] == [3, 6]
    with pytest.raises(ValueError, match="has done 6 steps"):
        run(tiny_recipe(tmp_path / "ended", resume=True))


def test_a_start_that_is_gone_is_not_needed_to_go_on(tmp_path):
    run(tiny_recipe(tmp_path / "first", max_steps=2))
    options = {"init_from": str(tmp_path / "first" / "last"), "config_overrides": None}
    run(tiny_recipe(tmp_path / "second", **options, max_steps=2))
    shutil.rmtree(tmp_path / "first")
    run(tiny_recipe(tmp_path / "second", **options, max_steps=4, resume=True))
    assert (tmp_path / "second" / "last").exists()


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
    run(tiny_recipe(tmp_path / "halves", **options, per_device_batch_size=2))
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
            num_train_scenes=2,
            batch_size=2,
            cat_max_ratio=1.0,
            scale_range=[1.0, 1.0],
            max_steps=60,
            logging_steps=10,
            eval_steps=60,
            save_steps=60,
            learning_rate=6e-3,
        )
    )
    losses = [json.loads(line).get("loss") for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [loss for loss in losses if loss is not None]
    assert losses[-1] < 0.7 * losses[0]


def test_refuses_to_write_over_another_training(tmp_path):
    run(tiny_recipe(tmp_path, max_steps=2))
    with pytest.raises(FileExistsError, match="holds checkpoints of another training"):
        run(tiny_recipe(tmp_path, max_steps=2))
    with pytest.raises(ValueError, match="has done 2 steps"):
        run(tiny_recipe(tmp_path, max_steps=2, resume=True))


def test_refuses_a_pause_configuration_that_the_model_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="layer 7"):
        run(tiny_recipe(tmp_path, eval_pause_configs=["7:0.4"]))


def test_a_diverged_training_stops(tmp_path):
    with pytest.raises(FloatingPointError, match="The loss is nan"):
        run(tiny_recipe(tmp_path, learning_rate=1e30, max_grad_norm=None, warmup_steps=0, optimizer="sgd"))


def test_skips_nothing_twice_and_counts_what_it_skipped(tmp_path, monkeypatch):
    dataset_class = loop_module.load_split.__globals__["SegmentationDataset"]
    read = dataset_class.__getitem__

    def fail_for_one(self, index):
        sample = read(self, index)
        if sample.id == "train-00001":
            raise BadSampleError("sample 'train-00001': it is damaged.", "train-00001")
        return sample

    monkeypatch.setattr(dataset_class, "__getitem__", fail_for_one)
    with pytest.raises(ValueError, match="'train-00001': it is damaged"):
        run(tiny_recipe(tmp_path / "stops"))
    results = run(tiny_recipe(tmp_path / "skips", on_bad_sample="skip"))
    assert results["bad_samples"] == ["train-00001"]
    assert json.loads((tmp_path / "skips" / "results.json").read_text())["bad_samples"] == ["train-00001"]


def test_an_average_of_the_weights_is_what_is_saved(whole, averaged):
    checkpoint = averaged / "checkpoints" / "step-00000006"
    without, average = weights(whole[0]), weights(averaged)
    assert_same_weights(without, load_file(checkpoint / "model.safetensors"))  # the training itself does not change
    assert_same_weights(average, {**without, **load_file(checkpoint / "ema.safetensors")})
    assert any(not torch.equal(average[name], value) for name, value in without.items())


def test_an_average_goes_on_after_an_interruption(averaged, tmp_path):
    shutil.copytree(averaged / "checkpoints", tmp_path / "checkpoints")
    shutil.rmtree(tmp_path / "checkpoints" / "step-00000006")
    run(tiny_recipe(tmp_path, ema_decay=0.9, resume=True))
    assert_same_weights(weights(averaged), weights(tmp_path))


def test_the_order_of_the_pauses_does_not_depend_on_the_accumulation(tmp_path):
    for name, size in (("whole", None), ("parts", 1)):
        run(tiny_recipe(tmp_path / name, per_device_batch_size=size, max_steps=4))
    states = [
        json.loads((tmp_path / name / "checkpoints" / "step-00000004" / "training_state.json").read_text())
        for name in ("whole", "parts")
    ]
    assert [state["pause_sampler"]["num_drawn"] for state in states] == [4, 4]


def test_says_which_fields_have_changed_when_it_goes_on(tmp_path, capsys):
    run(tiny_recipe(tmp_path, max_steps=2))
    capsys.readouterr()
    run(tiny_recipe(tmp_path, max_steps=4, learning_rate=5e-4, resume=True))
    printed = capsys.readouterr().out
    assert "`max_steps` was 2 when the checkpoint was written and is 4 now." in printed
    assert "`learning_rate` was 0.001" in printed
    assert "`resume`" not in printed


def test_refuses_a_checkpoint_of_another_model(tmp_path):
    run(tiny_recipe(tmp_path, max_steps=2))
    wider = {**TINY_MODEL, "hidden_size": 32}
    with pytest.raises(ValueError, match="is of another model"):
        run(tiny_recipe(tmp_path, max_steps=4, config_overrides=wider, resume=True))
    with pytest.raises(ValueError, match="which belong to another `optimizer`"):
        run(tiny_recipe(tmp_path, max_steps=4, optimizer="sgd", resume=True))
    with pytest.raises(ValueError, match="holds no average of the weights, but `ema_decay` is set"):
        run(tiny_recipe(tmp_path, max_steps=4, ema_decay=0.9, resume=True))
