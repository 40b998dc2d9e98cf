# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The command that times presets and profile of a checkpoint."""

import pytest

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.model.pause_profile import PauseProfile, ProfilePoint


FAST, OTHER = PauseConfig({1: 0.5, 2: 0.5}), PauseConfig({2: 0.3})
PROFILE = PauseProfile(
    (
        ProfilePoint(PauseConfig(), speedup=1, mean_iou=0.4),
        ProfilePoint(FAST, speedup=1.5, mean_iou=0.35),
        ProfilePoint(PauseConfig({3: 0.3}), speedup=1.1, mean_iou=0.39),
    ),
    {"device": "elsewhere"},
)


@pytest.fixture
def checkpoint(tiny_model, tmp_path):
    tiny_model.pause_presets = {"fast": FAST}
    tiny_model.pause_config = OTHER
    tiny_model.pause_profile = PROFILE
    tiny_model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def load(folder):
    return PaumerForSemanticSegmentation.from_pretrained(folder)


def test_prints_and_writes_nothing(run_script, checkpoint, capsys):
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    run_script("calibrate_throughput.py", "--model", checkpoint, "--seconds", 0.01, "--device", "cpu")
    printed = capsys.readouterr().out
    for part in ("images/s", "in the profile", "fast", "1:0.5,2:0.5", "3:0.3", "default", "2:0.3", "elsewhere there"):
        assert part in printed
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir()} == before


def test_saves_the_speeds_and_keeps_the_rest(run_script, checkpoint, capsys):
    arguments = ("--image_size", 24, 32, "--batch_size", 2, "--pause_configs", "1:0.4", "--threads", 1)
    run_script(
        "calibrate_throughput.py", "--model", checkpoint, "--seconds", 0.01, "--device", "cpu", *arguments, "--save"
    )
    assert "Wrote" in capsys.readouterr().out
    model = load(checkpoint)
    assert model.pause_config == OTHER
    assert model.pause_presets == {"fast": FAST}
    points = {point.pause_config: point for point in model.pause_profile.points}
    # The configuration that was asked for, and none that the profile had is lost.
    assert points.keys() == {PauseConfig({1: 0.4}), *(point.pause_config for point in PROFILE.points)}
    assert points[FAST].mean_iou == 0.35
    assert points[FAST].images_per_second is not None
    assert points[PauseConfig({1: 0.4})].mean_iou is None
    conditions = model.pause_profile.conditions
    assert conditions["image_size"] == [24, 32]
    assert conditions["batch_size"] == 2
    assert conditions["mean_iou_conditions"] == {"device": "elsewhere"}


def test_makes_a_profile_of_speeds(run_script, tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "model")
    arguments = (
        "--image_size",
        40,
        "--pause_configs",
        "1:0.4",
        "2:0.4",
        "--seconds",
        0.01,
        "--device",
        "cpu",
        "--save",
    )
    run_script("calibrate_throughput.py", "--model", tmp_path / "model", *arguments)
    profile = load(tmp_path / "model").pause_profile
    assert [point.name for point in profile.points] == ["the dense model", "1:0.4", "2:0.4"]
    assert profile.conditions["image_size"] == [40, 40]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--model", "somebody/nothing", "--save"),
            "--save needs a checkpoint in a local folder, but --model somebody",
        ),
        (("--device", "nowhere"), "cannot be moved to --device nowhere"),
        (("--image_size", 1, 2, 3), "image_size must be a height and a width"),
        (("--pause_configs", "slow"), "Unknown pause configuration 'slow'"),
        (("--seconds", -1), "`seconds` must be a number above 0"),
    ],
    ids=str,
)
def test_refuses(run_script, checkpoint, arguments, message):
    model = () if "--model" in arguments else ("--model", checkpoint)
    with pytest.raises(SystemExit, match=message):
        run_script("calibrate_throughput.py", *model, *arguments)


def test_refuses_a_folder_without_a_model(run_script, tmp_path):
    with pytest.raises(SystemExit, match=f"calibrate_throughput.py: --model cannot be loaded from {tmp_path}: "):
        run_script("calibrate_throughput.py", "--model", tmp_path)
