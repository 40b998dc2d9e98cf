# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig

from paumer_hf import PaumerConfig


@pytest.mark.parametrize(
    ("size", "hidden_size", "num_layers", "num_heads"),
    [("tiny", 192, 12, 3), ("small", 384, 12, 6), ("base", 768, 12, 12), ("large", 1024, 24, 16)],
)
def test_sizes_are_those_of_vit(size, hidden_size, num_layers, num_heads):
    config = PaumerConfig.from_size(size)
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (
        hidden_size,
        num_layers,
        num_heads,
    )
    assert config.intermediate_size == 4 * hidden_size
    assert config.patch_size == 16
    assert config.decoder_type == "mask_transformer"
    assert (config.decoder_hidden_size, config.decoder_num_hidden_layers) == (hidden_size, 2)
    assert config.decoder_num_attention_heads == hidden_size // 64
    assert config.decoder_intermediate_size == 4 * hidden_size
    assert config.hidden_size // config.num_attention_heads == 64


def test_sizes_take_overrides():
    config = PaumerConfig.from_size("small", num_hidden_layers=5, decoder_type="linear", num_labels=7)
    assert (config.hidden_size, config.num_hidden_layers, config.decoder_type) == (384, 5, "linear")
    assert config.num_labels == 7
    with pytest.raises(ValueError, match=r"`size` must be one of \['tiny', 'small', 'base', 'large'\], but is 'huge'"):
        PaumerConfig.from_size("huge")


def test_defaults_are_the_paper():
    config = PaumerConfig()
    assert config.to_dict() == PaumerConfig.from_size("tiny").to_dict()
    assert config.trained_pause_layers == (3, 4, 5, 6, 7, 8, 9)
    assert tuple(config.train_pause_ratios) == (0.2, 0.8)
    assert tuple(config.train_num_pause_layers) == (1,)
    assert config.train_pause_criterion == "entropy"
    assert config.auxiliary_loss_weight == 0.1
    assert config.semantic_loss_ignore_index == 255
    assert config.num_prefix_tokens == 1


@pytest.mark.parametrize(
    ("num_layers", "layers"),
    [(1, ()), (2, (1,)), (3, (1, 2)), (4, (3,)), (6, (3, 4, 5)), (10, tuple(range(3, 10))), (24, tuple(range(3, 10)))],
)
def test_train_pause_layers_follow_the_depth(num_layers, layers):
    config = PaumerConfig(num_hidden_layers=num_layers)
    assert config.trained_pause_layers == layers
    assert config.train_pause_layers is None, "a checkpoint loaded with fewer layers follows them"


@pytest.mark.parametrize(
    ("image_size", "grid"), [(512, (32, 32)), ((32, 48), (2, 3)), ([33, 47], (3, 3)), (1, (1, 1)), (17, (2, 2))]
)
def test_patch_grid(image_size, grid):
    assert PaumerConfig(image_size=image_size).patch_grid == grid


def test_saves_and_loads(tiny_config, tmp_path):
    tiny_config.save_pretrained(tmp_path)
    for config_class in (PaumerConfig, AutoConfig):
        loaded = config_class.from_pretrained(tmp_path)
        assert type(loaded) is PaumerConfig
        assert json.loads(loaded.to_json_string()) == json.loads(tiny_config.to_json_string())
        assert loaded.patch_grid == tiny_config.patch_grid == (5, 6)
        assert loaded.id2label == {0: "road", 1: "tree", 2: "sky"}
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "paumer"


def test_tokens_before_the_patches(make_tiny_config):
    assert make_tiny_config().num_prefix_tokens == make_tiny_config().num_prefix_positions == 1
    config = make_tiny_config(use_distillation_token=True, num_register_tokens=3)
    assert config.num_prefix_tokens == config.num_prefix_positions == 5
    config = make_tiny_config(num_register_tokens=3, num_prefix_position_embeddings=0)
    assert (config.num_prefix_tokens, config.num_prefix_positions) == (4, 0)


def test_the_amount_of_pausing_is_no_part_of_it():
    assert not [name for name in PaumerConfig().to_dict() if name.startswith("pause")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 0}, "`hidden_size` must be at least 1, but is 0"),
        ({"num_hidden_layers": 0}, "`num_hidden_layers` must be at least 1, but is 0"),
        ({"num_attention_heads": -1}, "`num_attention_heads` must be at least 1, but is -1"),
        ({"patch_size": 0, "image_size": 1}, "`patch_size`"),
        ({"num_channels": 0}, "`num_channels` must be at least 1, but is 0"),
        ({"num_attention_heads": 5}, "`hidden_size` must be a multiple of `num_attention_heads`.* 192 and 5"),
        ({"decoder_num_attention_heads": 5}, "`decoder_hidden_size` must be a multiple of `decoder_num_attention_h"),
        ({"image_size": 0}, "`image_size` must be positive, but is 0"),
        ({"image_size": (0, 32)}, r"`image_size` must be positive, but is \(0, 32\)"),
        ({"image_size": [32, 32, 32]}, r"`image_size` must be an integer or \(height, width\)"),
        ({"decoder_type": "unet"}, r"`decoder_type` must be one of \['mask_transformer', 'linear'\], but is 'unet'"),
        ({"position_embedding_type": "sine"}, r"`position_embedding_type` must be one of .*, but is 'sine'"),
        ({"position_interpolation_mode": "area"}, r"`position_interpolation_mode` must be one of .*, but is 'area'"),
        ({"num_register_tokens": -1}, "`num_register_tokens` must not be negative, but is -1"),
        ({"num_prefix_position_embeddings": 2}, "`num_prefix_position_embeddings` must lie between 0 and 1, .* is 2"),
        ({"num_prefix_position_embeddings": -1}, "`num_prefix_position_embeddings` must lie between 0 and 1"),
        ({"position_embedding_type": "rotary", "hidden_size": 198}, "must be a multiple of 4, but is 66"),
        ({"position_embedding_type": "rotary", "rope_theta": 0.0}, "`rope_theta` must be positive, but is 0.0"),
        ({"drop_path_rate": 1.0}, r"`drop_path_rate` must lie in \[0, 1\), but is 1\.0"),
        ({"hidden_dropout_prob": -0.1}, r"`hidden_dropout_prob` must lie in \[0, 1\), but is -0\.1"),
        ({"attention_probs_dropout_prob": 2.0}, r"`attention_probs_dropout_prob` must lie in \[0, 1\)"),
        ({"decoder_dropout_prob": float("nan")}, r"`decoder_dropout_prob` must lie in \[0, 1\), but is nan"),
        ({"auxiliary_loss_weight": -1.0}, "`auxiliary_loss_weight` must be finite and not negative, but is -1.0"),
        ({"auxiliary_loss_weight": float("nan")}, "`auxiliary_loss_weight` must be finite .*, but is nan"),
        ({"intermediate_size": -3}, "`intermediate_size` must be at least 1, but is -3"),
        ({"decoder_num_attention_heads": 0}, "`decoder_num_attention_heads` must be at least 1, but is 0"),
        ({"decoder_hidden_size": 0}, "`decoder_hidden_size` must be at least 1, but is 0"),
        ({"decoder_num_hidden_layers": -1}, "`decoder_num_hidden_layers` must be at least 0, but is -1"),
        ({"id2label": {}}, "`num_labels` must be at least 1, but is 0"),
        ({"hidden_act": "foo"}, r"`hidden_act` must be one of \[.*'gelu'.*\], but is 'foo'"),
        ({"decoder_hidden_act": "foo"}, "`decoder_hidden_act` must be one of .*, but is 'foo'"),
        ({"train_pause_layers": (0, 1)}, "`train_pause_layers` must be different layers from 1 to 11"),
        ({"train_pause_layers": (3, 12)}, "`train_pause_layers` must be different layers from 1 to 11"),
        ({"train_pause_layers": (3, 3)}, r"`train_pause_layers` must be different.*but is \(3, 3\)"),
        ({"train_num_pause_layers": ()}, "`train_num_pause_layers` must be numbers from 0 to 7"),
        ({"train_num_pause_layers": (8,)}, r"`train_num_pause_layers` must be numbers from 0 to 7.*\(8,\)"),
        ({"train_num_pause_layers": (-1,)}, r"`train_num_pause_layers` must be numbers from 0 to 7.*\(-1,\)"),
        ({"train_pause_ratios": (0.8, 0.2)}, r"`train_pause_ratios` must be \(lowest, highest\) within \[0, 1\)"),
        ({"train_pause_ratios": (0.2, 1.0)}, r"`train_pause_ratios` must be \(lowest, highest\) within \[0, 1\)"),
        ({"train_pause_ratios": (0.2,)}, r"`train_pause_ratios` must be \(lowest, highest\) within \[0, 1\)"),
        ({"train_pause_criterion": "margin"}, "`train_pause_criterion` must be one of .*, but is 'margin'"),
        ({"hidden_size": "192"}, "hidden_size"),
        ({"hidden_size": 192.0}, "hidden_size"),
        ({"train_pause_layers": 3}, "train_pause_layers"),
        ({"train_pause_ratios": (0.2, "0.8")}, "train_pause_ratios"),
        ({"qkv_bias": "yes"}, "qkv_bias"),
    ],
    ids=str,
)
def test_refuses(fields, message):
    with pytest.raises((StrictDataclassError, ValueError, TypeError), match=message):
        PaumerConfig(**fields)
