# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Operations, memory and room on the disk of a training, against calculations by hand."""

import shutil

import pytest

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.evaluation.macs import count_macs
from paumer_hf.training.memory_estimate import count_step_memory
from paumer_hf.training.recipe import TrainingRecipe
from paumer_hf.training.training_costs import (
    draw_pauses,
    format_bytes,
    training_disk,
    training_macs,
    training_memory,
)


MIB = 2**20


def make_recipe(**values) -> TrainingRecipe:
    return TrainingRecipe(**{"crop_size": [32, 48], "batch_size": 6, "max_steps": 100, **values})


def make_config(**fields) -> PaumerConfig:
    small = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 8, "image_size": 32}
    return PaumerConfig(**{**small, "decoder_num_hidden_layers": 1, **fields})


def test_draws_are_those_of_the_model_in_training():
    fields = {"train_num_pause_layers": [0, 1, 2], "train_pause_layers": [1, 2, 3], "train_pause_seed": 5}
    config = make_config(num_hidden_layers=4, **fields)
    sampler = PaumerForSemanticSegmentation(config).pause_sampler
    draws = draw_pauses(config)
    assert draws == [sampler.draw() for _ in draws]
    assert {len(draw.pause_ratios) for draw in draws} == {0, 1, 2}


def test_operations_of_a_dense_training_are_three_forward_passes_of_each_image():
    config = make_config(train_num_pause_layers=[0])
    macs = training_macs(make_recipe(), config, draw_pauses(config))
    dense = count_macs(config, (32, 48))
    expected = {"dense_crop": dense, "sampled_crop": dense, "step": 3 * 6 * dense, "training": 100 * 18 * dense}
    assert macs == expected
    checkpointing = training_macs(make_recipe(gradient_checkpointing=True), config, draw_pauses(config))
    assert checkpointing["step"] == 4 * 6 * dense


def test_operations_of_pausing_are_the_mean_over_what_is_drawn():
    config = make_config(train_pause_layers=[2], train_num_pause_layers=[0, 1], train_pause_ratios=[0.5, 0.5])
    macs = training_macs(make_recipe(), config, draw_pauses(config))
    dense, paused = (count_macs(config, (32, 48), PauseConfig(ratios)) for ratios in ({}, {2: 0.5}))
    assert paused < dense
    # A share of a half, whose standard deviation over a thousand draws is 0.016.
    assert (macs["sampled_crop"] - paused) / (dense - paused) == pytest.approx(0.5, abs=0.06)


@pytest.fixture(scope="module")
def dense_step():
    """What a dense step of three images takes."""
    return count_step_memory(make_config(), (32, 48), 3, PauseConfig())


@pytest.mark.parametrize(
    ("values", "optimizer", "average"),
    [
        ({"optimizer": "sgd", "momentum": 0.9}, 1, 0),
        ({"optimizer": "sgd", "momentum": 0.0}, 0, 0),
        ({"optimizer": "adamw"}, 2, 0),
        ({"optimizer": "adamw", "ema_decay": 0.99}, 2, 2),
    ],
)
def test_memory_is_that_of_the_weights_several_times_and_of_a_step(values, optimizer, average, dense_step):
    config = make_config(train_num_pause_layers=[0])
    memory = training_memory(make_recipe(**values), config, 10 * MIB, draw_pauses(config), 3)
    assert memory == {
        "weights": 10 * MIB,
        "gradients": 10 * MIB,
        "optimizer": optimizer * 10 * MIB,
        "moving_average": average * 10 * MIB,
        "activations": dense_step.saved,
        "temporary": dense_step.peak - dense_step.saved,
        "all": (2 + optimizer + average) * 10 * MIB + dense_step.peak,
    }


def test_memory_is_that_of_the_configuration_which_needs_most():
    """With many classes the auxiliary loss weighs more than the patches that pause."""
    config = make_config(num_labels=100, train_num_pause_layers=[0, 1])
    draws = draw_pauses(config)
    memory = training_memory(make_recipe(), config, MIB, draws, 1)
    peaks = [count_step_memory(config, (32, 48), 1, draw).peak for draw in (PauseConfig(), *draws[:3])]
    assert memory["activations"] + memory["temporary"] >= max(peaks) > peaks[0]


def test_disk_has_the_kept_checkpoints_and_one_that_is_written_and_the_models(tmp_path):
    values = {"output_dir": str(tmp_path / "not" / "there"), "optimizer": "sgd", "save_steps": 10}
    disk = training_disk(make_recipe(**values, save_total_limit=2), MIB, keeps_start=True)
    assert disk["checkpoint"] == 2 * MIB  # weights and momentum
    assert (disk["checkpoints"], disk["models"], disk["all"]) == (3, 3, (3 * 2 + 3) * MIB)
    assert disk["free"] > 0
    disk = training_disk(make_recipe(**values, ema_decay=0.9, save_total_limit=20), MIB, keeps_start=False)
    assert (disk["checkpoint"], disk["checkpoints"], disk["all"]) == (3 * MIB, 10, 32 * MIB)


def test_too_little_room_on_the_disk_is_an_error(tmp_path, monkeypatch):
    recipe = make_recipe(output_dir=str(tmp_path), save_steps=100, optimizer="sgd")  # 1 x 2 + 2 times the weights
    for free, fits in ((4 * MIB, True), (4 * MIB - 1, False)):
        usage = shutil._ntuple_diskusage(2**40, 0, free)
        monkeypatch.setattr(shutil, "disk_usage", lambda path, usage=usage: usage)
        if fits:
            assert training_disk(recipe, MIB, keeps_start=False)["free"] == free
        else:
            with pytest.raises(OSError, match=r"needs 4\.0 MiB, but only 4\.0 MiB are free"):
                training_disk(recipe, MIB, keeps_start=False)


def test_bytes_in_words():
    assert [format_bytes(number) for number in (0, 3 * MIB // 2, 2**30, 5 * 2**29)] == [
        *("0.0 MiB", "1.5 MiB", "1.00 GiB", "2.50 GiB")
    ]
