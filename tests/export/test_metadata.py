# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import torch
import transformers

import paumer_hf
from paumer_hf import PaumerImageProcessor
from paumer_hf.export.fixed_module import fix_settings
from paumer_hf.export.metadata import processor_of, read_metadata, write_metadata


@pytest.fixture
def texts(model, processor):
    return write_metadata(model, fix_settings(model, "fast", (37, 50), False), processor, {"onnx": "1"})


def test_texts_hold_json(texts):
    values = {name.removeprefix("paumer_hf."): json.loads(text) for name, text in texts.items()}
    assert values["pause_preset"] == "fast"
    assert values["pause_config"] == {"pause_ratios": {"1": 0.4, "3": 0.5}, "criterion": "entropy", "seed": None}
    assert values["image_size"] == [37, 50]
    assert values["patch_size"] == 8
    assert values["class_names"] == ["road", "tree", "sky"]
    assert values["image_processor"]["image_mean"] == [0.1, 0.2, 0.3]
    assert values["image_processor"]["image_std"] == [0.5, 0.6, 0.7]
    assert values["versions"] == {
        "paumer_hf": paumer_hf.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "onnx": "1",
    }
    assert read_metadata({**texts, "other": "no JSON"}, "file") == values


def test_refusals(texts):
    with pytest.raises(ValueError, match=r"file is no export of PAUMER: its metadata have no 'paumer_hf.image_size'"):
        read_metadata({name: text for name, text in texts.items() if name != "paumer_hf.image_size"}, "file")
    with pytest.raises(ValueError, match="file has metadata that are no JSON"):
        read_metadata({**texts, "paumer_hf.image_size": "[37, 50"}, "file")


@pytest.mark.parametrize("in_file", [True, False])
def test_processor_makes_pixels_of_the_size(texts, processor, in_file):
    values = read_metadata(texts, "file")
    if not in_file:
        del values["image_processor"]
    found = processor_of(values, None if in_file else processor)
    image = np.random.default_rng(0).integers(0, 256, (61, 80, 3), dtype=np.uint8)
    pixel_values = found(image, return_tensors="pt").pixel_values
    assert pixel_values.shape == (1, 3, 37, 50)
    expected = processor(image, size={"height": 37, "width": 50}, do_pad=False, return_tensors="pt").pixel_values
    assert pixel_values.equal(expected)


def test_without_a_processor(model):
    values = read_metadata(write_metadata(model, fix_settings(model, None, None, False), None, {}), "file")
    with pytest.raises(ValueError, match=r"The export has no image processor.*Export it with `processor`"):
        processor_of(values)
    assert processor_of(values, PaumerImageProcessor()).size == {"height": 40, "width": 48}
