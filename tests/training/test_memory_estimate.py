# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The counted memory of a step against what a step on this machine saves and allocates."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.training.memory_estimate import count_step_memory


SIZE, NUM_IMAGES = (64, 96), 2


def make_config(**fields) -> PaumerConfig:
    small = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": SIZE}
    small["decoder_num_hidden_layers"] = 1
    # Without dropout CPUs compute fused attention as GPUs do.
    return PaumerConfig(**{**small, "num_labels": 30, "drop_path_rate": 0.1, "decoder_dropout_prob": 0.0, **fields})


def make_step(config: PaumerConfig, pause_config: PauseConfig):
    """A function that runs the forward pass of a real model, and its storages that do not count."""
    model = PaumerForSemanticSegmentation(config).train()
    images = torch.randn(NUM_IMAGES, 3, *SIZE)
    labels = torch.randint(0, config.num_labels, (NUM_IMAGES, *SIZE))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    known = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), images, labels)}
    return lambda: model(images, labels=labels, pause_config=pause_config).loss, known


def measure_saved(config: PaumerConfig, pause_config: PauseConfig) -> int:
    """Bytes of all that autograd keeps between the passes."""
    forward, known = make_step(config, pause_config)
    sizes = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = forward()
    assert loss.isfinite()
    return sum(sizes.values())


def measure_peak(config: PaumerConfig, pause_config: PauseConfig) -> int:
    """The most that the allocator has given out at a time during both passes."""
    forward, _ = make_step(config, pause_config)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        forward().backward()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    assert len(events) > 100
    return peak


@pytest.mark.parametrize("text", ["", "1:0.3,2:0.2"])
def test_the_count_is_what_a_real_step_takes(text):
    config, pause_config = make_config(), PauseConfig.from_text(text)
    counted = count_step_memory(config, SIZE, NUM_IMAGES, pause_config)
    assert counted.saved == pytest.approx(measure_saved(config, pause_config), rel=0.02)
    assert counted.peak == pytest.approx(measure_peak(config, pause_config), rel=0.02)


@pytest.mark.parametrize(
    "fields",
    [
        {"decoder_type": "linear"},
        {"num_register_tokens": 4, "layer_scale_init_value": 0.1, "use_gated_mlp": True},
        {"position_embedding_type": "rotary"},
    ],
)
def test_the_count_follows_the_architecture(fields):
    config, pause_config = make_config(**fields), PauseConfig({1: 0.5})
    counted = count_step_memory(config, SIZE, NUM_IMAGES, pause_config)
    assert counted.saved == pytest.approx(measure_saved(config, pause_config), rel=0.02)


def test_dropout_in_attention_stores_no_weights_of_attention():
    """As on GPUs; on CPUs it would store N times N numbers for each head."""
    tokens = 24 * 24
    without, with_dropout = (
        count_step_memory(make_config(decoder_dropout_prob=rate), (384, 384), 1, PauseConfig()) for rate in (0.0, 0.1)
    )
    # Masks of the other dropouts of the decoder layer, and what they leave; a byte and four for each number.
    others = (4 + 2) * (tokens + 30) * 64 * 5
    assert without.saved < with_dropout.saved < without.saved + 1.2 * others
    assert others < 2 * tokens**2 * 4


def test_memory_is_in_proportion_to_the_images():
    one, four = (count_step_memory(make_config(), SIZE, number, PauseConfig()) for number in (1, 4))
    assert four.saved == pytest.approx(4 * one.saved, rel=0.01)
    assert four.peak == pytest.approx(4 * one.peak, rel=0.15)  # gradients do not depend on the images


def test_pausing_half_precision_and_checkpointing_save_memory():
    config = make_config(num_labels=2, num_hidden_layers=4)

    def saved(pause_config=None, **options):
        return count_step_memory(config, (256, 256), 1, pause_config or PauseConfig(), **options).saved

    dense = saved()
    # Three of four layers have a tenth of the patches; two images of the classes' logits are kept instead of one.
    assert saved(PauseConfig({1: 0.9})) < 0.7 * dense
    assert saved(dtype=torch.bfloat16) < 0.8 * dense
    assert saved(gradient_checkpointing=True) < 0.5 * dense


def test_a_configuration_of_any_size_is_counted_without_its_memory():
    counted = count_step_memory(make_config(hidden_size=4096, num_hidden_layers=2), (4096, 4096), 64, PauseConfig())
    assert counted.peak > counted.saved > 2**40


def test_the_configuration_is_left_alone():
    config = make_config()
    before = config.to_dict(), config._attn_implementation
    count_step_memory(config, SIZE, 1, PauseConfig(), gradient_checkpointing=True)
    assert (config.to_dict(), config._attn_implementation) == before
