# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from paumer_hf import PauseConfig
from paumer_hf.data.dataset_descriptions import CAMVID
from paumer_hf.prediction.choices import choose_pause_configs, load_model, read_palette, read_pause_config


def test_words_for_pause_configurations(tiny_model):
    tiny_model.pause_presets = {"fast": PauseConfig({1: 0.5})}
    tiny_model.pause_config = {2: 0.25}
    assert read_pause_config("dense", tiny_model) == PauseConfig()
    assert read_pause_config("default", tiny_model) == PauseConfig({2: 0.25})
    assert read_pause_config("fast", tiny_model, "random") == PauseConfig({1: 0.5})
    assert read_pause_config("1:0.4,3:0.2", tiny_model) == PauseConfig({1: 0.4, 3: 0.2})
    assert read_pause_config("1:0.4", tiny_model, "random", 3) == PauseConfig({1: 0.4}, "random", 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [("slow", "'slow'. Name one of dense, default, fast"), ("4:0.5", "names layer 4"), ("1:x", "x")],
)
def test_words_that_are_refused(text, message, tiny_model):
    tiny_model.pause_presets = {"fast": PauseConfig({1: 0.5})}
    with pytest.raises(ValueError, match=message):
        read_pause_config(text, tiny_model)


def test_each_configuration_is_chosen_once_and_keeps_its_first_name(tiny_model):
    tiny_model.pause_presets = {"fast": PauseConfig({1: 0.5})}
    chosen = choose_pause_configs(tiny_model, ["1:0.4", "fast", "1:0.5", "dense", "default"])
    assert list(chosen.items()) == [
        (PauseConfig({1: 0.4}), ""),
        (PauseConfig({1: 0.5}), "fast"),
        (PauseConfig(), "dense"),
    ]


def test_without_words_it_is_dense_and_the_default(tiny_model):
    tiny_model.pause_config = {2: 0.25}
    assert choose_pause_configs(tiny_model) == {PauseConfig(): "dense", PauseConfig({2: 0.25}): "default"}


@pytest.mark.parametrize(("selected", "name"), [({1: 0.5}, "fast"), ({1: 0.25}, "")])
def test_a_target_is_answered_by_the_model(selected, name, tiny_model, monkeypatch):
    wishes = []

    def select(**targets):
        wishes.append(targets)
        return PauseConfig(selected)

    tiny_model.pause_presets = {"fast": PauseConfig({1: 0.5})}
    monkeypatch.setattr(tiny_model, "select_pause_config", select, raising=False)
    assert choose_pause_configs(tiny_model, min_speedup=1.5, max_drop=0.7) == {PauseConfig(selected): name}
    assert wishes == [{"min_speedup": 1.5, "min_throughput": None, "max_drop": 0.7}]


def test_a_target_without_a_profile_is_refused(tiny_model):
    with pytest.raises(ValueError, match="no profile"):
        choose_pause_configs(tiny_model, min_throughput=10)


def test_words_and_a_target_contradict_each_other(tiny_model):
    with pytest.raises(ValueError, match=r"`pause_configs` names configurations \(dense\), but a target chooses one"):
        choose_pause_configs(tiny_model, ["dense"], max_drop=0.0)


def test_palettes():
    assert read_palette("camvid", 11) == CAMVID.palette
    assert len(set(read_palette(None, 150))) == 150
    with pytest.raises(ValueError, match="as many classes as the model, 12, but 'camvid' has 11"):
        read_palette("camvid", 12)
    with pytest.raises(ValueError, match="no registered data set"):
        read_palette("nowhere", 12)


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"`model` must be .*, but there is no folder .*nowhere, and that is no id"):
        load_model(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"`model` cannot be loaded from nowhere/at_all: .*"):
        load_model("nowhere/at_all")


def test_a_model_whose_configuration_is_wrong_is_named(tiny_config, tmp_path):
    tiny_config.save_pretrained(tmp_path)
    contents = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**contents, "num_hidden_layers": -1}))
    with pytest.raises(
        ValueError, match=r"The configuration of .* is refused: .*`num_hidden_layers` must be at least 1, but is -1"
    ):
        load_model(str(tmp_path))
