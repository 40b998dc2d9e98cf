# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The number of processes decides how fast a training is, and nothing else."""

import json

import pytest
import torch
from safetensors.torch import load_file


# Each process drops units of its own; without dropout the processes together compute what one does.
EXACT_MODEL = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "patch_size": 8,
    "decoder_num_hidden_layers": 1,
    "decoder_dropout_prob": 0.0,
}


def read_log(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.fixture
def run_with(tmp_path, train_command, run_process):
    """A function that trains on a number of processes and returns the folder of the training."""

    def run(num_processes, max_steps, launcher=(), **fields):
        folder = tmp_path / f"on_{num_processes}_{len(list(tmp_path.iterdir()))}"
        exact = {"config_overrides": EXACT_MODEL, "batch_size": 6, "save_steps": 1000, "eval_steps": 1000}
        exact |= {"max_steps": max_steps, "logging_steps": 1, "cat_max_ratio": 0.75, "num_train_scenes": 30}
        command = train_command(num_processes, launcher, **{**exact, **fields}, output_dir=str(folder))
        run_process(command)
        state = json.loads((folder / "checkpoints" / f"step-{max_steps:08d}" / "training_state.json").read_text())
        assert state["num_processes"] == num_processes
        return folder

    return run


def compare(one, other, rtol=1e-4):
    losses, others = read_log(one), read_log(other)
    assert len(losses) == len(others) > 0
    torch.testing.assert_close(torch.tensor(others), torch.tensor(losses), rtol=rtol, atol=0)


@pytest.mark.slow
def test_two_processes_train_as_one_does(run_with):
    """The same loss in each of 50 steps; of the evaluation, `test_semantic_evaluation_distributed.py` says it."""
    one, two = run_with(1, 50), run_with(2, 50)
    compare(one, two)


@pytest.mark.slow
def test_processes_that_do_not_divide_the_batch_train_as_one_does(run_with):
    """Batches of 6 on 4 processes are parts of 1 and 2 images; parts of one image at a time are accumulated."""
    one, four, parts = run_with(1, 10), run_with(4, 10), run_with(2, 10, per_device_batch_size=1)
    compare(one, four)
    compare(one, parts)


@pytest.mark.slow
def test_a_training_goes_on_with_another_number_of_processes(run_with, train_command, run_process, tmp_path):
    fields = {"config_overrides": EXACT_MODEL, "batch_size": 6, "eval_steps": 1000, "logging_steps": 1}
    fields |= {"cat_max_ratio": 0.75, "num_train_scenes": 30, "save_steps": 6, "max_steps": 12}
    output = str(tmp_path / "changing")
    run_process(train_command(2, **{**fields, "max_steps": 6, "lr_schedule": "constant"}, output_dir=output))
    fields["lr_schedule"] = "constant"
    run_process([*train_command(1, **fields, output_dir=output), "--resume"])
    steady = run_with(1, 12, lr_schedule="constant")
    compare(steady, tmp_path / "changing")


@pytest.mark.slow
def test_weights_shared_by_fsdp_train_as_whole_ones_do(run_with):
    # Adam divides gradients that are zero but for rounding by their own size; plain steps keep them small.
    fields = {"ema_decay": 0.9, "optimizer": "sgd", "learning_rate": 0.05}
    one = run_with(1, 8, **fields)
    launcher = ("--use_fsdp", "--fsdp_version", "2", "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP")
    launcher += ("--fsdp_transformer_layer_cls_to_wrap", "PaumerLayer")
    shared = run_with(2, 8, launcher, **fields)
    compare(one, shared)
    first, second = (load_file(folder / "last" / "model.safetensors") for folder in (one, shared))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-3, atol=1e-5)
