# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import copy
import re

import numpy as np
import pytest
import torch

from paumer_hf import PauseConfig
from paumer_hf.export.fixed_module import FixedPaumer, fix_settings


@pytest.mark.parametrize("size", [(40, 48), (37, 50), (64, 24)])
def test_computes_what_the_model_computes(make_tiny_config, encoder_fields, make_model, size):
    """Also where position embeddings are interpolated, of every kind of encoder."""
    model = make_model(make_tiny_config(**encoder_fields))
    settings = fix_settings(model, {1: 0.4, 3: 0.5}, size, label_map=False)
    module = FixedPaumer(model, settings)
    pixel_values = torch.randn(2, 3, *size)
    assert module(pixel_values)["logits"].equal(model(pixel_values, pause_config=settings.pause_config).logits)
    assert module.output_names == list(module(pixel_values)) == ["logits"]


def test_label_map_is_that_of_the_image_processor(model, processor):
    processor.size, processor.do_pad = {"height": 37, "width": 50}, False
    module = FixedPaumer(model, fix_settings(model, "fast", (37, 50), label_map=True))
    outputs = module(torch.randn(3, 3, 37, 50))
    assert outputs["label_map"].dtype == torch.uint8
    maps = processor.post_process_semantic_segmentation(
        type("Outputs", (), {"logits": outputs["logits"]}), target_sizes=[(37, 50)] * 3
    )
    assert outputs["label_map"].long().equal(torch.stack(maps))
    assert len(outputs["label_map"].unique()) > 1


def test_more_classes_than_bytes(make_tiny_config, make_model):
    model = make_model(make_tiny_config(id2label={label: str(label) for label in range(300)}))
    label_map = FixedPaumer(model, fix_settings(model, "dense", None, True))(torch.randn(1, 3, 40, 48))["label_map"]
    assert label_map.dtype == torch.int64
    assert label_map.shape == (1, 40, 48)


def test_the_model_stays_as_it_is(model):
    model.train()
    before, config = copy.deepcopy(model.state_dict()), copy.deepcopy(model.config)
    module = FixedPaumer(model.bfloat16(), fix_settings(model, None, (24, 64), False))
    assert not module.training
    assert not module.model.training
    assert all(parameter.dtype == torch.float32 for parameter in module.parameters())
    assert model.training
    assert model.config.image_size == config.image_size
    assert {name: value.shape for name, value in model.state_dict().items()} == {
        name: value.shape for name, value in before.items()
    }
    assert all(parameter.dtype == torch.bfloat16 for parameter in model.parameters())


@pytest.mark.parametrize(
    ("pause_config", "expected", "preset"),
    [
        (None, {2: 0.5}, None),
        ("default", {2: 0.5}, None),
        ("dense", {}, None),
        ("fast", {1: 0.4, 3: 0.5}, "fast"),
        ("1:0.4,2:0.3", {1: 0.4, 2: 0.3}, None),
        ({3: 0.25}, {3: 0.25}, None),
        (PauseConfig({1: 0.1}), {1: 0.1}, None),
    ],
)
def test_forms_of_a_pause_configuration(model, pause_config, expected, preset):
    model.pause_config = {2: 0.5}
    settings = fix_settings(model, pause_config, None, False)
    assert dict(settings.pause_config.pause_ratios) == expected
    assert settings.pause_preset == preset
    assert settings.image_size == (40, 48)


@pytest.mark.parametrize(
    ("pause_config", "image_size", "message"),
    [
        (PauseConfig({1: 0.4}, criterion="random"), None, "at random without a seed.*Give it one"),
        ("faster", None, "Unknown pause configuration 'faster'"),
        ({4: 0.4}, None, "names layer 4"),
        *[
            ("dense", size, rf"`image_size` must be .*, whole numbers of at least 1, but is {re.escape(repr(size))}\.")
            for size in [
                (40,),
                (0, 40),
                (40, -1),
                (40, 48, 3),
                (40.9, 48),
                True,
                (True, 48),
                "40",
                b"40",
                ("40", "48"),
            ]
        ],
        ("dense", {"height": 40, "width": 48}, "`image_size` must be a height and a width, whole numbers"),
        ("dense", 40.0, r"`image_size` must be .* but is 40\.0"),
    ],
)
def test_refusals(model, pause_config, image_size, message):
    with pytest.raises(ValueError, match=message):
        fix_settings(model, pause_config, image_size, False)


@pytest.mark.parametrize(
    "size", [(37, 50), [37, 50], np.array([37, 50]), torch.Size((37, 50)), torch.tensor([37, 50])]
)
def test_forms_of_an_image_size(model, size):
    found = fix_settings(model, "dense", size, False).image_size
    assert found == (37, 50)
    assert all(type(side) is int for side in found)
    assert fix_settings(model, "dense", np.int64(40), False).image_size == (40, 40)


def test_random_with_a_seed_and_random_without_pauses_are_taken(model):
    seeded = PauseConfig({1: 0.4}, criterion="random", seed=3)
    assert fix_settings(model, seeded, None, False).pause_config == seeded
    assert not fix_settings(model, PauseConfig({}, criterion="random"), None, False).pause_config
