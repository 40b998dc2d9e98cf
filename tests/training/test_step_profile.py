# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The profile of a training has the parts that it says, and leaves nothing behind."""

import pytest

from paumer_hf.training import TrainingRecipe
from paumer_hf.training.step_profile import profile_training, recipe_conditions


@pytest.fixture
def recipe(tmp_path):
    small = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "patch_size": 8}
    fields = {"scene_size": [32, 32], "crop_size": [32, 32], "num_train_scenes": 6, "num_workers": 0}
    return TrainingRecipe(output_dir=str(tmp_path / "run"), config_overrides=small, batch_size=2, **fields)


def test_measures_the_loader_and_the_parts_of_a_step(tmp_path, recipe):
    profile = profile_training(recipe, num_steps=3, num_warmup_steps=1, worker_counts=[0], loader_seconds=0.1)
    (loader,) = profile["loader"]
    assert loader["num_workers"] == 0
    assert loader["images_per_second"] > 0
    step = profile["step"]
    assert step["num_steps"] == 3
    assert 0 < step["loading_seconds"] < step["seconds"]
    assert step["forward_backward_seconds"] > 0
    assert step["images_per_second"] == pytest.approx(2 / step["seconds"])
    assert step["other_share"] < 1
    assert not (tmp_path / "run").exists()


def test_conditions_are_the_fields_that_are_not_the_default(recipe):
    conditions = recipe_conditions(recipe)
    assert conditions["batch_size"] == 2
    assert "output_dir" not in conditions
    assert "seed" not in conditions
