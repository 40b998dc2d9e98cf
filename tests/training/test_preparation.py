# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From a recipe to data, model and processor."""

import dataclasses

import pytest
import torch
from transformers import DINOv3ViTConfig, DINOv3ViTModel, ViTConfig, ViTModel

from paumer_hf import PauseConfig
from paumer_hf.training import preparation
from paumer_hf.training.preparation import (
    describe_dataset,
    load_split,
    make_model,
    make_processor,
    make_transform,
    normalisation,
    num_accumulated_batches,
    read_eval_pause_configs,
    read_starting_weights,
    with_dataset_revision,
    with_normalisation,
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


def test_the_measured_profile_of_a_checkpoint_does_not_hold_for_what_is_trained_from_it(tmp_path):
    recipe = TrainingRecipe(config_overrides=SMALL)
    first = make_model(recipe, describe_dataset(recipe))
    first.pause_presets = {"fast": PauseConfig({1: 0.5})}
    first.pause_profile = {"points": [{"pause_config": {}, "speedup": 1.0}], "conditions": {}}
    first.save_pretrained(tmp_path)
    second = make_model(TrainingRecipe(init_from=str(tmp_path)), describe_dataset(recipe))
    assert second.pause_profile is None
    assert second.pause_presets == first.pause_presets


def test_a_checkpoint_of_other_classes_is_refused(tmp_path):
    make_model(TrainingRecipe(config_overrides=SMALL), describe_dataset(TrainingRecipe())).save_pretrained(tmp_path)
    recipe = TrainingRecipe(init_from=str(tmp_path), dataset="camvid")
    with pytest.raises(ValueError, match="has 10 classes, but the data set 'camvid' has 11"):
        make_model(recipe, describe_dataset(recipe))


@pytest.fixture
def dino(tmp_path):
    """A small DINOv3 as transformers saves it."""
    config = DINOv3ViTConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64, patch_size=8, image_size=64
    )
    DINOv3ViTModel(config).save_pretrained(tmp_path / "dino")
    return str(tmp_path / "dino")


def test_starting_from_weights_of_another_origin(dino):
    recipe = TrainingRecipe(init_from=dino, train_num_pause_layers=[0, 1], config_overrides={"drop_path_rate": 0.1})
    description, weights = describe_dataset(recipe), read_starting_weights(recipe)
    model = make_model(recipe, description, weights)
    assert model.config.id2label == description.id2label
    assert (model.config.position_embedding_type, model.config.drop_path_rate) == ("rotary", 0.1)
    assert list(model.config.train_num_pause_layers) == [0, 1]
    for name, value in weights.state_dict.items():
        assert model.state_dict()[name].equal(value)
    again = make_model(recipe, description)
    assert again.paumer.layernorm.weight.equal(model.paumer.layernorm.weight)
    assert normalisation(recipe, weights) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    resolved = with_normalisation(recipe, weights)
    assert (resolved.image_mean, resolved.image_std) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def test_position_embeddings_are_learned_on_for_the_crops(tmp_path):
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64, patch_size=8, image_size=64
    )
    ViTModel(config).save_pretrained(tmp_path / "vit")
    recipe = TrainingRecipe(init_from=str(tmp_path / "vit"), crop_size=[32, 48])
    assert make_model(recipe, describe_dataset(recipe)).config.patch_grid == (4, 6)


def test_weights_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    for name, message in (("broken.pth", "cannot be read"), ("missing", "neither an existing file or folder")):
        recipe = TrainingRecipe(init_from=str(tmp_path / name))
        with pytest.raises(ValueError, match=message):
            make_model(recipe, describe_dataset(recipe))


def test_the_normalisation_of_a_checkpoint_is_kept_unless_the_recipe_says_another(tmp_path):
    recipe = TrainingRecipe(config_overrides=SMALL, image_mean=[0.1, 0.2, 0.3])
    make_model(recipe, describe_dataset(recipe)).save_pretrained(tmp_path)
    assert normalisation(TrainingRecipe(init_from=str(tmp_path))) == ((0.5,) * 3, (0.5,) * 3)
    make_processor(recipe, patch_size=8).save_pretrained(tmp_path)
    assert normalisation(TrainingRecipe(init_from=str(tmp_path))) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    other = TrainingRecipe(init_from=str(tmp_path), image_mean=[0.4, 0.4, 0.4])
    assert normalisation(other) == ((0.4, 0.4, 0.4), (0.5, 0.5, 0.5))
    assert with_normalisation(other).image_std == [0.5, 0.5, 0.5]


def test_processor_and_transform_normalise_alike():
    recipe = TrainingRecipe(crop_size=[32, 48], image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6])
    processor, transform = make_processor(recipe, patch_size=8), make_transform(recipe)
    assert tuple(processor.image_mean) == transform.image_mean
    assert tuple(processor.image_std) == transform.image_std
    assert processor.size_divisor == 8
    assert (processor.size["height"], processor.size["width"]) == transform.crop_size == (32, 48)


def test_a_training_is_evaluated_with_the_criterion_that_it_trains():
    recipe = TrainingRecipe(config_overrides=SMALL, eval_pause_configs=["dense", "3:0.4"], seed=5)
    model = make_model(recipe, describe_dataset(recipe))
    assert read_eval_pause_configs(recipe, model) == [PauseConfig(), PauseConfig({3: 0.4})]
    at_random = dataclasses.replace(recipe, train_pause_criterion="random")
    expected = [PauseConfig(), PauseConfig({3: 0.4}, criterion="random", seed=5)]
    assert read_eval_pause_configs(at_random, model) == expected


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


def test_a_model_that_ignores_another_label_than_the_data_is_refused():
    recipe = TrainingRecipe(config_overrides={**SMALL, "semantic_loss_ignore_index": 0})
    with pytest.raises(ValueError, match="`semantic_loss_ignore_index` must be 255 in training"):
        make_model(recipe, describe_dataset(recipe))


@pytest.mark.parametrize(
    ("batch_size", "num_processes", "per_device", "expected"),
    [(8, 1, None, 1), (8, 8, None, 1), (8, 1, 2, 4), (8, 2, 2, 2), (8, 3, 1, 3), (8, 2, 100, 1)],
)
def test_accumulation_fills_the_batch_up(batch_size, num_processes, per_device, expected):
    assert num_accumulated_batches(batch_size, num_processes, per_device) == expected


def test_more_processes_than_images_are_refused():
    with pytest.raises(ValueError, match="`batch_size` must be at least the number of processes, but is 2 with 3"):
        num_accumulated_batches(2, 3, None)


def test_a_hub_data_set_is_pinned_to_its_commit_and_stays_there(monkeypatch):
    commits = {None: "newest", "v1": "first", "newest": "newest", "older": "older"}
    monkeypatch.setattr(preparation, "resolve_revision", lambda path, revision: commits[revision])
    recipe = TrainingRecipe(dataset="mine", dataset_path="me/mine", class_names=["a"])
    assert with_dataset_revision(recipe, None).dataset_revision == "newest"
    tagged = dataclasses.replace(recipe, dataset_revision="v1")
    assert with_dataset_revision(tagged, None).dataset_revision == "first"
    previous = {"dataset_path": "me/mine", "dataset_revision": "older"}
    assert with_dataset_revision(recipe, previous).dataset_revision == "older"
    elsewhere = {"dataset_path": "me/other", "dataset_revision": "older"}
    assert with_dataset_revision(recipe, elsewhere).dataset_revision == "newest"
    drawn = TrainingRecipe()
    assert with_dataset_revision(drawn, None) == drawn
