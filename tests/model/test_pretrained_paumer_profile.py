# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The measured profile that a model carries: assigned, chosen from, saved and loaded."""

import copy
import json

import pytest
import torch
from transformers import AutoModel

from paumer_hf import PaumerForSemanticSegmentation, PaumerModel, PauseConfig
from paumer_hf.model.pause_profile import PauseProfile, ProfilePoint


FAST = PauseConfig({1: 0.6, 3: 1 / 3})
PROFILE = PauseProfile(
    (
        ProfilePoint(PauseConfig(), speedup=1, mean_iou=0.4, images_per_second=10),
        ProfilePoint(PauseConfig({2: 0.2}), speedup=1.2, mean_iou=0.398, images_per_second=12),
        ProfilePoint(FAST, speedup=1.7, mean_iou=1 / 3, mean_iou_interval=(0.3, 0.36), images_per_second=17),
    ),
    {"dataset": "camvid", "device": "a device", "image_size": [40, 48]},
)


@pytest.fixture
def saved(tiny_model, tmp_path):
    """A folder with `tiny_model`, a preset and a profile."""
    tiny_model.pause_presets["fast"] = FAST
    tiny_model.pause_profile = PROFILE
    tiny_model.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def write_profile(folder, profile):
    path = folder / "pause_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "profile": profile}))


def test_is_assigned_in_any_form(tiny_model):
    assert tiny_model.pause_profile is None
    for value in (PROFILE, PROFILE.to_dict(), json.loads(json.dumps(PROFILE.to_dict()))):
        tiny_model.pause_profile = value
        assert tiny_model.pause_profile == PROFILE
        tiny_model.pause_profile = None
        assert tiny_model.pause_profile is None


def test_assignment_refuses_and_keeps_what_was_there(tiny_model):
    tiny_model.pause_profile = PROFILE
    deep = PauseProfile((*PROFILE.points, ProfilePoint(PauseConfig({4: 0.5}), speedup=1.1)))
    with pytest.raises(ValueError, match=r"The point 4:0\.5 of the profile does not fit .*the model has 4 layers"):
        tiny_model.pause_profile = deep
    with pytest.raises(TypeError, match="A profile must be a PauseProfile or a mapping"):
        tiny_model.pause_profile = "profile"
    with pytest.raises(ValueError, match="The field 'points' of a profile is missing"):
        tiny_model.pause_profile = {}
    assert tiny_model.pause_profile == PROFILE


def test_selects_what_a_call_takes(tiny_model, tiny_images):
    tiny_model.pause_profile = PROFILE
    assert tiny_model.select_pause_config(min_speedup=1.5) == FAST
    assert tiny_model.select_pause_config(max_drop=0.2) == PauseConfig({2: 0.2})
    assert tiny_model.select_pause_config(min_throughput=11) == PauseConfig({2: 0.2})
    assert tiny_model.select_pause_config(1.5, 10, 17) == FAST
    assert tiny_model.select_pause_config(max_drop=0.1) == PauseConfig()
    selected = tiny_model.select_pause_config(min_speedup=1.5)
    expected = tiny_model(tiny_images, pause_config=FAST)
    assert tiny_model(tiny_images, pause_config=selected).logits.equal(expected.logits)
    tiny_model.pause_config = selected
    assert tiny_model(tiny_images).logits.equal(expected.logits)


def test_refuses_to_select(tiny_model):
    with pytest.raises(
        ValueError, match=r"no profile.*search_pause_config\.py --model .* --dataset .*calibrate_throughp"
    ):
        tiny_model.select_pause_config(min_speedup=1.5)
    tiny_model.pause_profile = PROFILE
    with pytest.raises(ValueError, match=r"at least 2 times as fast .* 1:0\.6,3:0\.333\d*, is 1\.7 times as fast"):
        tiny_model.select_pause_config(min_speedup=2)
    with pytest.raises(ValueError, match="Nothing is wished for"):
        tiny_model.select_pause_config()


@pytest.mark.parametrize("loader", [PaumerForSemanticSegmentation, PaumerModel, AutoModel])
def test_saves_loads_and_saves_again(saved, tmp_path, loader):
    model = loader.from_pretrained(saved)
    assert model.pause_profile == PROFILE
    assert isinstance(model.pause_profile, PauseProfile)
    model.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "pause_config.json").read_text() == (saved / "pause_config.json").read_text()
    assert "pause_profile" not in (tmp_path / "again" / "config.json").read_text()


def test_is_there_after_fine_tuning(saved, tiny_images, tmp_path):
    model = PaumerForSemanticSegmentation.from_pretrained(saved).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(tiny_images, labels=torch.zeros(3, 40, 48, dtype=torch.long)).loss.backward()
    optimizer.step()
    model.save_pretrained(tmp_path / "tuned")
    tuned = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "tuned")
    assert tuned.pause_profile == PROFILE
    assert tuned.pause_presets == {"fast": FAST}


def test_a_checkpoint_without_profile_has_none(saved, tmp_path):
    path = saved / "pause_config.json"
    contents = json.loads(path.read_text())
    del contents["profile"]
    path.write_text(json.dumps(contents))
    model = PaumerForSemanticSegmentation.from_pretrained(saved)
    assert model.pause_profile is None
    assert model.pause_presets == {"fast": FAST}
    model.save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "pause_config.json").read_text()) == contents


def test_a_profile_that_does_not_fit_is_refused_at_load(saved):
    values = PROFILE.to_dict()
    values["points"][1]["pause_config"] = {"pause_ratios": {"9": 0.5}}
    write_profile(saved, values)
    with pytest.raises(ValueError, match=r"pause_config\.json does not fit the model: The point 9:0\.5 .*layer 9"):
        PaumerForSemanticSegmentation.from_pretrained(saved)
    write_profile(saved, {"points": []})
    with pytest.raises(ValueError, match=r"pause_config\.json is not a valid .*must hold the dense model"):
        PaumerForSemanticSegmentation.from_pretrained(saved)


def test_copies_are_independent(tiny_model):
    tiny_model.pause_profile = PROFILE
    other = copy.deepcopy(tiny_model)
    tiny_model.pause_profile = None
    assert other.pause_profile == PROFILE


def test_a_model_with_new_weights_has_no_profile(saved):
    options = {"num_labels": 5, "ignore_mismatched_sizes": True}
    for more in ({}, {"output_loading_info": True}):
        loaded = PaumerForSemanticSegmentation.from_pretrained(saved, **options, **more)
        model = loaded[0] if more else loaded
        assert model.pause_profile is None
        assert model.pause_presets == {"fast": FAST}
    model, info = PaumerForSemanticSegmentation.from_pretrained(saved, output_loading_info=True)
    assert model.pause_profile == PROFILE
    assert not info["missing_keys"]
