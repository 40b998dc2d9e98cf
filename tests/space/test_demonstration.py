# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.data.dataset_descriptions import DATASET_DESCRIPTIONS, default_palette
from paumer_hf.model.pause_profile import PauseProfile, ProfilePoint
from paumer_hf.prediction.timed_prediction import predict
from paumer_hf.space.demonstration import TARGET, Demonstration


DENSE = PauseConfig()


def test_choices_are_the_presets_and_the_default(profiled_model):
    def labels():
        return [choice.label for choice in Demonstration(profiled_model, PaumerImageProcessor()).choices]

    assert labels() == ["careful (2:0.25)", "fast (1:0.5)"]
    profiled_model.pause_config = "fast"
    assert labels() == ["careful (2:0.25)", "fast (1:0.5)"]
    profiled_model.pause_config = PauseConfig({3: 0.5}, "random", 0)
    assert labels()[2:] == ["default (3:0.5 at random)"]


def test_a_model_without_presets_offers_something(tiny_model, make_model, make_tiny_config):
    (choice,) = Demonstration(tiny_model, PaumerImageProcessor()).choices
    assert choice.pause_config == PauseConfig({1: 0.4, 2: 0.4})
    (choice,) = Demonstration(make_model(make_tiny_config(num_hidden_layers=12)), PaumerImageProcessor()).choices
    assert choice.label == "3:0.4,5:0.4"


@pytest.mark.parametrize(("fastest", "highest"), [(2.03, 2.0), (2.05, 2.05), (1.04, None), (0.9, None)])
def test_highest_target(profiled_model, fastest, highest):
    points = (ProfilePoint(DENSE, speedup=1.0), ProfilePoint(PauseConfig({1: 0.5}), speedup=fastest))
    profiled_model.pause_profile = PauseProfile(points)
    demonstration = Demonstration(profiled_model, PaumerImageProcessor())
    assert demonstration.max_target == highest
    if highest:
        assert demonstration.choose(TARGET, highest).pause_config == PauseConfig({1: 0.5})


def test_without_a_profile_there_is_no_target(tiny_model):
    demonstration = Demonstration(tiny_model, PaumerImageProcessor())
    assert demonstration.max_target is None
    with pytest.raises(ValueError, match="profile"):
        demonstration.choose(TARGET, 1.5)


def test_a_target_chooses_by_the_profile(demonstration):
    assert not demonstration.choose(TARGET, 1.0).pause_config
    assert demonstration.choose(TARGET, 1.1).label == "careful (2:0.25)"
    assert demonstration.choose(TARGET, 1.3).label == "1:0.5,2:0.5"
    with pytest.raises(ValueError, match=r"No configuration of the profile is at least 2\.1 times as fast"):
        demonstration.choose(TARGET, 2.1)
    with pytest.raises(ValueError, match="Set the speed target"):
        demonstration.choose(TARGET)
    with pytest.raises(ValueError, match="There is no pause configuration 'preset none'"):
        demonstration.choose("preset none")


def test_comparison_is_that_of_the_model(demonstration, photograph):
    image = photograph()
    comparison = demonstration.compare(image, "preset fast")
    for (_, prediction), config in zip(comparison.predictions, (DENSE, PauseConfig({1: 0.5})), strict=True):
        expected = predict(demonstration.model, demonstration.processor, image, config)
        assert prediction.row.pause_config == config
        assert np.array_equal(prediction.row.label_map, expected.label_map)
        assert np.array_equal(prediction.row.pause_map, expected.pause_map)
        assert len(prediction.seconds) == 2
    assert [name for name, _ in comparison.predictions] == ["dense model", "fast (1:0.5)"]
    same = comparison.dense.row.label_map == comparison.paused.row.label_map
    assert comparison.agreement == same.sum() / (45 * 38)
    assert 0 < comparison.agreement < 1
    assert comparison.point is None  # the profile has no such point
    assert comparison.wish is None


def test_speedup_is_the_ratio_of_the_medians(demonstration, photograph):
    comparison = demonstration.compare(photograph(), "preset careful")
    comparison.dense.seconds[:] = [4.0, 100.0, 5.0]
    comparison.paused.seconds[:] = [2.0, 1.0, 2.5]
    assert comparison.speedup == 2.5
    assert comparison.point.speedup == 1.2


def test_a_target_that_dense_meets(demonstration, photograph):
    comparison = demonstration.compare(photograph(), TARGET, 1.0)
    assert comparison.is_dense
    assert len(comparison.predictions) == 1
    assert (comparison.wish, comparison.speedup, comparison.agreement) == (1.0, 1.0, 1.0)


def test_colours_are_those_of_the_data_set(demonstration, make_model, make_tiny_config):
    assert demonstration.palette == default_palette(3)
    camvid = DATASET_DESCRIPTIONS["camvid"]
    model = make_model(make_tiny_config(id2label=dict(enumerate(camvid.class_names))))
    assert Demonstration(model, PaumerImageProcessor()).palette == camvid.palette


def test_settings_that_are_refused(tiny_model):
    with pytest.raises(ValueError, match="`num_calls` must be at least 1, but is 0"):
        Demonstration(tiny_model, PaumerImageProcessor(), num_calls=0)
