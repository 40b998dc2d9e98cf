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
    assert camvid.path is None
    assert "research" in camvid.description


@pytest.mark.parametrize("name", sorted(DATASET_DESCRIPTIONS))
def test_registered_descriptions_are_complete(name: str) -> None:
    description = get_dataset_description(name)
    assert description.name == name
    assert description.description.endswith(".")
    assert len(set(description.palette)) == description.num_labels
    assert copy.deepcopy(description) == description
    assert hash(description) == hash(dataclasses.replace(description))


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


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"'camvit' is no registered data set; .*'camvid', 'street_scenes'.*class_names"
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
        ({"name": ""}, "name must be a non-empty string"),
        ({"image_column": None}, "image_column must be a non-empty string"),
    ],
)
def test_fields_are_checked(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetDescription(**{"name": "pair", "class_names": ("a", "b"), **fields})
