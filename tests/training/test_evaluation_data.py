# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the data set that a command line names."""

import numpy as np
import pytest

from paumer_hf.data import get_dataset_description, load_segmentation_dataset
from paumer_hf.evaluation.evaluation_arguments import DatasetArguments
from paumer_hf.training import evaluation_data
from paumer_hf.training.evaluation_data import load_evaluation_data


def make(**fields):
    return DatasetArguments(model="model", **fields)


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    lines = ["num_validation_scenes: 2", "num_train_scenes: 3", "scene_size: [64, 96]", "eval_window_size: [40, 40]"]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.fixture
def loaded(monkeypatch):
    """Replaces loading; what it was asked for."""
    asked = []

    def load(description, split, path, revision):
        asked.append((description, split, path, revision))
        return "data"

    monkeypatch.setattr(evaluation_data, "load_segmentation_dataset", load)
    return asked


def test_a_registered_data_set_is_loaded_with_its_own_classes():
    dataset, settings = load_evaluation_data(make(dataset="street_scenes", flip=True), ["one", "two"])
    expected = load_segmentation_dataset(get_dataset_description("street_scenes"), "validation")
    assert len(dataset) == len(expected)
    assert dataset.description == expected.description
    np.testing.assert_array_equal(dataset[1].annotation, expected[1].annotation)
    assert settings["flip"] is True
    assert settings["window_size"] is None


def test_another_data_set_has_the_classes_of_the_model(loaded):
    arguments = make(dataset="someone/rooms", dataset_path="elsewhere", dataset_revision="v1", split="test")
    dataset, _ = load_evaluation_data(arguments, ["floor", "wall"])
    assert dataset == "data"
    ((description, *others),) = loaded
    assert description.id2label == {0: "floor", 1: "wall"}
    assert others == ["test", "elsewhere", "v1"]


def test_a_recipe_gives_data_and_settings_that_flags_change(recipe):
    dataset, settings = load_evaluation_data(make(recipe=recipe), [])
    assert len(dataset) == 2
    assert dataset[0].annotation.shape == (64, 96)
    assert list(settings["window_size"]) == [40, 40]
    dataset, settings = load_evaluation_data(make(recipe=recipe, split="train", window_size=[48, 48]), [])
    assert len(dataset) == 3
    assert settings["window_size"] == [48, 48]


def test_flags_say_where_the_data_of_a_recipe_lies(recipe, monkeypatch):
    read = []
    monkeypatch.setattr(evaluation_data, "load_split", lambda recipe, *_: read.append(recipe))
    load_evaluation_data(make(recipe=recipe, dataset_path="elsewhere", dataset_revision="v1"), [])
    assert (read[0].dataset_path, read[0].dataset_revision) == ("elsewhere", "v1")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Name the data set by --dataset, or by the --recipe of a training"),
        ({"dataset": "street_scenes", "recipe": "any.yaml"}, "by either --dataset or --recipe"),
        ({"dataset": "street_scenes", "multi_scale": True, "scales": [2.0]}, "either --scales or --multi_scale"),
        ({"dataset": "street_scenes", "split": "nothing"}, "nothing"),
    ],
)
def test_what_cannot_be_loaded_is_refused(fields, message):
    with pytest.raises((ValueError, OSError), match=message):
        load_evaluation_data(make(**fields), ["one"])


def test_a_recipe_that_is_missing_is_named():
    with pytest.raises(SystemExit, match=r"nowhere\.yaml"):
        load_evaluation_data(make(recipe="nowhere.yaml"), ["one"])
