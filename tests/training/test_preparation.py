# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From a recipe to data, model and processor."""

import pytest
import torch

from paumer_hf import PauseConfig
from paumer_hf.training.preparation import (
    describe_dataset,
    load_split,
    make_model,
    make_processor,
    make_transform,
    read_pause_config,
)
from paumer_hf.training.recipe import TrainingRecipe


SMALL = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}


def test_a_recipe_can_describe_any_data_set():
    recipe = TrainingRecipe(
        dataset="mine",
        dataset_path="somewhere",
        image_column="picture",
        annotation_column="mask",
        class_names=["floor", "wall"],
        label_mapping={7: 0, 9: 1},
        validation_split="test",
    )
    description = describe_dataset(recipe)
    assert description.id2label == {0: "floor", 1: "wall"}
    assert (description.image_column, description.annotation_column) == ("picture", "mask")
    assert (description.train_split, description.validation_split) == ("train", "test")
    assert description.label_mapping == {7: 0, 9: 1}


def test_generated_scenes_have_the_size_and_number_of_the_recipe():
    recipe = TrainingRecipe(scene_size=[32, 48], num_train_scenes=3, num_validation_scenes=2)
    description = describe_dataset(recipe)
    train, validation = (load_split(recipe, description, split) for split in ("train", "validation"))
    assert (len(train), len(validation)) == (3, 2)
    assert train[0].annotation.shape == (32, 48)


def test_the_model_has_the_classes_of_the_data_and_the_sampling_of_the_recipe():
    recipe = TrainingRecipe(config_overrides=SMALL, train_num_pause_layers=[1], train_pause_ratios=[0.1, 0.2], seed=7)
    description = describe_dataset(recipe)
    model = make_model(recipe, description)
    assert model.config.id2label == description.id2label
    assert (model.config.train_pause_ratios, model.config.train_pause_seed) == ([0.1, 0.2], 7)
    assert tuple(model.config.image_size) == (512, 512)


def test_starting_from_a_checkpoint_keeps_its_weights_and_takes_the_new_sampling(tmp_path):
    recipe = TrainingRecipe(config_overrides=SMALL)
    description = describe_dataset(recipe)
    first = make_model(recipe, description)
    first.save_pretrained(tmp_path)
    second = make_model(TrainingRecipe(init_from=str(tmp_path), train_pause_criterion="random"), description)
    assert second.config.train_pause_criterion == "random"
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def test_a_checkpoint_of_other_classes_is_refused(tmp_path):
    make_model(TrainingRecipe(config_overrides=SMALL), describe_dataset(TrainingRecipe())).save_pretrained(tmp_path)
    recipe = TrainingRecipe(init_from=str(tmp_path), dataset="camvid")
    with pytest.raises(ValueError, match="has 10 classes, but the data set 'camvid' has 11"):
        make_model(recipe, describe_dataset(recipe))


def test_processor_and_transform_normalise_alike():
    recipe = TrainingRecipe(crop_size=[32, 48], image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6])
    processor, transform = make_processor(recipe, patch_size=8), make_transform(recipe)
    assert tuple(processor.image_mean) == transform.image_mean
    assert tuple(processor.image_std) == transform.image_std
    assert processor.size_divisor == 8
    assert (processor.size["height"], processor.size["width"]) == transform.crop_size == (32, 48)


def test_pause_configurations_from_text():
    assert read_pause_config("dense") == PauseConfig()
    assert read_pause_config("3:0.4") == PauseConfig({3: 0.4})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"config_overrides": {"drop_path": 0.5}}, "`config_overrides` has the unknown field 'drop_path'"),
        ({"config_overrides": {"drop_path_rate": 2}}, "`drop_path_rate` must lie in"),
        ({"train_pause_layers": [20]}, "`train_pause_layers` must be different layers from 1 to 11"),
    ],
)
def test_fields_that_make_no_model_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        make_model(TrainingRecipe(**values), describe_dataset(TrainingRecipe()))


def test_a_half_precision_checkpoint_is_trained_in_float32(tmp_path):
    description = describe_dataset(TrainingRecipe())
    make_model(TrainingRecipe(config_overrides=SMALL), description).to(torch.bfloat16).save_pretrained(tmp_path)
    assert make_model(TrainingRecipe(init_from=str(tmp_path)), description).dtype == torch.float32
