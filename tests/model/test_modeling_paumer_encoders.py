# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What must hold for pausing whatever the encoder is: registers, rotary positions, LayerScale, gated MLPs."""

import pytest
import torch

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig


@pytest.fixture
def model(make_tiny_config, encoder_fields, make_model):
    return make_model(make_tiny_config(**encoder_fields))


def test_nothing_paused_is_the_plain_encoder(model, tiny_images):
    expected = model.paumer.embeddings(tiny_images)[0]
    output = model.paumer(tiny_images, pause_config=PauseConfig(), output_hidden_states=True)
    assert output.hidden_states[0].equal(expected)
    assert output.last_hidden_state.equal(model.paumer.layernorm(output.hidden_states[-1]))
    assert output.last_hidden_state.shape == (3, model.config.num_prefix_tokens + 30, 32)
    assert not output.pause_map.any()


@pytest.mark.parametrize("criterion", ["entropy", "random"])
def test_counts_and_representations(model, tiny_images, criterion):
    """After layers 1 and 3 of 30 patches 12 and 9 pause, each as its layer left it; the prefix goes through all."""
    config = PauseConfig({1: 0.4, 3: 0.5}, criterion=criterion, seed=4 if criterion == "random" else None)
    output = model.paumer(tiny_images, pause_config=config, output_hidden_states=True)
    num_prefix = model.config.num_prefix_tokens
    assert [states.shape[1] - num_prefix for states in output.hidden_states] == [30, 30, 18, 18, 9]
    for layer, count in ((0, 9), (1, 12), (3, 9)):
        assert (output.pause_map == layer).flatten(1).sum(1).tolist() == [count] * 3
    first = model.paumer.layernorm(output.hidden_states[1][:, num_prefix:])
    paused_first = output.pause_map.flatten(1) == 1
    torch.testing.assert_close(output.last_hidden_state[:, num_prefix:][paused_first], first[paused_first])
    last = model.paumer.layernorm(output.hidden_states[-1][:, :num_prefix])
    torch.testing.assert_close(output.last_hidden_state[:, :num_prefix], last)


def test_images_do_not_influence_each_other(model, tiny_images):
    config = PauseConfig({1: 0.4, 3: 0.5})
    together = model(tiny_images, pause_config=config)
    for image in range(3):
        alone = model(tiny_images[image : image + 1], pause_config=config)
        assert alone.pause_map[0].equal(together.pause_map[image])
        torch.testing.assert_close(alone.logits[0], together.logits[image], rtol=1e-4, atol=1e-4)


def test_any_image_size(model):
    for height, width in ((8, 8), (33, 70), (96, 24)):
        output = model(torch.randn(1, 3, height, width), pause_config={1: 0.5})
        assert output.logits.shape == (1, 3, -(-height // 8), -(-width // 8))
        assert output.logits.isfinite().all()


def test_every_parameter_learns(model, tiny_images):
    model.train()
    model(tiny_images, labels=torch.randint(0, 3, (3, 40, 48)), pause_config={1: 0.4}).loss.backward()
    for name, parameter in model.named_parameters():
        # A constant added to all keys changes no attention weight.
        if not name.endswith("k_proj.bias"):
            assert parameter.grad.abs().max() > 0, name


def test_attention_implementations_agree(model, tiny_images):
    outputs = []
    for implementation in ("eager", "sdpa"):
        model.set_attn_implementation(implementation)
        outputs.append(model(tiny_images, pause_config={1: 0.4, 3: 0.5}))
    assert outputs[0].pause_map.equal(outputs[1].pause_map)
    torch.testing.assert_close(outputs[0].logits, outputs[1].logits, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_compiles_to_one_graph(make_tiny_config, encoder_fields, make_model, tiny_images):
    config = make_tiny_config(**encoder_fields, num_hidden_layers=2, train_pause_layers=(1,), decoder_type="linear")
    model = make_model(config)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, dynamic=False, backend="eager")
    with torch.no_grad():
        for pause_config in (PauseConfig(), PauseConfig({1: 0.4})):
            expected = model(tiny_images, pause_config=pause_config)
            output = compiled(tiny_images, pause_config=pause_config)
            assert output.pause_map.equal(expected.pause_map)
            torch.testing.assert_close(output.logits, expected.logits)
    torch.compiler.reset()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(model, tiny_images, dtype):
    config = PauseConfig({1: 0.4, 3: 0.5}, criterion="random", seed=1)
    expected = model(tiny_images, pause_config=config)
    output = model.to(dtype)(tiny_images, pause_config=config)
    assert output.logits.dtype == dtype
    assert output.pause_map.equal(expected.pause_map)
    assert (output.logits.float() - expected.logits).abs().max() < {torch.float16: 0.05, torch.bfloat16: 0.4}[dtype]


def test_saved_and_loaded(model, tiny_images, tmp_path):
    model.save_pretrained(tmp_path)
    loaded, information = PaumerForSemanticSegmentation.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(information.values())
    assert loaded(tiny_images).logits.equal(model(tiny_images).logits)


def test_new_weights(make_tiny_config, encoder_fields):
    """A new model has the LayerScale that the configuration says, and tokens that differ from each other."""
    model = PaumerForSemanticSegmentation(make_tiny_config(**encoder_fields))
    for name, parameter in model.named_parameters():
        if "layer_scale" in name:
            assert parameter.eq(model.config.layer_scale_init_value).all(), name
        if name.startswith("paumer.embeddings") and not name.endswith("bias"):
            assert 0.01 < parameter.std() < 0.03, name
