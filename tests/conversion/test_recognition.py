# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

import pytest
import torch
from transformers import (
    BeitConfig,
    BeitModel,
    DeiTConfig,
    DeiTModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    SwinConfig,
    SwinModel,
    ViTConfig,
    ViTForImageClassification,
)

from paumer_hf import PaumerModel
from paumer_hf.conversion.recognition import DESCRIPTIONS, HUGGING_FACE_MODEL_TYPES, KINDS, SIGNS, recognise_kind
from paumer_hf.conversion.source_files import Source, read_source
from paumer_hf.conversion.source_weights import ConversionError


PARITY = Path(__file__).resolve().parents[3] / "shared" / "data" / "parity"
BLOCK = ("norm1.weight", "attn.qkv.weight", "attn.proj.weight", "mlp.fc1.weight")
TIMM = ["cls_token", "pos_embed", "patch_embed.proj.weight", *(f"blocks.0.{name}" for name in BLOCK), "norm.weight"]
ENCODER = [f"encoder.{key}" for key in TIMM]
MMSEG_LAYER = "backbone.layers.0.attn.attn.in_proj_weight"
BACKBONE = ["backbone.cls_token", "backbone.patch_embed.projection.weight", MMSEG_LAYER, "backbone.ln1.weight"]
CONV_SEG = ["decode_head.conv_seg.weight", "decode_head.conv_seg.bias"]
AUGREG = ["cls", "embedding/kernel", "Transformer/encoderblock_0/LayerNorm_0/scale", "Transformer/encoder_norm/bias"]
HUGGING_FACE = [
    "vit.embeddings.cls_token",
    "vit.embeddings.patch_embeddings.projection.weight",
    "vit.layernorm.weight",
]
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
TINY |= {"image_size": 16, "patch_size": 8}


def make_source(keys, config=None, name="the source"):
    return Source(name, Path("misleading_timm_segmenter.npz"), dict.fromkeys(keys, torch.zeros(1)), {}, config, None)


def assert_refused(source, *parts):
    with pytest.raises(ConversionError) as caught:
        recognise_kind(source)
    message = str(caught.value)
    assert message.startswith(source.name)
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("segmenter", [*ENCODER, "decoder.cls_emb", "decoder.proj_patch"]),
        ("segmenter", [*ENCODER, "decoder.head.weight"]),
        ("mmsegmentation", [*BACKBONE, "decode_head.cls_emb", "decode_head.layers.0.ln1.weight"]),
        ("mmsegmentation", [*BACKBONE, *CONV_SEG, "auxiliary_head.0.conv_seg.weight"]),
        ("timm", TIMM),
        ("timm", [*TIMM, "reg_token", "blocks.0.ls1.gamma", "head.weight"]),
        ("augreg", AUGREG),
        ("augreg", [*AUGREG, "pre_logits/kernel", "head/kernel"]),
    ],
)
@pytest.mark.parametrize("config", [None, {}, {"num_heads": 3}, {"model_type": "bert"}])
def test_the_names_of_the_weights_decide(kind, keys, config):
    assert recognise_kind(make_source(keys, config)) == kind
    assert recognise_kind(make_source(reversed(keys), config)) == kind


@pytest.mark.parametrize(
    ("config_class", "model_class"),
    [
        (ViTConfig, ViTForImageClassification),
        (DeiTConfig, DeiTModel),
        (Dinov2Config, Dinov2Model),
        (Dinov2WithRegistersConfig, Dinov2WithRegistersModel),
        (DINOv3ViTConfig, DINOv3ViTModel),
    ],
)
def test_models_of_transformers_are_recognised_as_they_are_saved(tmp_path, config_class, model_class):
    model = model_class(config_class(**TINY))
    model.save_pretrained(tmp_path)
    assert model.config.model_type in HUGGING_FACE_MODEL_TYPES
    assert recognise_kind(read_source(tmp_path)) == "hugging_face"


@pytest.mark.parametrize("model_type", HUGGING_FACE_MODEL_TYPES)
def test_every_known_type_of_transformers_is_accepted(model_type):
    assert recognise_kind(make_source(HUGGING_FACE, {"model_type": model_type})) == "hugging_face"


@pytest.mark.parametrize(("config_class", "model_class"), [(BeitConfig, BeitModel), (SwinConfig, SwinModel)])
def test_other_models_of_transformers_are_refused_by_type(tmp_path, config_class, model_class):
    sizes = {"embed_dim": 16, "depths": [1], "num_heads": [2], "window_size": 2} if model_class is SwinModel else TINY
    model_class(config_class(**{**sizes, "image_size": 16})).save_pretrained(tmp_path)
    model_type = config_class.model_type
    assert_refused(read_source(tmp_path), f"of type '{model_type}'", ", ".join(HUGGING_FACE_MODEL_TYPES))


@pytest.mark.parametrize("config", [None, {}, {"net_kwargs": {}}])
def test_weights_of_transformers_need_their_configuration(config):
    assert_refused(make_source(HUGGING_FACE, config), "no config.json", "attention heads", "put the config.json")


def test_a_checkpoint_of_paumer_needs_no_conversion(tmp_path, tiny_model):
    tiny_model.save_pretrained(tmp_path / "whole")
    PaumerModel(tiny_model.config).save_pretrained(tmp_path / "encoder")
    for folder in ("whole", "encoder"):
        assert_refused(read_source(tmp_path / folder), "PAUMER already", "from_pretrained")
    assert_refused(make_source(tiny_model.state_dict()), "PAUMER already", "from_pretrained")


def test_another_head_of_mmsegmentation_is_refused():
    source = make_source([*BACKBONE, *CONV_SEG, "decode_head.psp_modules.0.1.conv.weight"])
    assert_refused(source, "its decode_head is not Segmenter's", "3 weights", "decode_head.psp_modules")
    assert_refused(
        make_source([*BACKBONE, "decode_head.convs.0.weight"]), "'decode_head.cls_emb'", "'decode_head.conv"
    )


@pytest.mark.parametrize(
    "layer", ["backbone.layer1.0.conv1.weight", "backbone.stages.0.blocks.0.attn.w_msa.qkv.weight"]
)
@pytest.mark.parametrize("head", [CONV_SEG, ["decode_head.cls_emb"]])
def test_another_backbone_of_mmsegmentation_is_refused(layer, head):
    source = make_source(["backbone.patch_embed.projection.weight", layer, *head])
    assert_refused(source, "its backbone is not the VisionTransformer", MMSEG_LAYER, layer)


@pytest.mark.parametrize(
    "keys",
    [
        ENCODER,
        ["decoder.cls_emb", "decoder.proj_patch"],
        ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight"],
        ["patch_embed.proj.weight", "layers.0.blocks.0.attn.qkv.weight", "layers.0.blocks.0.norm1.weight"],
        ["conv_root/kernel", "block1/unit1/conv1/kernel", *AUGREG],
        ["stem/kernel", "MixerBlock_0/token_mixing/Dense_0/kernel", "pre_head_layer_norm/scale"],
        [f"timm_model.{key}" for key in TIMM],
        ["token_embed.weight", "blocks.0.attn.qkv.weight", "norm.weight"],
        BACKBONE,
        ["weight"],
    ],
    ids=["encoder", "decoder", "resnet", "swin", "hybrid", "mixer", "wrapped", "text", "backbone", "linear"],
)
@pytest.mark.parametrize("config", [None, {"model_type": "vit"}])
def test_networks_of_no_known_kind_are_shown_with_the_kinds(keys, config):
    first = [repr(key) for key in keys[:5]]
    assert_refused(make_source(keys, config), f"{len(keys)} weights, ", *first, *DESCRIPTIONS.values())


def test_a_source_of_two_kinds_is_left_to_the_user():
    source = make_source([*TIMM, *HUGGING_FACE], {"model_type": "vit"})
    assert_refused(
        source, DESCRIPTIONS["timm"], DESCRIPTIONS["hugging_face"], "pass `kind`", "'timm' or 'hugging_face'"
    )


def test_every_kind_has_its_signs_and_words():
    assert set(KINDS) == set(SIGNS) == set(DESCRIPTIONS)


@pytest.mark.skipif(
    not PARITY.is_dir(), reason="the networks to test conversion against are not beside the repository"
)
def test_files_of_other_libraries_are_recognised():
    names = ("checkpoint.pth", "model.safetensors", "weights.npz")
    files = [path for path in PARITY.glob("*/*") if path.name in names]
    assert len(files) == 8
    for path in files:
        expected = re.match("[a-z]+", path.parent.name)[0].replace("mmseg", "mmsegmentation")
        assert recognise_kind(read_source(path)) == expected
