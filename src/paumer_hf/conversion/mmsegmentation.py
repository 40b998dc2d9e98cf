# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Segmenters that were trained with mmsegmentation 0.x or 1.x, with the configuration beside or inside the file."""

import ast
import warnings
from collections.abc import Mapping
from typing import Any

from paumer_hf.conversion.segmenter import (
    LayerNames,
    Translation,
    choose_decoder_heads,
    choose_heads,
    choose_image_size,
)
from paumer_hf.conversion.settings import Settings
from paumer_hf.conversion.source_files import Source
from paumer_hf.conversion.source_weights import (
    HALF_NORMALISATION,
    Channels,
    ConversionError,
    ConvertedWeights,
    SourceWeights,
)


# Parsing takes some seconds for each million characters; the longest configurations have some ten thousand.
CONFIG_TEXT_LIMIT = 1_000_000

ACTIVATIONS = {"GELU": "gelu", "ReLU": "relu", "SiLU": "silu"}

# What mmsegmentation's configurations of Segmenter say, and what its classes take where a configuration is silent.
SEGMENTER_ENCODER_EPS, DEFAULT_EPS = 1e-6, 1e-5
DEFAULT_NUM_HEADS = 12

# Where 1.x and 0.x say how images are normalised.
NORMALIZATION_GROUPS = ("data_preprocessor", "img_norm_cfg")


class _Computed:
    """Stands for an expression in a configuration, which is never evaluated."""

    def __init__(self, line: int) -> None:
        self.line = line

    def __repr__(self) -> str:
        return f"computed in line {self.line}"


def parse_config_text(text: str) -> dict[str, Any]:
    """The variables of a configuration in Python, read without running anything.

    Args:
        text: Assignments of literals and of `dict(name=value, ...)`, as mmcv and mmengine write them into
            checkpoints. Everything else is skipped; where it is a value, a placeholder stands for it.

    Raises:
        ValueError: If it is no Python or too long.
    """
    if len(text) > CONFIG_TEXT_LIMIT:
        raise ValueError(f"it has {len(text)} characters, more than {CONFIG_TEXT_LIMIT}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f"it cannot be parsed as Python ({type(error).__name__})") from error
    variables: dict[str, Any] = {}
    for statement in body:
        if isinstance(statement, ast.Assign):
            value = _read_literal(statement.value)
            variables |= {target.id: value for target in statement.targets if isinstance(target, ast.Name)}
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Dict):
            # mmengine writes one dictionary for all if the name of a variable is no identifier.
            variables |= _read_literal(statement.value)
    return variables


def _read_literal(node: ast.expr) -> Any:
    """The value of a literal or of `dict(...)`; its brackets, which Python limits, limit the recursion."""
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str()):
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List() | ast.Tuple():
            return [_read_literal(element) for element in node.elts]
        case ast.Dict():
            pairs = zip(node.keys, node.values, strict=True)
            return {key.value: _read_literal(value) for key, value in pairs if isinstance(key, ast.Constant)}
        case ast.Call(func=ast.Name(id="dict"), args=[]):
            return {keyword.arg: _read_literal(keyword.value) for keyword in node.keywords if keyword.arg}
    return _Computed(node.lineno)


def convert_mmsegmentation(source: Source, *, num_attention_heads: int | None = None) -> ConvertedWeights:
    """Turn a Segmenter of mmsegmentation into PAUMER's weights.

    One thing differs, as in `convert_segmenter`: images of another shape with as many patches.

    Args:
        source: With the configuration of the model in model_config.json beside the weights or in `meta` inside the
            file; without, what it would say is taken from mmsegmentation's own configurations of Segmenter.
        num_attention_heads: Heads of the encoder, if no configuration says it.

    Raises:
        ConversionError: If weights are missing, left over or of wrong shape, or the configuration contradicts them,
            cannot be read or describes something that PAUMER does not have.
    """
    translation = Translation(SourceWeights(source.name, source.tensors))
    meta = source.metadata.get("meta", source.metadata)
    meta = meta if isinstance(meta, Mapping) else {}
    network, normalization = _read_settings(source, meta, translation.notes)
    head = network.section("decode_head")
    config = _take_encoder(translation, network.section("backbone"), head, num_attention_heads)
    if any(key.startswith("decode_head.") for key in source.tensors):
        config |= _take_decoder(translation, head, config)
    translation.weights.drop(lambda key: key.startswith("auxiliary_head."))
    translation.weights.finish()
    mean, std = _take_normalization(translation, normalization)
    return ConvertedWeights(
        origin="mmsegmentation",
        config=config,
        state_dict=translation.state_dict,
        image_mean=mean,
        image_std=std,
        id2label=_class_names(meta, config.get("num_labels"), translation.notes),
        unused=translation.weights.unused,
        notes=translation.notes,
    )


def _read_settings(source: Source, meta: Mapping[str, Any], notes: list[str]) -> tuple[Settings, Settings]:
    """The configurations of the network and of the normalisation: that beside the weights first, then that inside."""
    beside = Settings(source.name, "model_config.json", _flatten(source.config or {}))
    has_network = beside.get("backbone") is not None
    has_normalization = any(beside.get(group) is not None for group in NORMALIZATION_GROUPS)
    text = meta.get("cfg") or meta.get("config")
    if not isinstance(text, str) or (has_network and has_normalization):
        return beside, beside
    try:
        inside = Settings(source.name, "the configuration in `meta`", _flatten(parse_config_text(text)))
    except ValueError as error:
        if has_network:
            notes.append(f"The configuration in `meta` of the file was not read: {error}.")
            return beside, beside
        raise ConversionError(
            f"{source.name}: the configuration in `meta` of the file cannot be read: {error}; put a model_config.json "
            "with `backbone` and `decode_head` beside the file."
        ) from error
    return beside if has_network else inside, beside if has_normalization else inside


def _flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    model = config.get("model")
    return {**config, **model} if isinstance(model, Mapping) else dict(config)


def _take_encoder(
    translation: Translation, backbone: Settings, head: Settings, num_attention_heads: int | None
) -> dict[str, Any]:
    for key, meaning in (("with_cls_token", True), ("pre_norm", False), ("patch_norm", False), ("final_norm", True)):
        if backbone.get(key) not in (None, meaning):
            backbone.refuse(key, f"PAUMER's encoder is one with {meaning}; this network cannot be converted")
    notes, embeddings = translation.notes, "paumer.embeddings."
    width, patch_size = translation.patch_projection("backbone.patch_embed.projection")
    translation.take("backbone.cls_token", f"{embeddings}cls_token", 1, 1, width)
    _, num_positions, _ = translation.take("backbone.pos_embed", f"{embeddings}position_embeddings", 1, None, width)
    num_layers, intermediate_size, qkv_bias = translation.layers(
        "backbone.layers.",
        "paumer.encoder.layers.",
        _layer_names(translation.weights, "backbone.layers."),
        width,
        keep_qkv=True,
    )
    _take_final_norm(translation, width)
    backbone.check(embed_dims=width, num_layers=num_layers, patch_size=patch_size, in_channels=3)
    _check_output(backbone, head, num_layers)
    mode = backbone.text("interpolate_mode") or "bicubic"
    if mode not in ("bicubic", "bilinear"):
        backbone.refuse("interpolate_mode", "it must be 'bicubic' or 'bilinear'")
    if num_attention_heads is None and backbone.get("num_heads") is None and backbone.get("type") is not None:
        num_attention_heads = DEFAULT_NUM_HEADS
        notes.append(f"{backbone.title} leaves the heads of the encoder at mmsegmentation's {DEFAULT_NUM_HEADS}.")
    return {
        "hidden_size": width,
        "num_hidden_layers": num_layers,
        "num_attention_heads": choose_heads(backbone, "num_heads", width, num_attention_heads, notes),
        "intermediate_size": intermediate_size,
        "hidden_act": _activation(backbone),
        "layer_norm_eps": _epsilon(backbone, SEGMENTER_ENCODER_EPS, "encoder", notes),
        "image_size": choose_image_size(backbone, "img_size", num_positions - 1, patch_size, notes),
        "patch_size": patch_size,
        "num_channels": 3,
        "qkv_bias": qkv_bias,
        "position_interpolation_mode": mode,
        "position_interpolation_antialias": False,
    }


def _layer_names(weights: SourceWeights, prefix: str) -> LayerNames:
    """The names of the parts of the layers; early versions call the normalisations norm1 and norm2."""
    before, after = ("norm1", "norm2") if f"{prefix}0.norm1.weight" in weights else ("ln1", "ln2")
    return LayerNames(before, "attn.attn.in_proj_", "attn.attn.out_proj", after, "ffn.layers.0.0", "ffn.layers.1")


def _take_final_norm(translation: Translation, width: int) -> None:
    for name in ("backbone.ln1", "backbone.norm1"):
        if f"{name}.weight" in translation.weights:
            translation.norm(name, "paumer.layernorm", width)
            return
    raise ConversionError(
        f"{translation.weights.name}: the backbone has no final normalisation 'backbone.ln1' (`final_norm` of "
        "mmsegmentation is False), but PAUMER's encoder ends with one; this network cannot be converted."
    )


def _check_output(backbone: Settings, head: Settings, num_layers: int) -> None:
    """Refuse a head that works on another layer than the last."""
    stated = backbone.get("out_indices")
    if stated is None:
        return
    layers = list(stated) if isinstance(stated, list | tuple) else [stated]
    index = -1 if head.get("in_index") is None else head.get("in_index")
    if not isinstance(index, int) or not -len(layers) <= index < len(layers):
        head.refuse("in_index", f"it must be one of the {len(layers)} of `backbone.out_indices`")
    if layers[index] not in (-1, num_layers - 1):
        backbone.refuse("out_indices", f"PAUMER's decoder works on the last of the {num_layers} layers, not on others")


def _take_decoder(translation: Translation, head: Settings, encoder: Mapping[str, Any]) -> dict[str, Any]:
    weights, hidden_size = translation.weights, encoder["hidden_size"]
    head.check(in_channels=hidden_size)
    if head.get("align_corners"):
        translation.notes.append("mmsegmentation upsampled the logits with aligned corners; PAUMER does without.")
    if "decode_head.cls_emb" in weights:
        # mmsegmentation gives every head a classifier; that of this one is idle.
        weights.drop(lambda key: key.startswith("decode_head.conv_seg."))
        return _take_mask_transformer(translation, head, encoder)
    if "decode_head.conv_seg.weight" in weights:
        kernel = weights.pop("decode_head.conv_seg.weight", None, hidden_size, 1, 1)
        translation.put("decoder.classifier.weight", kernel[:, :, 0, 0])
        translation.take("decode_head.conv_seg.bias", "decoder.classifier.bias", kernel.shape[0])
        head.check(num_classes=kernel.shape[0])
        return {"num_labels": kernel.shape[0], "decoder_type": "linear"}
    raise ConversionError(
        f"{weights.name}: `decode_head` is neither Segmenter's mask transformer (without 'cls_emb') nor a linear one "
        "(without 'conv_seg.weight'); PAUMER has no other decoders."
    )


def _take_mask_transformer(translation: Translation, head: Settings, encoder: Mapping[str, Any]) -> dict[str, Any]:
    notes, hidden_size = translation.notes, encoder["hidden_size"]
    width = translation.linear("decode_head.dec_proj", "decoder.input_projection", None, hidden_size)
    _, num_labels, _ = translation.take("decode_head.cls_emb", "decoder.class_embeddings", 1, None, width)
    names = _layer_names(translation.weights, "decode_head.layers.")
    num_layers, intermediate_size, _ = translation.layers("decode_head.layers.", "decoder.layers.", names, width)
    translation.norm("decode_head.decoder_norm", "decoder.layernorm", width)
    translation.take("decode_head.patch_proj.weight", "decoder.patch_projection.weight", width, width)
    translation.take("decode_head.classes_proj.weight", "decoder.class_projection.weight", width, width)
    translation.norm("decode_head.mask_norm", "decoder.mask_layernorm", num_labels)
    head.check(num_classes=num_labels, num_layers=num_layers, embed_dims=width)
    heads = choose_decoder_heads(head, "num_heads", width, encoder["num_attention_heads"])
    if head.get("num_heads") is None:
        notes.append(f"Nothing says how many attention heads the decoder has: {heads}.")
    return {
        "num_labels": num_labels,
        "decoder_type": "mask_transformer",
        "decoder_num_hidden_layers": num_layers,
        "decoder_hidden_size": width,
        "decoder_num_attention_heads": heads,
        "decoder_intermediate_size": intermediate_size,
        "decoder_hidden_act": _activation(head),
        "decoder_layer_norm_eps": _epsilon(head, DEFAULT_EPS, "decoder", notes),
        "decoder_dropout_prob": head.fraction("drop_rate") or 0.0,
    }


def _activation(settings: Settings) -> str:
    stated = settings.section("act_cfg")
    name = stated.text("type") or "GELU"
    if name not in ACTIVATIONS:
        stated.refuse("type", f"it must be one of {sorted(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _epsilon(settings: Settings, default: float, part: str, notes: list[str]) -> float:
    """Epsilon of the layer normalisations of a part; a configuration that is silent on it has mmcv's default."""
    stated = settings.section("norm_cfg")
    if stated.text("type") not in (None, "LN"):
        stated.refuse("type", "PAUMER has layer normalisations, 'LN', only")
    epsilon = stated.fraction("eps")
    if epsilon is not None:
        return epsilon
    if settings.get("type") is not None or settings.get("norm_cfg") is not None:
        return DEFAULT_EPS
    notes.append(f"Nothing says the epsilon of the {part}'s layer normalisations: {default:g}.")
    return default


def _take_normalization(translation: Translation, settings: Settings) -> tuple[Channels, Channels]:
    """Mean and standard deviation of the channels; the weights for blue, green, red are turned to red, green, blue."""
    for group in NORMALIZATION_GROUPS:
        stated = settings.section(group)
        if stated.get("mean") is not None and stated.get("std") is not None:
            mean, std = _three_numbers(stated, "mean", -1e6), _three_numbers(stated, "std", 0.0)
            if not _is_for_bgr(stated):
                return mean, std
            key = "paumer.embeddings.patch_embeddings.projection.weight"
            translation.put(key, translation.state_dict[key].flip(1))
            translation.notes.append("The network was trained on BGR images; its weights were turned to RGB.")
            return mean[::-1], std[::-1]
    translation.notes.append(
        "Nothing says how images are normalised: with mean and standard deviation 0.5, as mmsegmentation's Segmenters."
    )
    return HALF_NORMALISATION


def _is_for_bgr(normalization: Settings) -> bool:
    """Whether the network takes images as mmsegmentation reads them, BGR: 1.x does unless told to swap channels."""
    swaps = [normalization.get(name) for name in ("to_rgb", "bgr_to_rgb", "rgb_to_bgr")]
    return not any(swaps) and (False in swaps or normalization.get("type") is not None)


def _three_numbers(settings: Settings, key: str, above: float) -> Channels:
    """Three numbers for values from 0 to 255 as those for values from 0 to 1."""
    values = settings.get(key)
    if (
        not isinstance(values, list | tuple)
        or len(values) != 3
        or not all(isinstance(value, int | float) and above < value < 1e6 for value in values)
    ):
        settings.refuse(key, "three numbers, one for each channel, belong there" + (", all positive" * (above == 0)))
    return values[0] / 255, values[1] / 255, values[2] / 255


def _class_names(meta: Mapping[str, Any], num_labels: int | None, notes: list[str]) -> dict[int, str] | None:
    dataset = meta.get("dataset_meta")
    stated = [meta.get("CLASSES")]
    stated += [dataset.get("classes"), dataset.get("CLASSES")] if isinstance(dataset, Mapping) else []
    names = next((names for names in stated if names is not None), None)
    if names is None or num_labels is None:
        return None
    if (
        not isinstance(names, list | tuple)
        or len(names) != num_labels
        or not all(isinstance(name, str) for name in names)
    ):
        notes.append(
            f"The names of the classes in `meta` are not those of the {num_labels} classes; they were left out."
        )
        return None
    return dict(enumerate(names))


__all__ = ["CONFIG_TEXT_LIMIT", "convert_mmsegmentation", "parse_config_text"]
