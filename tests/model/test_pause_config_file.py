# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from paumer_hf import PauseConfig
from paumer_hf.model.pause_config_file import read_pause_config_file, write_pause_config_file
from paumer_hf.model.pause_profile import PauseProfile, ProfilePoint


PRESETS = {"fast": PauseConfig({3: 0.4, 1: 1 / 3}, "random", 5), "dense": PauseConfig(), "grün": PauseConfig({2: 0.1})}
PROFILE = PauseProfile(
    (ProfilePoint(PauseConfig(), speedup=1, mean_iou=0.4), ProfilePoint(PRESETS["fast"], speedup=1.3, mean_iou=1 / 3)),
    {"device": "Prozessor für Tests", "image_size": [32, 48]},
)


def test_round_trip(tmp_path):
    for default, presets, profile in [
        (PauseConfig({1: 0.1}), PRESETS, PROFILE),
        (PauseConfig(), PRESETS, None),
        (PauseConfig({2: 0.2}, "random"), {}, PROFILE),
        (PauseConfig(), {}, None),
    ]:
        path = write_pause_config_file(tmp_path, default, presets, profile)
        assert path == tmp_path / "pause_config.json"
        assert read_pause_config_file(path) == (default, presets, profile)
        assert list(read_pause_config_file(path)[1]) == list(presets)
        assert ("profile" in json.loads(path.read_text())) == (profile is not None)
        assert [file.name for file in tmp_path.iterdir()] == ["pause_config.json"]
    assert "profile" not in path.read_text()


def test_profile_and_presets_are_one_file_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = write_pause_config_file(tmp_path, PauseConfig({1: 0.1}), PRESETS, PROFILE)

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_pause_config_file(tmp_path, PauseConfig({2: 0.2}), {})
    assert read_pause_config_file(path) == (PauseConfig({1: 0.1}), PRESETS, PROFILE)
    assert [file.name for file in tmp_path.iterdir()] == ["pause_config.json"]


def test_file_has_the_permissions_of_other_files(tmp_path):
    (tmp_path / "other").touch()
    path = write_pause_config_file(tmp_path, PauseConfig(), {})
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "must hold an object with the fields 'default' and 'presets'"),
        ('{"defaults": {}}', "unknown field 'defaults'; the fields are.*upgrade"),
        ('{"default": {"pause_ratios": {"3": 1}}}', r"ratios in \[0, 1\)"),
        ('{"default": {"ratios": {}}}', "Unknown field 'ratios'"),
        ('{"default": null}', "`pause_config` must be"),
        ('{"default": 3}', "`pause_config` must be"),
        ('{"presets": {"fast": {"0": 0.4}}}', "layers count from 1"),
        ('{"presets": []}', "presets"),
        ('{"presets": null}', "presets"),
        ('{"presets": "fast"}', "presets"),
        ('{"profile": null}', "A profile must be a PauseProfile or a mapping"),
        ('{"profile": []}', "A profile must be a PauseProfile or a mapping"),
        ('{"profile": {}}', "The field 'points' of a profile is missing"),
        ('{"profile": {"points": []}}', "must hold the dense model"),
        ('{"profile": {"points": [{"pause_config": {}, "speedup": 0}]}}', "`speedup` of the dense model"),
        ('{"profile": {"points": [], "name": "a"}}', "Unknown field 'name' of a profile"),
    ],
)
def test_refuses_files(tmp_path, text, message):
    path = tmp_path / "pause_config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"pause_config\.json is not a valid pause configuration file: ") as info:
        read_pause_config_file(path)
    assert info.match(message)


def test_file_may_leave_out_fields(tmp_path):
    path = tmp_path / "pause_config.json"
    path.write_text("{}")
    assert read_pause_config_file(path) == (PauseConfig(), {}, None)
    path.write_text('{"default": {"pause_ratios": {"3": 0.4}}}')
    assert read_pause_config_file(path) == (PauseConfig({3: 0.4}), {}, None)
