# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""ViTs with random weights in timm's layout compute the same after conversion as a reference written here."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation
from paumer_hf.conversion.source_files import Source, read_source
from paumer_hf.conversion.source_weights import ConversionError
from paumer_hf.conversion.timm_vit import convert_timm


PARITY = Path(__file__).parents[3] / "shared" / "data" / "parity"
WIDTH, HEADS, PATCH, DEPTH, INNER = 32, 4, 8, 2, 40


def make_tensors(
    grid=(4, 4), *, distilled=False, registers=0, no_embed_class=False, gated=False, layer_scale=False, missing=()
):
    """Random weights under timm's names; those whose names end in one of `missing` are left out."""
    shapes = {"cls_token": (1, 1, WIDTH), "norm.weight": (WIDTH,), "norm.bias": (WIDTH,)}
    shapes |= {"patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH), "patch_embed.proj.bias": (WIDTH,)}
    shapes |= {"head.weight": (7, WIDTH), "head.bias": (7,)}
    if distilled:
        shapes |= {"dist_token": (1, 1, WIDTH), "head_dist.weight": (7, WIDTH), "head_dist.bias": (7,)}
    if registers:
        shapes["reg_token"] = (1, registers, WIDTH)
    num_prefix = 0 if no_embed_class else 1 + int(distilled) + registers
    shapes["pos_embed"] = (1, num_prefix + grid[0] * grid[1], WIDTH)
    for index in range(DEPTH):
        block = f"blocks.{index}."
        linear = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH)}
        linear |= {"mlp.fc1": ((2 if gated else 1) * INNER, WIDTH), "mlp.fc2": (WIDTH, INNER)}
        for name, shape in linear.items():
            shapes |= {f"{block}{name}.weight": shape, f"{block}{name}.bias": shape[:1]}
        vectors = ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"]
        vectors += ["ls1.gamma", "ls2.gamma"] if layer_scale else []
        shapes |= {block + name: (WIDTH,) for name in vectors}
    tensors = {}
    for name, shape in shapes.items():
        noise = 0.2 * torch.randn(shape)
        tensors[name] = 1 + noise if "norm" in name and name.endswith("weight") else noise
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(tuple(missing))}


def reference(tensors, pixels, grid=(4, 4), *, act=F.gelu, eps=1e-6, heads=HEADS):
    """timm's `forward_features` of a batch of images, by the weights in timm's layout, in plain operations."""

    def linear(name, x):
        return F.linear(x, tensors[f"{name}.weight"], tensors.get(f"{name}.bias"))

    def norm(name, x):
        return F.layer_norm(x, x.shape[-1:], tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps)

    projection = tensors["patch_embed.proj.weight"]
    x = F.conv2d(pixels, projection, tensors["patch_embed.proj.bias"], stride=projection.shape[-1])
    new_grid, x = x.shape[-2:], x.flatten(2).transpose(1, 2)
    positions = tensors["pos_embed"]
    num_prefix = positions.shape[1] - grid[0] * grid[1]
    if new_grid != grid:
        image = positions[:, num_prefix:].transpose(1, 2).unflatten(2, grid)
        image = F.interpolate(image, size=new_grid, mode="bicubic", antialias=True)
        positions = torch.cat([positions[:, :num_prefix], image.flatten(2).transpose(1, 2)], dim=1)
    prefix = torch.cat([tensors[name] for name in ("cls_token", "dist_token", "reg_token") if name in tensors], dim=1)
    x = torch.cat([prefix.expand(len(x), -1, -1), x], dim=1)
    x[:, x.shape[1] - positions.shape[1] :] += positions
    for index in range(sum(name.endswith("norm1.weight") for name in tensors)):
        block = f"blocks.{index}."
        q, k, v = (
            linear(block + "attn.qkv", norm(block + "norm1", x)).unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        )
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        attended = linear(block + "attn.proj", (weights @ v).transpose(1, 2).flatten(2))
        x = x + attended * tensors.get(block + "ls1.gamma", torch.ones(1))
        hidden = linear(block + "mlp.fc1", norm(block + "norm2", x))
        columns = tensors[block + "mlp.fc2.weight"].shape[1]
        gated = hidden.shape[-1] == 2 * columns
        hidden = F.silu(hidden[..., :columns]) * hidden[..., columns:] if gated else act(hidden)
        x = x + linear(block + "mlp.fc2", hidden) * tensors.get(block + "ls2.gamma", torch.ones(1))
    return norm("norm", x)


def make_source(tensors, config=None):
    return Source("some/vit", Path("model.safetensors"), tensors, {}, config, None)


def tokens(converted, pixels):
    model = PaumerForSemanticSegmentation(PaumerConfig(**converted.config)).eval()
    missing, unexpected = model.load_state_dict(converted.state_dict, strict=False)
    assert not unexpected
    assert all(name.startswith(("decoder.", "paumer.auxiliary_head.")) for name in missing)
    with torch.no_grad():
        return model.paumer.to(pixels.dtype)(pixels).last_hidden_state


def assert_same_tokens(tensors, converted, grid=(4, 4), **options):
    for size in [(8 * grid[0], 8 * grid[1]), (48, 48), (24, 40), (8, 128)]:
        pixels = torch.randn(2, 3, *size, dtype=torch.float64)
        expected = reference({name: tensor.double() for name, tensor in tensors.items()}, pixels, grid, **options)
        torch.testing.assert_close(tokens(converted, pixels), expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"distilled": True},
        {"no_embed_class": True},
        {"layer_scale": True, "no_embed_class": True, "registers": 4},
        {"registers": 3},
        {"gated": True, "layer_scale": True},
        {"missing": ["attn.qkv.bias"]},
        {"missing": ["attn.proj.bias", "fc1.bias", "fc2.bias"]},
        {"missing": ["attn.proj.bias", "fc1.bias", "fc2.bias"], "gated": True},
    ],
    ids=str,
)
def test_the_tokens_are_those_of_timm_at_every_size(options):
    tensors = make_tensors(**options)
    converted = convert_timm(make_source(tensors), num_attention_heads=HEADS)
    assert_same_tokens(tensors, converted)
    assert set(converted.unused) == {name for name in tensors if name.startswith("head")}
    stored = [tensor.untyped_storage().data_ptr() for tensor in converted.state_dict.values()]
    assert len(set(stored)) == len(stored)
    assert all(tensor.dtype == torch.float32 and tensor.is_contiguous() for tensor in converted.state_dict.values())


@pytest.mark.parametrize("name", ["timm_vit", "timm_vit_layerscale_registers"])
def test_features_of_timm_itself(name):
    if not (PARITY / name).is_dir():
        pytest.skip(f"needs {PARITY / name}")
    expected = load_file(PARITY / name / "expected.safetensors")
    source = read_source(PARITY / name)
    converted = convert_timm(source)
    assert converted.config["num_attention_heads"] == 2
    torch.testing.assert_close(tokens(converted, expected["pixel_values"]), expected["features"], atol=1e-5, rtol=0)
    by_reference = reference(source.tensors, expected["pixel_values"], (8, 8), heads=2)
    torch.testing.assert_close(by_reference, expected["features"], atol=1e-5, rtol=0)


def test_fields_of_the_arguments_of_the_class():
    tensors = make_tensors((3, 5), layer_scale=True, registers=2, no_embed_class=True)
    config = {"img_size": [24, 40], "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4, "reg_tokens": 2}
    config |= {"init_values": 0.1, "layer_norm_eps": 1e-3, "act_layer": "gelu_tanh", "no_embed_class": True}
    config |= {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    converted = convert_timm(make_source(tensors, config))
    assert converted.config["image_size"] == (24, 40)
    assert converted.config["layer_scale_init_value"] == 0.1
    assert (converted.image_mean, converted.image_std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert not converted.notes
    assert_same_tokens(tensors, converted, (3, 5), act=lambda x: F.gelu(x, approximate="tanh"), eps=1e-3)


def test_fields_of_a_model_on_the_hub():
    tensors = make_tensors((3, 5))
    pretrained = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "input_size": [3, 24, 40]}
    config = {"architecture": "vit_tiny_patch8", "pretrained_cfg": pretrained, "model_args": {"num_heads": 8}}
    converted = convert_timm(make_source(tensors, config))
    assert (converted.image_mean, converted.image_std) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert not converted.notes
    assert_same_tokens(tensors, converted, (3, 5), heads=8)


def test_another_input_size_than_that_of_the_positions_leaves_them_square():
    tensors = make_tensors((4, 4))
    config = {"pretrained_cfg": {"input_size": [3, 48, 48]}, "num_heads": HEADS}
    assert convert_timm(make_source(tensors, config)).config["image_size"] == (32, 32)


@pytest.mark.parametrize("no_embed_class", [False, True])
def test_the_configuration_decides_between_two_square_grids(no_embed_class):
    # 9 positions: 3 x 3 patches, or 2 x 2 patches after [CLS] and four registers.
    grid = (3, 3) if no_embed_class else (2, 2)
    tensors = make_tensors(grid, registers=4, no_embed_class=no_embed_class)
    for config in ({"no_embed_class": no_embed_class}, {"img_size": 8 * grid[0]}):
        converted = convert_timm(make_source(tensors, {"num_heads": HEADS, **config}))
        assert_same_tokens(tensors, converted, grid)
    with pytest.raises(ConversionError, match="9 positions of 'pos_embed' fit a square grid in 2 ways"):
        convert_timm(make_source(tensors, {"num_heads": HEADS}))


def widened(tensors, width):
    """Weights of another width, of which only the shapes matter."""
    factor = width // WIDTH
    return {
        name: torch.zeros([side * factor if side in (WIDTH, 3 * WIDTH) else side for side in tensor.shape])
        for name, tensor in tensors.items()
    }


@pytest.mark.parametrize(("width", "heads"), [(192, 3), (768, 12), (1280, 16)])
def test_a_number_of_heads_that_nobody_says_is_that_of_timm(width, heads):
    converted = convert_timm(make_source(widened(make_tensors(), width)))
    assert converted.config["num_attention_heads"] == heads
    assert any(f"{heads}, as timm's ViTs of the width {width} have" in note for note in converted.notes)


@pytest.mark.parametrize("width", [32, 1088])
def test_a_number_of_heads_that_nobody_knows_is_asked_for(width):
    with pytest.raises(ConversionError, match=f"share the width {width}; give `num_attention_heads`"):
        convert_timm(make_source(widened(make_tensors(), width)))


@pytest.mark.parametrize(
    ("options", "patch", "mean"), [({}, 8, 0.5), ({"distilled": True}, 8, 0.485), ({}, 14, 0.485)]
)
def test_a_normalisation_that_nobody_says_is_that_of_the_family(options, patch, mean):
    tensors = make_tensors(**options)
    tensors["patch_embed.proj.weight"] = torch.zeros(WIDTH, 3, patch, patch)
    converted = convert_timm(make_source(tensors), num_attention_heads=HEADS)
    assert converted.image_mean[0] == mean
    assert any("Nothing beside the weights says how images are normalised" in note for note in converted.notes)


def test_a_mask_token_means_that_dinov2_resizes_positions_otherwise():
    tensors = make_tensors()
    without = convert_timm(make_source(tensors), num_attention_heads=HEADS)
    converted = convert_timm(make_source({**tensors, "mask_token": torch.zeros(1, WIDTH)}), num_attention_heads=HEADS)
    assert "mask_token" in converted.unused
    assert ["'mask_token'" in note for note in converted.notes if note not in without.notes] == [True]


def test_the_biases_of_keys_are_theirs():
    # They change no output: softmax does not see what is added to all keys.
    tensors = make_tensors()
    found = convert_timm(make_source(tensors), num_attention_heads=HEADS).state_dict
    bias = found["paumer.encoder.layers.1.attention.k_proj.bias"]
    assert torch.equal(bias, tensors["blocks.1.attn.qkv.bias"][WIDTH : 2 * WIDTH])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"embed_dim": 64}, "`embed_dim` is 64 by config.json, but 32 by the weights"),
        ({"depth": 3}, "`depth` is 3 by config.json, but 2 by the weights"),
        ({"model_args": {"patch_size": 16}}, "`patch_size` is 16 by config.json, but 8 by the weights"),
        ({"reg_tokens": 4}, "`reg_tokens` is 4 by config.json, but 0 by the weights"),
        ({"img_size": 48}, "17 positions of 'pos_embed' fit that of the `img_size` 48 in 0 ways"),
        ({"img_size": [48]}, r"image size of config.json must be \(height, width\)"),
        ({"no_embed_class": True}, "17 positions of 'pos_embed' fit a square grid in 0 ways"),
        ({"num_heads": 2}, "`num_attention_heads` is given as 4, but `num_heads` of config.json is 2"),
        ({"act_layer": "mish"}, "`act_layer` of config.json is 'mish'"),
        ({"init_values": 1e-5}, "the weight 'blocks.0.ls1.gamma' is missing"),
        ({"mean": [0.5], "std": [0.5]}, "`mean` of config.json must be three numbers"),
    ],
)
def test_a_configuration_of_another_model_is_refused(config, message):
    with pytest.raises(ConversionError, match=message):
        convert_timm(make_source(make_tensors(), config), num_attention_heads=HEADS)


@pytest.mark.parametrize("heads", [5, 0])
def test_heads_that_do_not_divide_the_width_are_refused(heads):
    with pytest.raises(ConversionError, match=f"{heads} attention heads cannot share the width 32"):
        convert_timm(make_source(make_tensors()), num_attention_heads=heads)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cls_token": None}, "'cls_token' is missing"),
        ({"blocks.1.attn.proj.bias": None}, "'blocks.1.attn.proj.bias' is missing"),
        ({"blocks.1.attn.qkv.bias": None}, "'blocks.1.attn.qkv.bias' is missing"),
        ({"blocks.1.norm2.weight": torch.zeros(31)}, r"'blocks.1.norm2.weight' has the shape \(31,\)"),
        ({"pos_embed": torch.zeros(17, 32)}, "'pos_embed' has the shape .* must have 3 dimensions"),
        ({"blocks.0.attn.q_norm.weight": torch.zeros(8)}, "no place for 1 .* 'blocks.0.attn.q_norm.weight'"),
        ({"norm_pre.weight": torch.zeros(32)}, "no place for 1 .* 'norm_pre.weight'"),
        ({"fc_norm.weight": torch.zeros(32), "norm.weight": None}, "normalises only the mean of its patches"),
        ({"patch_embed.proj.weight": torch.zeros(32, 3, 8, 16)}, "patches of 8 x 16 pixels in 3 channels"),
        ({"patch_embed.proj.weight": torch.zeros(32, 1, 8, 8)}, "patches of 8 x 8 pixels in 1 channels"),
    ],
)
def test_weights_of_another_network_are_refused(change, message):
    tensors = {name: tensor for name, tensor in {**make_tensors(), **change}.items() if tensor is not None}
    with pytest.raises(ConversionError, match=message):
        convert_timm(make_source(tensors), num_attention_heads=HEADS)


def test_the_fields_can_be_written_to_json():
    fields = convert_timm(make_source(make_tensors()), num_attention_heads=HEADS).config
    assert json.loads(json.dumps(fields)) == {**fields, "image_size": [32, 32]}
