# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The table of Cityscapes' labels, against the official one, and what is derived from it."""

import pytest

from paumer_hf.data.cityscapes import CLASS_NAMES, IGNORED_VALUES, LABEL_MAPPING, LABELS, PALETTE


def test_the_table_is_the_official_one() -> None:
    official = pytest.importorskip("cityscapesscripts.helpers.labels")
    # Later editions of the table append lane markings, which no annotation of the 2016 release has.
    rows = [(row.id, row.trainId, row.name, row.color) for row in official.labels if row.trainId != 19]
    assert [tuple(label) for label in LABELS] == rows


def test_every_label_is_a_class_or_ignored() -> None:
    ids = [label.id for label in LABELS]
    assert sorted(ids) == list(range(-1, 34))
    assert sorted({*LABEL_MAPPING, *IGNORED_VALUES}) == [*range(-1, 34), 255]
    assert not set(LABEL_MAPPING) & set(IGNORED_VALUES)


def test_the_classes_are_the_train_ids_in_order() -> None:
    assert sorted(LABEL_MAPPING.values()) == list(range(19))
    assert CLASS_NAMES[:3] == ("road", "sidewalk", "building")
    assert CLASS_NAMES[-3:] == ("train", "motorcycle", "bicycle")
    assert (CLASS_NAMES[LABEL_MAPPING[24]], PALETTE[LABEL_MAPPING[24]]) == ("person", (220, 20, 60))
    assert len(PALETTE) == len(set(CLASS_NAMES)) == 19


def test_train_ids_equal_those_of_the_official_tool() -> None:
    official = pytest.importorskip("cityscapesscripts.helpers.labels")
    expected = {row.id: row.trainId for row in official.labels if row.id >= 0 and row.trainId not in (19, 255)}
    assert expected == LABEL_MAPPING
