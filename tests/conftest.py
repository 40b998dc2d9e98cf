# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: a tiny architecture, a model of it with weights that matter, and images for it."""

import pytest
import torch

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation


# The encoders of other origins, as what differs from `tiny_config`.
ENCODER_FIELDS = {
    "distilled": {"use_distillation_token": True, "qkv_bias": False},
    "layer_scale_registers": {
        "layer_scale_init_value": 0.1,
        "num_register_tokens": 3,
        "num_prefix_position_embeddings": 1,
        "position_interpolation_mode": "bicubic",
        "position_interpolation_antialias": True,
    },
    "patch_positions_only": {"num_register_tokens": 2, "num_prefix_position_embeddings": 0},
    "dinov3": {
        "position_embedding_type": "rotary",
        "num_register_tokens": 2,
        "key_bias": False,
        "layer_scale_init_value": 1.0,
        "use_gated_mlp": True,
        "hidden_act": "silu",
        "layer_norm_eps": 1e-5,
        "decoder_layer_norm_eps": 1e-3,
    },
}


@pytest.fixture(params=ENCODER_FIELDS)
def encoder_fields(request):
    """The fields of `PaumerConfig` that give the encoder of another origin."""
    return dict(ENCODER_FIELDS[request.param])


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random numbers, whichever ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def make_tiny_config():
    """A function from fields that differ to the tiny configuration with them."""
    return _tiny_config


@pytest.fixture
def tiny_config():
    """Four layers, 5 x 6 patches of 8 pixels, three classes, no dropout: training mode computes what eval mode does.

    No two sizes are equal, so that a mistaken one fails.
    """
    return _tiny_config()


def _tiny_config(**fields):
    tiny = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "image_size": (40, 48),
        "patch_size": 8,
        "decoder_num_hidden_layers": 1,
        "decoder_hidden_size": 24,
        "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 40,
        "decoder_dropout_prob": 0.0,
        "id2label": {0: "road", 1: "tree", 2: "sky"},
    }
    return PaumerConfig(**{**tiny, **fields})


@pytest.fixture
def make_model():
    """A function from a configuration to a model in eval mode, all of whose parameters differ from trivial values."""

    def make(config, model_class=PaumerForSemanticSegmentation):
        model = model_class(config).eval()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                is_scale = "layernorm" in name and name.endswith("weight")
                parameter.copy_(1 + 0.2 * noise if is_scale else 0.2 * noise)
        return model

    return make


@pytest.fixture
def tiny_model(tiny_config, make_model):
    """A PaumerForSemanticSegmentation of `tiny_config`."""
    return make_model(tiny_config)


@pytest.fixture
def tiny_images():
    """Three images of the size of `tiny_config`, (3, 3, 40, 48)."""
    return torch.randn(3, 3, 40, 48, generator=torch.Generator().manual_seed(1))
