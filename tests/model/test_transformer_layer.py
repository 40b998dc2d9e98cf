# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from transformers import ViTConfig
from transformers.models.vit.modeling_vit import ViTLayer

from paumer_hf.model.transformer_layer import PaumerDecoderLayer, PaumerDropPath, PaumerLayer


@pytest.fixture
def layer(tiny_model):
    return tiny_model.paumer.encoder.layers[1]


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("hidden_act", ["gelu", "relu"])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_encoder_layer_is_that_of_vit(tiny_config, make_model, implementation, hidden_act, qkv_bias):
    tiny_config.hidden_act, tiny_config.qkv_bias, tiny_config.layer_norm_eps = hidden_act, qkv_bias, 1e-3
    tiny_config._attn_implementation = implementation
    layer = make_model(tiny_config).paumer.encoder.layers[0]
    config = ViTConfig(
        hidden_size=32,
        num_attention_heads=4,
        intermediate_size=48,
        hidden_act=hidden_act,
        qkv_bias=qkv_bias,
        layer_norm_eps=1e-3,
        attn_implementation="eager",
    )
    reference = ViTLayer(config).eval()
    reference.load_state_dict(layer.state_dict())
    hidden_states = torch.randn(2, 9, 32)
    torch.testing.assert_close(layer(hidden_states), reference(hidden_states))


def test_tokens_are_a_set(layer):
    """Without positions a permutation of the tokens permutes the output, and other images have no influence."""
    hidden_states = torch.randn(3, 9, 32)
    permutation = torch.randperm(9)
    torch.testing.assert_close(layer(hidden_states)[:, permutation], layer(hidden_states[:, permutation]))
    torch.testing.assert_close(layer(hidden_states)[1:2], layer(hidden_states[1:2]))


def test_attention_weights_are_returned_by_the_eager_implementation(tiny_config, make_model):
    hidden_states = torch.randn(2, 9, 32)
    for implementation in ("eager", "sdpa"):
        tiny_config._attn_implementation = implementation
        attention = make_model(tiny_config).paumer.encoder.layers[0].attention
        _, weights = attention(hidden_states)
        if implementation == "eager":
            assert weights.shape == (2, 4, 9, 9)
            torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 9))
        else:
            assert weights is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_half_precision_is_close(layer, dtype, implementation):
    hidden_states = torch.randn(2, 9, 32)
    expected = layer(hidden_states)
    layer.attention.config._attn_implementation = implementation
    result = layer.to(dtype)(hidden_states.to(dtype))
    assert result.dtype == dtype
    torch.testing.assert_close(result.float(), expected, rtol=0.05, atol=0.1)


def test_fused_attention_in_bfloat16_on_cpus_is_the_plain_one(layer):
    hidden_states = torch.randn(2, 9, 32).bfloat16()
    layer.bfloat16()
    layer.attention.config._attn_implementation = "sdpa"
    fused = layer.attention(hidden_states)
    layer.attention.config._attn_implementation = "eager"
    plain = layer.attention(hidden_states)
    assert fused[0].equal(plain[0])


# --- what happens in training only ---


def test_drop_path_keeps_the_expectation_and_drops_whole_images():
    drop_path = PaumerDropPath(0.4).train()
    branch = torch.rand(20000, 3, 2) + 0.5
    factors = drop_path(branch) / branch
    assert factors.isclose(factors[:, :1, :1]).all()
    kept = factors[:, 0, 0] != 0
    torch.testing.assert_close(factors[kept], torch.full((int(kept.sum()), 3, 2), 1 / 0.6))
    # The mean of 20000 draws has a standard deviation of 0.006.
    assert abs(factors.mean() - 1) < 0.03


def test_drop_path_is_off_in_evaluation():
    branch = torch.randn(50, 3, 2)
    assert PaumerDropPath(0.9).eval()(branch) is branch
    assert PaumerDropPath(0.0).train()(branch) is branch
    assert not PaumerDropPath(0.9).train()(branch).equal(branch)
    assert repr(PaumerDropPath(0.25)) == "PaumerDropPath(drop_prob=0.25)"


def test_drop_path_rises_with_the_depth(tiny_config, make_model):
    tiny_config.drop_path_rate = 0.3
    layers = make_model(tiny_config).paumer.encoder.layers
    assert [round(layer.drop_path.drop_prob, 9) for layer in layers] == [0.0, 0.1, 0.2, 0.3]
    tiny_config.num_hidden_layers = 1
    assert PaumerLayer(tiny_config, 0).drop_path.drop_prob == 0
    assert PaumerDecoderLayer(tiny_config).drop_path.drop_prob == 0


def test_a_dropped_layer_passes_its_input_through(tiny_config):
    tiny_config.drop_path_rate = 0.99
    layer = PaumerLayer(tiny_config, 3).train()
    hidden_states = torch.randn(300, 4, 32)
    unchanged = (layer(hidden_states) == hidden_states).all(dim=2).all(dim=1)
    assert 260 < unchanged.sum() < 300


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_dropout_is_on_in_training_only(tiny_config, name, implementation):
    setattr(tiny_config, name, 0.5)
    tiny_config._attn_implementation = implementation
    layer = PaumerLayer(tiny_config, 0)
    hidden_states = torch.randn(2, 9, 32)
    layer.eval()
    assert layer(hidden_states).equal(layer(hidden_states))
    layer.train()
    assert not layer(hidden_states).equal(layer(hidden_states))


def test_decoder_layer_has_its_own_sizes(tiny_config):
    tiny_config.qkv_bias = False
    layer = PaumerDecoderLayer(tiny_config)
    assert layer(torch.randn(2, 9, 24)).shape == (2, 9, 24)
    assert layer.mlp.fc1.out_features == 40
    assert layer.attention.head_dim == 12
    assert layer.attention.q_proj.bias is not None
    assert not isinstance(layer, PaumerLayer)
