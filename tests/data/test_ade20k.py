# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The names and colours of ADE20K's 150 classes."""

from collections import Counter
from pathlib import Path

import pytest

from paumer_hf.data.ade20k import CLASS_NAMES, IGNORED_VALUES, LABEL_MAPPING, PALETTE


OFFICIAL_NAMES = Path(__file__).resolve().parents[3] / "shared" / "data" / "ade20k_sample" / "objectInfo150.txt"


def test_there_are_150_names_and_colours() -> None:
    assert len(set(CLASS_NAMES)) == len(PALETTE) == 150
    assert all(name == name.strip() for name in CLASS_NAMES)
    assert all(len(colour) == 3 and all(0 <= level <= 255 for level in colour) for colour in PALETTE)
    # The usual colours, with the two classes that share one.
    assert PALETTE[:3] == ((120, 120, 120), (180, 120, 120), (6, 230, 230))
    assert PALETTE[-1] == (92, 0, 255)
    assert [colour for colour, count in Counter(PALETTE).items() if count > 1] == [(140, 140, 140)]


@pytest.mark.skipif(not OFFICIAL_NAMES.is_file(), reason="the official list of names is not there")
def test_names_are_the_first_synonyms_of_the_official_list() -> None:
    rows = OFFICIAL_NAMES.read_text(encoding="utf-8").splitlines()[1:]
    synonyms = [[name.strip() for name in row.split("\t")[4].split(",")] for row in rows]
    assert [int(row.split("\t")[0]) for row in rows] == sorted(LABEL_MAPPING)
    differing = {name: names for name, names in zip(CLASS_NAMES, synonyms, strict=True) if name != names[0]}
    assert list(differing) == ["television receiver"]
    assert "television receiver" in differing["television receiver"]


def test_values_are_the_classes_counted_from_one() -> None:
    assert {value: label + 1 for value, label in LABEL_MAPPING.items()} == {value: value for value in range(1, 151)}
    assert IGNORED_VALUES == (0,)
