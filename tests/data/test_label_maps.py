# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Classes of label images: all widths of integers, channels, and values that nobody described."""

import numpy as np
import pytest
from PIL import Image

from paumer_hf.data import cityscapes
from paumer_hf.data.dataset_descriptions import DatasetDescription
from paumer_hf.data.label_maps import LabelMapError, LabelTable


def describe(**fields) -> DatasetDescription:
    return DatasetDescription(**{"name": "three", "class_names": ("a", "b", "c"), **fields})


def image_of(values: list, dtype: type = np.uint8) -> Image.Image:
    return Image.fromarray(np.array([values], dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_values_are_mapped_one_by_one(dtype: type) -> None:
    mapping = {3: 0, 0: 1, 200: 2}
    values = np.random.default_rng(0).integers(0, 256, (13, 17)).astype(dtype)
    classes = LabelTable(describe(label_mapping=mapping))(Image.fromarray(values))
    expected = [[mapping.get(value, 255) for value in row] for row in values.tolist()]
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes, expected)


def test_wide_values_are_kept_apart() -> None:
    table = LabelTable(describe(label_mapping={0: 0, 40000: 1, 65535: 2}))
    values = [0, 40000, 65535, 65536, 65537, 2**31 - 1, -1, -2, -(2**31)]
    assert table(image_of(values, np.int32)).tolist() == [[0, 1, 2, 255, 255, 255, 255, 255, 255]]


def test_minus_one_is_known_where_it_is_said_to_be() -> None:
    table = LabelTable(describe(label_mapping={0: 0}, ignored_values=(-1, 65535)))
    assert table(image_of([0, -1, 65535], np.int32)).tolist() == [[0, 255, 255]]
    for unknown in (-2, 65536, 65537, 65538, 1):
        with pytest.raises(LabelMapError, match=rf"known raw values -1, 0, 65535, got \[{unknown}\]"):
            table(image_of([0, unknown], np.int32))
    with pytest.raises(LabelMapError, match=r"got \[-1\]"):
        LabelTable(describe(label_mapping={0: 0}, ignored_values=()))(image_of([0, -1], np.int32))


def test_without_a_mapping_the_values_are_the_classes() -> None:
    table = LabelTable(describe())
    assert table(image_of([0, 1, 2, 255])).tolist() == [[0, 1, 2, 255]]
    with pytest.raises(LabelMapError, match=r"labels must be 0 to 2, or 255 .* got \[3, 254\]; pass label_mapping"):
        table(image_of([0, 3, 254, 3]))
    with pytest.raises(LabelMapError, match=r"got \[-1, 511\]"):
        table(image_of([-1, 511], np.int32))


def test_cityscapes_label_ids_become_train_ids() -> None:
    fields = {"label_mapping": cityscapes.LABEL_MAPPING, "ignored_values": cityscapes.IGNORED_VALUES}
    table = LabelTable(describe(class_names=cityscapes.CLASS_NAMES, **fields))
    train_ids = {label.id: label.train_id % 256 for label in cityscapes.LABELS}  # -1 is 255
    assert table(image_of(list(train_ids), np.int32)).tolist() == [list(train_ids.values())]
    assert table(image_of([255, 33, 0])).tolist() == [[255, 18, 255]]
    with pytest.raises(LabelMapError, match=r"known raw values -1, 0 to 33, 255, got \[34, 254\]"):
        table(image_of([254, 33, 34]))


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_places_in_a_palette_and_bits_are_values(mode: str) -> None:
    image = Image.fromarray(np.array([[0, 1, 1]], np.uint8) * (255 if mode == "1" else 1))
    if mode == "P":
        image.putpalette([9, 9, 9, 8, 8, 8])
    image = image.convert(mode) if mode == "1" else image
    assert image.mode == mode
    assert LabelTable(describe())(image).tolist() == [[0, 1, 1]]


def test_a_channel_can_be_named() -> None:
    colours = np.zeros((1, 2, 3), np.uint8)
    colours[0, :, 1] = (2, 1)
    image = Image.fromarray(colours)
    assert LabelTable(describe(annotation_channel=1))(image).tolist() == [[2, 1]]
    assert LabelTable(describe(annotation_channel=0))(image).tolist() == [[0, 0]]
    assert LabelTable(describe(annotation_channel=2))(image_of([2, 1])).tolist() == [[2, 1]]
    with pytest.raises(LabelMapError, match="channel 3 that annotation_channel names, got mode RGB with 3 channels"):
        LabelTable(describe(annotation_channel=3))(image)


@pytest.mark.parametrize("mode", ["RGB", "F", "LA"])
def test_colours_and_fractions_are_refused(mode: str) -> None:
    with pytest.raises(LabelMapError, match=f"'annotation' must hold one integer per pixel .* mode {mode};.*channel"):
        LabelTable(describe())(Image.new(mode, (2, 2)))
