# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Saving and loading: the weights, and the default and the presets of `pause_config.json`."""

import json

import pytest
import torch
from transformers import AutoModel, AutoModelForSemanticSegmentation

from paumer_hf import PaumerForSemanticSegmentation, PaumerModel, PauseConfig


DEFAULT = PauseConfig({1: 0.4, 3: 1 / 3}, criterion="random", seed=5)
PRESETS = {"fast": PauseConfig({1: 0.6}), "balanced": PauseConfig({2: 0.3, 3: 0.3}), "dense": PauseConfig()}


@pytest.fixture
def saved(tiny_model, tmp_path):
    """A folder with `tiny_model`, a default and presets."""
    tiny_model.pause_config = DEFAULT
    tiny_model.pause_presets = dict(PRESETS)
    tiny_model.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def assert_same_model(model, expected, images):
    assert not model.training
    for config in (None, PauseConfig(), *PRESETS):
        assert model(images, pause_config=config).logits.equal(expected(images, pause_config=config).logits)


@pytest.mark.parametrize("loader", [PaumerForSemanticSegmentation, AutoModelForSemanticSegmentation])
def test_saves_loads_and_saves_again(saved, tiny_model, tiny_images, tmp_path, loader):
    assert {file.name for file in saved.iterdir()} == {"config.json", "model.safetensors", "pause_config.json"}
    folder = saved
    for generation in range(2):
        model = loader.from_pretrained(folder)
        assert type(model) is PaumerForSemanticSegmentation
        assert model.pause_config == DEFAULT
        assert model.pause_presets == PRESETS
        assert all(isinstance(preset, PauseConfig) for preset in model.pause_presets.values())
        assert_same_model(model, tiny_model, tiny_images)
        folder = tmp_path / f"generation {generation}"
        model.save_pretrained(folder)
        assert (folder / "pause_config.json").read_text() == (saved / "pause_config.json").read_text()


@pytest.mark.parametrize("loader", [PaumerModel, AutoModel])
def test_the_encoder_loads_alone_with_its_presets(saved, tiny_model, tiny_images, tmp_path, loader):
    model = loader.from_pretrained(saved)
    assert type(model) is PaumerModel
    assert model.pause_config == DEFAULT
    assert model.pause_presets == PRESETS
    expected = tiny_model.paumer(tiny_images, pause_config=DEFAULT).last_hidden_state
    assert model(tiny_images).last_hidden_state.equal(expected)
    model.save_pretrained(tmp_path / "encoder")
    segmenter = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "encoder")
    assert segmenter.pause_presets == PRESETS
    assert segmenter.paumer(tiny_images, pause_config=DEFAULT).last_hidden_state.equal(expected)


def test_the_file_is_readable(saved):
    contents = json.loads((saved / "pause_config.json").read_text())
    assert contents["default"] == {"pause_ratios": {"1": 0.4, "3": 1 / 3}, "criterion": "random", "seed": 5}
    assert list(contents["presets"]) == ["fast", "balanced", "dense"]
    assert "pause_config" not in json.loads((saved / "config.json").read_text())


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (PauseConfig({2: 0.5}), PauseConfig({2: 0.5})),
        ({2: 0.5}, PauseConfig({2: 0.5})),
        ({"pause_ratios": {"2": 0.5}, "criterion": "random"}, PauseConfig({2: 0.5}, "random")),
        ("fast", PRESETS["fast"]),
        (PauseConfig(), PauseConfig()),
        ({}, PauseConfig()),
        (None, DEFAULT),
    ],
    ids=str,
)
@pytest.mark.parametrize("loader", [PaumerForSemanticSegmentation, AutoModelForSemanticSegmentation])
def test_the_default_can_be_overridden(saved, loader, argument, expected):
    model = loader.from_pretrained(saved, pause_config=argument)
    assert model.pause_config == expected
    assert model.pause_presets == PRESETS


def test_refuses_an_override_that_does_not_fit(saved):
    load = PaumerForSemanticSegmentation.from_pretrained
    with pytest.raises(ValueError, match="names layer 4, but the model has 4 layers"):
        load(saved, pause_config={4: 0.5})
    with pytest.raises(ValueError, match=r"preset 'slow': the presets are \['balanced', 'dense', 'fast'\]"):
        load(saved, pause_config="slow")


def test_loading_information_is_returned(saved):
    model, information = PaumerForSemanticSegmentation.from_pretrained(saved, output_loading_info=True)
    assert model.pause_config == DEFAULT
    assert not information["missing_keys"]
    assert not information["unexpected_keys"]
    encoder, information = PaumerModel.from_pretrained(saved, output_loading_info=True, pause_config="fast")
    assert encoder.pause_config == PRESETS["fast"]
    assert all(name.startswith("decoder.") for name in information["unexpected_keys"])


def test_loads_a_state_dict_without_a_name(tiny_config, tiny_model, tiny_images):
    model = PaumerForSemanticSegmentation.from_pretrained(
        None, config=tiny_config, state_dict=tiny_model.state_dict(), pause_config={1: 0.4}
    )
    assert model.pause_config == PauseConfig({1: 0.4})
    assert model.pause_presets == {}
    assert model.eval()(tiny_images, pause_config={}).logits.equal(tiny_model(tiny_images).logits)


def test_a_checkpoint_without_the_file_pauses_nothing(saved):
    (saved / "pause_config.json").unlink()
    model = PaumerForSemanticSegmentation.from_pretrained(saved)
    assert model.pause_config == PauseConfig()
    assert model.pause_presets == {}
    assert PaumerForSemanticSegmentation.from_pretrained(saved, pause_config={1: 0.4}).pause_config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"pause_config\.json is not a valid pause configuration file: Expecting property name"),
        ("[]", r"pause_config\.json is not a valid pause configuration file: it must hold an object"),
        ('{"default": {"1": 2}}', r"pause_config\.json is not a valid pause configuration file: .*ratios in \[0, 1\)"),
        ('{"presets": []}', r"pause_config\.json is not a valid pause configuration file: "),
        ('{"default": {"9": 0.5}}', "names layer 9, but the model has 4 layers"),
        ('{"presets": {"fast": {"9": 0.5}}}', "names layer 9, but the model has 4 layers"),
    ],
)
def test_refuses_a_broken_file(saved, text, message):
    (saved / "pause_config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        PaumerForSemanticSegmentation.from_pretrained(saved)


def test_sub_folders(tiny_model, tmp_path):
    tiny_model.pause_config = DEFAULT
    tiny_model.save_pretrained(tmp_path / "run" / "best")
    model = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "run", subfolder="best")
    assert model.pause_config == DEFAULT


def test_presets_are_brought_into_form_and_checked_when_saved(tiny_model, tmp_path):
    tiny_model.pause_presets = {"mapping": {1: 0.4}}
    tiny_model.save_pretrained(tmp_path / "good")
    loaded = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "good")
    assert loaded.pause_presets == {"mapping": PauseConfig({1: 0.4})}
    tiny_model.pause_presets["deep"] = PauseConfig({4: 0.4})
    with pytest.raises(ValueError, match="names layer 4, but the model has 4 layers"):
        tiny_model.save_pretrained(tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_only_the_main_process_writes_the_file(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path, is_main_process=False)
    assert not (tmp_path / "pause_config.json").exists()


def test_dtype_is_kept(tiny_model, tiny_images, tmp_path):
    tiny_model.to(torch.bfloat16).save_pretrained(tmp_path)
    model = PaumerForSemanticSegmentation.from_pretrained(tmp_path)
    assert model.dtype == torch.bfloat16
    assert model(tiny_images).logits.equal(tiny_model(tiny_images).logits)
    assert PaumerForSemanticSegmentation.from_pretrained(tmp_path, dtype=torch.float32).dtype == torch.float32


def test_pushing_uploads_the_folder_with_the_file_once(tiny_model, tmp_path, monkeypatch):
    """In place of the Hub, a method that looks at what lies in the folder when it is called."""
    pushed = []

    def push(self, repo_id, **options):
        pushed.append((repo_id, sorted(file.name for file in (tmp_path / "model").iterdir()), options))

    monkeypatch.setattr(PaumerForSemanticSegmentation, "push_to_hub", push)
    tiny_model.save_pretrained(tmp_path / "model", push_to_hub=True, private=True, token="hf_none")
    tiny_model.save_pretrained(tmp_path / "model", push_to_hub=True, repo_id="me/other", commit_message="New")
    files = ["config.json", "model.safetensors", "pause_config.json"]
    assert pushed == [
        ("model", files, {"token": "hf_none", "private": True}),
        ("me/other", files, {"token": None, "commit_message": "New"}),
    ]
