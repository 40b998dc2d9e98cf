# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint is tried before it is published."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.hub.checkpoint_check import check_checkpoint, compute_logits, example_image
from paumer_hf.search.search import digest_weights


def test_every_preset_is_run(make_checkpoint, tmp_path):
    checked = check_checkpoint(make_checkpoint(tmp_path / "model"))
    assert list(checked.logits) == ["dense", "default", "preset fast", "preset slow"]
    assert torch.equal(checked.logits["dense"], checked.logits["default"])
    assert not torch.equal(checked.logits["dense"], checked.logits["preset fast"])
    inputs = checked.processor(checked.image, return_tensors="pt")
    expected = checked.model(**inputs, pause_config=PauseConfig({3: 0.25})).logits
    assert torch.equal(checked.logits["preset slow"], expected)


def test_random_pausing_is_compared_only_with_a_seed(tiny_model):
    tiny_model.pause_presets = {
        "seeded": PauseConfig({1: 0.5}, criterion="random", seed=3),
        "loose": PauseConfig({1: 0.5}, criterion="random"),
    }
    processor = PaumerImageProcessor(size={"height": 40, "width": 48})
    logits = compute_logits(tiny_model, processor, Image.new("RGB", (48, 40)))
    assert list(logits) == ["dense", "default", "preset seeded"]


def edit(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_weights_that_do_not_fit_are_refused(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    name = sorted(weights)[0]
    save_file(
        {key: value for key, value in weights.items() if key != name}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(ValueError, match=f"missing keys, such as {name}"):
        check_checkpoint(folder)
    save_file({**weights, "more": torch.zeros(1)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="unexpected keys, such as more"):
        check_checkpoint(folder)
    save_file({**weights, name: weights[name] * torch.nan}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="not finite"):
        check_checkpoint(folder)


def test_loading_that_is_not_the_same_twice_is_refused(make_checkpoint, tmp_path, monkeypatch):
    folder = make_checkpoint(tmp_path / "model")
    load = PaumerForSemanticSegmentation.from_pretrained

    def shake(*arguments, **options):
        model, information = load(*arguments, **options)
        with torch.no_grad():
            next(model.parameters()).normal_()
        return model, information

    monkeypatch.setattr(PaumerForSemanticSegmentation, "from_pretrained", shake)
    with pytest.raises(ValueError, match=r"other logits when it is loaded again \(dense\)"):
        check_checkpoint(folder)


def test_presets_and_profile_are_checked(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    for change, message in [
        ({"presets": {"fast": {"pause_ratios": {"99": 0.5}}}}, "preset 'fast' is not valid"),
        ({"presets": {"fast": {"pause_ratios": {"1": 1.5}}}}, "not a valid pause configuration file"),
        ({"profile": {"points": []}}, "must hold the dense model"),
    ]:
        before = (folder / "pause_config.json").read_text()
        edit(folder / "pause_config.json", **change)
        with pytest.raises(ValueError, match=message):
            check_checkpoint(folder)
        (folder / "pause_config.json").write_text(before)


def test_other_models_and_code_are_refused(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    edit(folder / "preprocessor_config.json", auto_map={"AutoImageProcessor": "a.B"})
    with pytest.raises(ValueError, match=r"preprocessor_config.json names code in `auto_map`"):
        check_checkpoint(folder)
    edit(folder / "config.json", model_type="vit")
    with pytest.raises(ValueError, match="a model of the type 'vit'"):
        check_checkpoint(folder)


def test_the_example_image_is_taken_or_made_up(tmp_path):
    processor = PaumerImageProcessor(size={"height": 40, "width": 48})
    made = example_image(tmp_path, processor)
    assert made.size == (48, 40)
    assert np.array_equal(made, example_image(tmp_path, processor))
    assert np.asarray(made).std() > 10
    Image.new("L", (7, 5), 200).save(tmp_path / "example.png")
    assert example_image(tmp_path, processor).size == (7, 5)
    (tmp_path / "example.jpg").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"example.jpg is no image"):
        example_image(tmp_path, processor)


def test_a_profile_of_other_weights_is_refused(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    model = PaumerForSemanticSegmentation.from_pretrained(folder)
    points = [{"pause_config": {}, "speedup": 1.0}]
    model.pause_profile = {"points": points, "conditions": {"weights_sha256": digest_weights(model)}}
    model.save_pretrained(folder)
    check_checkpoint(folder)
    with torch.no_grad():
        model.paumer.layernorm.bias.add_(0.1)  # as a training that keeps the profile
    model.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"was measured of other weights; run scripts/search_pause_config.py again"):
        check_checkpoint(folder)
