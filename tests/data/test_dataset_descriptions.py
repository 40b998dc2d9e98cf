# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Descriptions of data sets: the registered ones, overrides, and what is refused."""

import copy
import dataclasses
from pathlib import Path

import pytest

from paumer_hf.data.dataset_descriptions import (
    DATASET_DESCRIPTIONS,
    DatasetDescription,
    default_palette,
    get_dataset_description,
)


def test_camvid_is_as_its_data_set_says() -> None:
    camvid = get_dataset_description("camvid")
    assert camvid.num_labels == 11
    assert camvid.class_names[:4] == ("sky", "building", "pole", "road")
    assert camvid.label_mapping == {value: value for value in range(11)}
    assert camvid.ignored_values == (11,)
    assert camvid.path is None
    assert "research" in camvid.description


@pytest.mark.parametrize("name", sorted(DATASET_DESCRIPTIONS))
def test_registered_descriptions_are_complete(name: str) -> None:
    description = get_dataset_description(name)
    assert description.name == name
    assert description.description.endswith(".")
    # Two classes of ADE20K are usually drawn in the same grey.
    assert len(set(description.palette)) == description.num_labels - (name == "ade20k")
    assert copy.deepcopy(description) == description
    assert hash(description) == hash(dataclasses.replace(description))


@pytest.mark.parametrize(("name", "num_labels"), [("cityscapes", 19), ("ade20k", 150)])
def test_the_large_data_sets_are_described_as_they_are_prepared(name: str, num_labels: int) -> None:
    description = get_dataset_description(name)
    assert description.num_labels == num_labels
    assert (description.path, description.label_mapping, description.ignored_values) == (None, None, None)
    columns = (description.id_column, description.image_column, description.annotation_column)
    assert columns == ("id", "image", "annotation")
    assert (description.train_split, description.validation_split) == ("train", "validation")


def test_id2label_and_label2id_are_inverses() -> None:
    description = get_dataset_description("street_scenes")
    assert list(description.id2label) == list(range(10))
    assert {description.label2id[name]: name for name in description.label2id} == description.id2label
    assert description.label2id["rider"] == 8


@pytest.mark.parametrize("num_labels", [1, 2, 19, 150, 255])
def test_default_colours_are_distinct(num_labels: int) -> None:
    assert len(set(default_palette(num_labels))) == num_labels


def test_any_other_data_set_is_described_by_keywords() -> None:
    description = get_dataset_description(
        "someone/leaves", class_names=["stem", "leaf"], annotation_column="mask", label_mapping={"7": 1, "3": 0}
    )
    assert (description.name, description.path) == ("leaves", "someone/leaves")
    assert description.class_names == ("stem", "leaf")
    assert description.label_mapping == {7: 1, 3: 0}
    assert description.palette == default_palette(2)


def test_a_folder_may_be_a_path(tmp_path: Path) -> None:
    assert get_dataset_description(tmp_path / "mine", class_names=("a",)).path == str(tmp_path / "mine")


def test_registered_descriptions_can_be_overridden() -> None:
    assert get_dataset_description("camvid", path="elsewhere").path == "elsewhere"
    merged = get_dataset_description("camvid", class_names=("still", "moving"), label_mapping={0: 0, 8: 1})
    assert merged.palette == default_palette(2)
    assert get_dataset_description("camvid").num_labels == 11


def test_what_is_ignored_belongs_to_the_mapping() -> None:
    assert get_dataset_description("camvid", train_split="all").ignored_values == (11,)
    assert get_dataset_description("camvid", label_mapping={0: 0, 8: 1}).ignored_values is None
    both = get_dataset_description("camvid", label_mapping={0: 0, 8: 1}, ignored_values=[11, 1, 11, -1])
    assert both.ignored_values == (-1, 1, 11)
    assert hash(both) != hash(get_dataset_description("camvid"))
    assert get_dataset_description("camvid", label_mapping=None).ignored_values is None


def test_a_known_hub_id_describes_what_is_there() -> None:
    description = get_dataset_description("Chris1/cityscapes_segmentation")
    assert (description.name, description.path) == ("cityscapes", "Chris1/cityscapes_segmentation")
    assert (description.annotation_column, description.annotation_channel) == ("semantic_segmentation", 0)
    assert description.class_names == get_dataset_description("cityscapes").class_names
    assert description.label_mapping == {**description.label_mapping, 7: 0, 33: 18}
    assert get_dataset_description("cityscapes", path="Chris1/cityscapes_segmentation") == description


def test_a_known_hub_id_can_be_overridden() -> None:
    description = get_dataset_description("merve/scene_parse_150", label_mapping={1: 0}, revision="v1")
    assert (description.label_mapping, description.ignored_values) == ({1: 0}, None)
    assert (description.revision, description.id_column) == ("v1", None)
    copied = get_dataset_description("merve/scene_parse_150", path="elsewhere")
    assert (copied.path, copied.label_mapping, copied.id_column) == ("elsewhere", None, "id")


def test_the_hub_id_of_a_script_is_refused() -> None:
    script, message = "zhoubolei/scene_parse_150", r"made by a script.*take 'merve/scene_parse_150'"
    with pytest.raises(ValueError, match=message):
        get_dataset_description("ade20k", path=script)
    with pytest.raises(ValueError, match=message):
        get_dataset_description(script, class_names=("a",))
    with pytest.raises(ValueError, match=message):
        get_dataset_description("scene_parse_150")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"'camvit' is no registered data set; .*'ade20k', 'camvid', 'cityscapes', .*class_names"
    ):
        get_dataset_description("camvit")


def test_an_unknown_field_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"colours: no such field.*'palette'"):
        get_dataset_description("camvid", colours=())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"class_names": ()}, "class_names must list 1 to 255 names"),
        ({"class_names": "ab"}, "class_names must list 1 to 255 names"),
        ({"class_names": [str(label) for label in range(256)]}, "class_names must list 1 to 255 names"),
        ({"class_names": ("a", "b", "a")}, r"class_names must differ from each other, got \['a'\]"),
        ({"palette": ((0, 0, 0),)}, "palette must have one colour per class, got 1 colours for 2"),
        ({"palette": ((0, 0, 0), (0, 0, 256))}, r"palette must hold .* got \(0, 0, 256\)"),
        ({"palette": ((0, 0, 0), (0, 0))}, r"palette must hold .* got \(0, 0\)"),
        ({"label_mapping": {0: 2}}, r"label_mapping must map to classes from 0 to 1, got 0 -> 2"),
        ({"label_mapping": {0: 255}}, r"label_mapping must map to classes from 0 to 1, got 0 -> 255"),
        ({"label_mapping": {65536: 0}}, "label_mapping must map raw values from 0 to 65535, got 65536"),
        ({"label_mapping": {0: 0}, "ignored_values": (1, 0)}, r"must not share a value, got \[0\] in both"),
        ({"label_mapping": {0: 0}, "ignored_values": (-2,)}, "must hold raw values from -1 to 65535, got -2"),
        ({"label_mapping": {0: 0}, "ignored_values": (65536,)}, "must hold raw values from -1 to 65535, got 65536"),
        ({"label_mapping": {0: 0}, "ignored_values": "11"}, "ignored_values must be a sequence of integers, got '11'"),
        ({"label_mapping": {0: 0}, "ignored_values": 11}, "ignored_values must be a sequence of integers, got 11"),
        ({"label_mapping": {0: 0}, "ignored_values": [1.5]}, r"must be a sequence of integers, got \[1.5\]"),
        ({"ignored_values": (11,)}, "ignored_values needs a label_mapping"),
        ({"annotation_channel": 4}, "annotation_channel must be from 0 to 3, .* got 4"),
        ({"annotation_channel": -1}, "annotation_channel must be from 0 to 3, .* got -1"),
        ({"annotation_channel": True}, "annotation_channel must be from 0 to 3, .* got True"),
        ({"revision": ""}, "revision must be a commit, tag or branch, or None .* got ''"),
        ({"revision": 1234567}, "revision must be .* got 1234567; put quotes around"),
        ({"name": ""}, "name must be a non-empty string"),
        ({"image_column": None}, "image_column must be a non-empty string"),
    ],
)
def test_fields_are_checked(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetDescription(**{"name": "pair", "class_names": ("a", "b"), **fields})
