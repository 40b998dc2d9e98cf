# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of presets and profiles from what a search found."""

import pytest

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.model.pause_config_file import PAUSE_CONFIG_NAME
from paumer_hf.search.presets import (
    PRESET_DROPS,
    find_better_profile,
    join_names,
    make_presets,
    make_profile,
    read_row,
    write_presets,
)


def make_row(text, speedup, points_lost, on_frontier=True, **others):
    return {
        "pause_config": text,
        "criterion": "entropy",
        "seed": None,
        "speedup": speedup,
        "mean_iou": 0.5 - points_lost / 100,
        **({"mean_iou_difference": -points_lost / 100} if text else {}),
        "on_frontier": on_frontier,
        "efficiency": 0.9,
        **others,
    }


ROWS = [
    make_row("", 1.0, 0.0, images_per_second=10.0),
    make_row("3:0.2", 1.1, 0.2, mean_iou_interval=[0.49, 0.51]),
    make_row("3:0.4", 1.2, 0.3),
    make_row("3:0.6", 1.3, 0.7),
    make_row("3:0.7", 1.25, 0.9, on_frontier=False),
    make_row("3:0.8", 1.6, 2.0),
    {**make_row("3:0.8,5:0.8", 2.0, 6.0)},
    {**make_row("3:0.9", 3.0, 0.0, on_frontier=False), "mean_iou": None},
]
CONDITIONS = {"dataset": "samples", "max_gain": None, "image_size": (16, 24)}


def test_each_preset_is_the_fastest_within_its_loss():
    presets = make_presets(make_profile(ROWS, CONDITIONS))
    assert list(PRESET_DROPS.items()) == [("accurate", 0.2), ("balanced", 0.7), ("fast", 2.0), ("fastest", 5.0)]
    texts = {name: preset.to_text() for name, preset in presets.items()}
    assert texts == {"accurate": "3:0.2", "balanced": "3:0.6", "fast": "3:0.8", "fastest": "3:0.8"}
    assert make_presets(make_profile(ROWS, CONDITIONS), {"any": 0.1})["any"] == PauseConfig()


def test_what_few_rounds_alone_have_timed_is_in_no_profile():
    rows = [{**row, "is_confirmed": row["pause_config"] in ("", "3:0.2", "3:0.8")} for row in ROWS]
    conditions = {**CONDITIONS, "sweep_rounds": 3, "confirmation_rounds": 15}
    profile = make_profile(rows, conditions)
    assert [point.pause_config.to_text() for point in profile.points] == ["", "3:0.2", "3:0.8"]
    assert make_presets(profile)["balanced"].to_text() == "3:0.2"
    assert profile.conditions["confirmation_rounds"] == 15


def test_names_of_one_configuration_are_joined():
    presets = make_presets(make_profile(ROWS, CONDITIONS), {"none": 0.0, "some": 2.0, "more": 5.0})
    assert join_names(presets) == {"": "none", "3:0.8": "some, more"}
    assert join_names({}) == {}


def test_a_profile_holds_the_frontier_and_the_dense_model():
    rows = [{**ROWS[0], "on_frontier": False}, *ROWS[1:]]
    profile = make_profile(rows, CONDITIONS)
    assert [point.pause_config for point in profile.points] == [
        read_row(row) for row in rows if row["on_frontier"] or not row["pause_config"]
    ]
    assert profile.points[1].mean_iou_interval == (0.49, 0.51)
    assert profile.dense.images_per_second == 10.0
    assert profile.conditions == {**CONDITIONS, "image_size": [16, 24]}


def test_a_row_of_random_pausing_keeps_its_seed():
    row = {**make_row("3:0.2", 1.1, 0.2), "criterion": "random", "seed": 4}
    assert read_row(row) == PauseConfig({3: 0.2}, criterion="random", seed=4)


def test_what_a_checkpoint_has_beside_stays(search_model, tmp_path):
    search_model.save_pretrained(tmp_path)
    (tmp_path / PAUSE_CONFIG_NAME).unlink(missing_ok=True)
    first, second = PauseConfig({1: 0.2}), PauseConfig({2: 0.4})
    write_presets(tmp_path, {"mine": first, "fast": first})
    model = PaumerForSemanticSegmentation.from_pretrained(tmp_path)
    assert model.pause_presets == {"mine": first, "fast": first}
    assert model.pause_profile is None
    model.pause_config = second
    model.save_pretrained(tmp_path)

    rows = [make_row("", 1.0, 0.0), make_row("2:0.4", 1.2, 0.3)]
    profile = make_profile(rows, CONDITIONS)
    path = write_presets(tmp_path, {"fast": second}, profile)
    assert path == tmp_path / PAUSE_CONFIG_NAME
    model = PaumerForSemanticSegmentation.from_pretrained(tmp_path)
    assert model.pause_presets == {"mine": first, "fast": second}
    assert model.pause_config == second
    assert model.pause_profile == profile
    write_presets(tmp_path, {"other": first})
    assert PaumerForSemanticSegmentation.from_pretrained(tmp_path).pause_profile == profile


def test_a_broken_file_is_not_written_over(tmp_path):
    (tmp_path / PAUSE_CONFIG_NAME).write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="not a valid pause configuration file"):
        write_presets(tmp_path, {"fast": PauseConfig()})
    assert (tmp_path / PAUSE_CONFIG_NAME).read_text(encoding="utf-8") == "{"


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        ({"num_images": 101}, {"num_images": 20}, "of 101 images, and this one of 20"),
        ({"speed": "measured", "num_images": 2}, {"speed": "macs", "num_images": 9}, "measured, and these are not"),
        ({"num_images": 20}, {"num_images": 20}, None),
        ({"speed": "macs"}, {"speed": "measured"}, None),
        ({"num_images": 101, "weights_sha256": "a"}, {"num_images": 20, "weights_sha256": "b"}, None),
    ],
)
def test_a_profile_that_says_more_is_found(search_model, tmp_path, before, now, reason):
    old, new = (make_profile(ROWS, {**CONDITIONS, **conditions}) for conditions in (before, now))
    search_model.save_pretrained(tmp_path)
    assert find_better_profile(tmp_path, new) is None
    write_presets(tmp_path, {}, old)
    found = find_better_profile(tmp_path, new)
    assert (found is None) if reason is None else (reason in found)
    assert find_better_profile(tmp_path, None) is None
