# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of counting MACs by formula."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.evaluation.macs import count_macs, count_macs_by_part, predict_speedup


SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "decoder_hidden_size": 16,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 36,
    "patch_size": 4,
    "image_size": 32,
    "num_labels": 7,
}
CONFIGS = [PauseConfig(), PauseConfig({2: 0.4}), PauseConfig({1: 0.3, 3: 0.45})]


def counted_macs(config, image_size, pause_config):
    config._attn_implementation = "eager"  # the counter does not see fused attention on CPUs
    model = PaumerForSemanticSegmentation(config).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, config.num_channels, *image_size), pause_config=pause_config)
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


@pytest.mark.parametrize("pause_config", CONFIGS, ids=str)
@pytest.mark.parametrize("image_size", [(32, 32), (30, 45)])
@pytest.mark.parametrize("decoder_type", ["mask_transformer", "linear"])
def test_formula_equals_the_operations_that_the_model_runs(pause_config, image_size, decoder_type):
    config = PaumerConfig(**SMALL, decoder_type=decoder_type)
    assert count_macs(config, image_size, pause_config) == counted_macs(config, image_size, pause_config)


@pytest.mark.parametrize("pause_config", CONFIGS, ids=str)
def test_formula_for_other_encoders(encoder_fields, pause_config):
    config = PaumerConfig(**{**SMALL, **encoder_fields})
    assert count_macs(config, (30, 45), pause_config) == counted_macs(config, (30, 45), pause_config)


def test_published_segmenter_tiny():
    # torch's counter finds 25.282231296 GFLOPs in the published Segmenter code with ViT-Ti, 150 classes, 512 x 512.
    assert 2 * count_macs(PaumerConfig.from_size("tiny", num_labels=150), (512, 512)) == 25_282_231_296


@pytest.mark.parametrize(
    ("size", "text", "speedup"),
    [
        ("tiny", "3:0.2", 1.197),
        ("tiny", "5:0.8", 1.703),
        ("tiny", "3:0.3,5:0.3", 1.533),
        ("tiny", "3:0.4,5:0.4,7:0.4", 1.847),
        ("small", "3:0.4,5:0.4,7:0.4", 1.796),
    ],
)
def test_predicted_speedup_of_table_1(size, text, speedup):
    config = PaumerConfig.from_size(size, num_labels=150)
    assert predict_speedup(config, (512, 512), PauseConfig.from_text(text)) == pytest.approx(speedup, abs=5e-4)


def test_pausing_leaves_embedding_and_decoder_as_they_are():
    config = PaumerConfig(**SMALL)
    dense, paused = (count_macs_by_part(config, (32, 32), pause_config) for pause_config in CONFIGS[:2])
    assert dense["auxiliary_head"] == 0
    assert paused["auxiliary_head"] == 64 * 24 * 7
    assert paused["encoder"] < dense["encoder"]
    for part in ("patch_embedding", "decoder"):
        assert paused[part] == dense[part]
    assert count_macs(config, (32, 32)) == sum(dense.values())


def test_layer_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="layer 9"):
        count_macs(PaumerConfig(**SMALL), (32, 32), PauseConfig({9: 0.4}))
