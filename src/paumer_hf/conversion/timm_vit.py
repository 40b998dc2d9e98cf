# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From the weights of timm's plain ViTs to PAUMER's."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from paumer_hf.conversion.source_files import Source
from paumer_hf.conversion.source_weights import (
    HALF_NORMALISATION,
    IMAGENET_NORMALISATION,
    Channels,
    ConversionError,
    ConvertedWeights,
    SourceWeights,
    count_layers,
    read_channels,
)


# timm's names of activations, and transformers'.
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "quick_gelu": "quick_gelu",
    "quickgelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}

# The widths whose heads are not 64 wide in timm.
_HEADS_OF_WIDTH = {1152: 16, 1280: 16, 1408: 16, 1664: 16}


def convert_timm(source: Source, *, num_attention_heads: int | None = None) -> ConvertedWeights:
    """PAUMER's weights from those of timm's `VisionTransformer`; the classification head is left out.

    Args:
        source: The weights, with a config.json beside them or without: in the form of timm's models on the Hub, or
            with the arguments of `VisionTransformer` as fields.
        num_attention_heads: The number of heads, where config.json does not say it.

    Raises:
        ConversionError: If PAUMER cannot represent the model, if weights are missing, unknown or of other shapes, or
            if they and config.json contradict each other.
    """
    weights = SourceWeights(source.name, source.tensors)
    if "fc_norm.weight" in weights and "norm.weight" not in weights:
        raise ConversionError(
            f"{source.name}: the network normalises only the mean of its patches ('fc_norm'), not each ('norm'), but "
            "PAUMER's decoders begin at normalised patches; take a checkpoint that has 'norm'."
        )
    notes: list[str] = []
    if "mask_token" in weights:
        notes.append(
            "The source has a 'mask_token', so it may be of DINOv2's own code, which resizes position embeddings to "
            "other image sizes in a slightly different way than timm; here they are resized as timm does it."
        )
    config = {**(source.config or {}), **_section(source.config or {}, "model_args")}
    fields = _fields(weights, config, num_attention_heads, notes)
    image_mean, image_std = _normalisation(source.name, config, fields, notes)

    state_dict = _embeddings(weights, fields)
    output_bias = _has(weights, ".attn.proj.bias")
    if not output_bias:
        notes.append("The source has no biases after attention and in the MLPs, so those of PAUMER are zero.")
    for index in range(fields["num_hidden_layers"]):
        layer = _layer(weights, f"blocks.{index}", fields, bias=output_bias)
        state_dict |= {f"paumer.encoder.layers.{index}.{name}": tensor for name, tensor in layer.items()}
    state_dict |= _norm(weights, "norm", "paumer.layernorm", fields["hidden_size"])
    weights.drop(lambda key: key.startswith(("head.", "head_dist.")) or key == "mask_token")
    weights.finish()
    return ConvertedWeights(
        origin="timm",
        config=fields,
        state_dict={name: tensor.float().contiguous() for name, tensor in state_dict.items()},
        image_mean=image_mean,
        image_std=image_std,
        unused=weights.unused,
        notes=notes,
    )


def _fields(
    weights: SourceWeights, config: Mapping[str, Any], num_attention_heads: int | None, notes: list[str]
) -> dict[str, Any]:
    """The fields of `PaumerConfig`, by the weights, and by config.json in what they leave open."""
    hidden_size, channels, height, width = weights.shape("patch_embed.proj.weight", 4)
    if height != width or channels != 3:
        raise ConversionError(
            f"{weights.name}: 'patch_embed.proj.weight' takes patches of {height} x {width} pixels in {channels} "
            "channels, but those of PAUMER are square and have 3; it cannot represent this model."
        )
    use_distillation_token = "dist_token" in weights
    num_registers = weights.shape("reg_token", 3)[1] if "reg_token" in weights else 0
    num_layers = count_layers(weights.keys(), "blocks.")
    in_weights = {"embed_dim": hidden_size, "depth": num_layers, "patch_size": height, "reg_tokens": num_registers}
    _check_agreement(weights.name, config, in_weights)
    num_prefix = 1 + int(use_distillation_token) + num_registers
    (rows, columns), num_prefix_positions = _find_grid(weights, config, height, num_prefix)
    inner = weights.shape("blocks.0.mlp.fc2.weight", 2)[1]
    gated = weights.shape("blocks.0.mlp.fc1.weight", 2)[0] == 2 * inner
    return {
        "hidden_size": hidden_size,
        "num_hidden_layers": num_layers,
        "num_attention_heads": _num_heads(weights.name, config, num_attention_heads, hidden_size, notes),
        "intermediate_size": inner,
        "hidden_act": _activation(weights.name, config, gated=gated),
        "layer_norm_eps": config.get("layer_norm_eps") or 1e-6,
        "image_size": (rows * height, columns * height),
        "patch_size": height,
        "num_channels": channels,
        "qkv_bias": _has(weights, ".attn.qkv.bias"),
        "use_distillation_token": use_distillation_token,
        "num_register_tokens": num_registers,
        "num_prefix_position_embeddings": num_prefix_positions,
        "position_interpolation_mode": "bicubic",
        "position_interpolation_antialias": True,
        "layer_scale_init_value": _layer_scale(weights, config),
        "use_gated_mlp": gated,
    }


def _check_agreement(name: str, config: Mapping[str, Any], in_weights: dict[str, int]) -> None:
    for key, value in in_weights.items():
        stated = config.get(key)
        if stated is not None and stated not in (value, [value, value]):
            raise ConversionError(
                f"{name}: `{key}` is {stated} by config.json, but {value} by the weights; put the config.json of "
                "these weights beside them."
            )


def _find_grid(
    weights: SourceWeights, config: Mapping[str, Any], patch_size: int, num_prefix: int
) -> tuple[tuple[int, int], int]:
    """(rows, columns) of the position embeddings, and how many of the prefix tokens have one: all or none.

    timm stores the position embeddings in a row, so the grid is that of the image size; without one it must be square.
    """
    count = weights.shape("pos_embed", 3)[1]
    no_embed_class = config.get("no_embed_class")
    prefixes = (0, num_prefix) if no_embed_class is None else (0,) if no_embed_class else (num_prefix,)
    image_size = config.get("img_size")
    # The weights may have been fine-tuned at another size than this one.
    input_size = (_section(config, "pretrained_cfg").get("input_size") or [])[-2:]
    found = []
    if image_size or input_size:
        height, width = _pair(weights.name, image_size or input_size)
        grid = (height // patch_size, width // patch_size)
        found = [(grid, prefix) for prefix in prefixes if count == grid[0] * grid[1] + prefix]
    if not found and not image_size:
        sides = [(math.isqrt(max(0, count - prefix)), prefix) for prefix in prefixes]
        found = [((side, side), prefix) for side, prefix in sides if side > 0 and side**2 == count - prefix]
    if len(found) != 1:
        grid_words = f"that of the `img_size` {image_size}" if image_size else "a square grid"
        raise ConversionError(
            f"{weights.name}: the {count} positions of 'pos_embed' fit {grid_words} in {len(found)} ways, with or "
            f"without the {num_prefix} tokens before the patches; write the right `img_size` and `no_embed_class` "
            "into config.json."
        )
    return found[0]


def _num_heads(name: str, config: Mapping[str, Any], given: int | None, width: int, notes: list[str]) -> int:
    stated = config.get("num_heads")
    if stated is not None and given is not None and stated != given:
        raise ConversionError(
            f"{name}: `num_attention_heads` is given as {given}, but `num_heads` of config.json is {stated}; leave it "
            "out."
        )
    heads = given if stated is None else stated
    if heads is None:
        if width % 64 == 0 and (width <= 1024 or width == 1536):
            heads = width // 64
        elif width in _HEADS_OF_WIDTH:
            heads = _HEADS_OF_WIDTH[width]
        else:
            raise ConversionError(
                f"{name}: the weights do not say how many attention heads share the width {width}; give "
                "`num_attention_heads`."
            )
        notes.append(
            f"The source does not say how many attention heads it has; {heads}, as timm's ViTs of the width {width} "
            "have."
        )
    if not isinstance(heads, int) or heads < 1 or width % heads:
        raise ConversionError(
            f"{name}: {heads} attention heads cannot share the width {width} equally; `num_attention_heads` must "
            "divide it."
        )
    return heads


def _activation(name: str, config: Mapping[str, Any], *, gated: bool) -> str:
    stated = config.get("act_layer")
    if stated is None:
        return "silu" if gated else "gelu"
    if stated not in _ACTIVATIONS:
        raise ConversionError(
            f"{name}: `act_layer` of config.json is {stated!r}, but the activations that PAUMER knows of timm's are "
            f"{sorted(_ACTIVATIONS)}."
        )
    return _ACTIVATIONS[stated]


def _layer_scale(weights: SourceWeights, config: Mapping[str, Any]) -> float | None:
    stated = config.get("init_values")
    if isinstance(stated, int | float):
        return float(stated)
    return 1e-5 if _has(weights, ".ls1.gamma") else None


def _normalisation(
    name: str, config: Mapping[str, Any], fields: dict[str, Any], notes: list[str]
) -> tuple[Channels, Channels]:
    stated = {**config, **_section(config, "pretrained_cfg")}
    if stated.get("mean") is not None and stated.get("std") is not None:
        return read_channels(name, "config.json", "mean", stated["mean"]), read_channels(
            name, "config.json", "std", stated["std"]
        )
    is_imagenet = fields["use_distillation_token"] or fields["patch_size"] == 14
    mean, std = IMAGENET_NORMALISATION if is_imagenet else HALF_NORMALISATION
    reason = "DeiT and DINOv2" if is_imagenet else "most of timm's ViTs"
    notes.append(
        f"Nothing beside the weights says how images are normalised; mean {mean} and standard deviation {std} are "
        f"taken, as {reason} have them."
    )
    return mean, std


def _section(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    section = config.get(key)
    return section if isinstance(section, dict) else {}


def _pair(name: str, value: Any) -> tuple[int, int]:
    lengths = list(value) if isinstance(value, list | tuple) else [value, value]
    if len(lengths) != 2 or not all(isinstance(length, int) for length in lengths):
        raise ConversionError(f"{name}: the image size of config.json must be (height, width), but is {value!r}.")
    return lengths[0], lengths[1]


def _has(weights: SourceWeights, ending: str) -> bool:
    """Whether any layer has a weight of that name; then all must, which is checked when they are taken out."""
    keys = weights.keys()
    return any(key.endswith(ending) for key in keys)


def _embeddings(weights: SourceWeights, fields: dict[str, Any]) -> dict[str, torch.Tensor]:
    width, patch_size = fields["hidden_size"], fields["patch_size"]
    projection = weights.pop("patch_embed.proj.weight", width, fields["num_channels"], patch_size, patch_size)
    tensors = {
        "cls_token": weights.pop("cls_token", 1, 1, width),
        "position_embeddings": weights.pop("pos_embed", 1, None, width),
        "patch_embeddings.projection.weight": projection,
        "patch_embeddings.projection.bias": weights.pop("patch_embed.proj.bias", width),
    }
    if fields["use_distillation_token"]:
        tensors["distillation_token"] = weights.pop("dist_token", 1, 1, width)
    if fields["num_register_tokens"]:
        tensors["register_tokens"] = weights.pop("reg_token", 1, fields["num_register_tokens"], width)
    return {f"paumer.embeddings.{name}": tensor for name, tensor in tensors.items()}


def _layer(weights: SourceWeights, block: str, fields: dict[str, Any], *, bias: bool) -> dict[str, torch.Tensor]:
    """The weights of a layer, under the names that they have within it.

    Args:
        weights: What is left of the source.
        block: The name of the layer in the source.
        fields: The fields of the `PaumerConfig`.
        bias: Whether the linear maps other than those of queries, keys and values have a bias.
    """
    width, inner = fields["hidden_size"], fields["intermediate_size"]
    tensors = _norm(weights, f"{block}.norm1", "layernorm_before", width)
    for part in ("weight", "bias") if fields["qkv_bias"] else ("weight",):
        shape = (3 * width, width)[: 2 if part == "weight" else 1]
        packed = weights.pop(f"{block}.attn.qkv.{part}", *shape).chunk(3)
        # Copies: parts of one tensor could not be saved as tensors of their own.
        tensors |= {f"attention.{name}_proj.{part}": third.clone() for name, third in zip("qkv", packed, strict=True)}
    tensors |= _linear(weights, f"{block}.attn.proj", "attention.o_proj", (width, width), bias)
    tensors |= _norm(weights, f"{block}.norm2", "layernorm_after", width)
    if fields["use_gated_mlp"]:
        both = _linear(weights, f"{block}.mlp.fc1", "", (2 * inner, width), bias)
        for part, tensor in both.items():
            gate, up = tensor.chunk(2)
            tensors |= {f"mlp.gate_proj{part}": gate.clone(), f"mlp.up_proj{part}": up.clone()}
    else:
        tensors |= _linear(weights, f"{block}.mlp.fc1", "mlp.fc1", (inner, width), bias)
    last = "mlp.down_proj" if fields["use_gated_mlp"] else "mlp.fc2"
    tensors |= _linear(weights, f"{block}.mlp.fc2", last, (width, inner), bias)
    if fields["layer_scale_init_value"] is not None:
        tensors["layer_scale_attention.weight"] = weights.pop(f"{block}.ls1.gamma", width)
        tensors["layer_scale_mlp.weight"] = weights.pop(f"{block}.ls2.gamma", width)
    return tensors


def _linear(
    weights: SourceWeights, key: str, name: str, shape: tuple[int, int], has_bias: bool
) -> dict[str, torch.Tensor]:
    bias = weights.pop(f"{key}.bias", shape[0]) if has_bias else torch.zeros(shape[0])
    return {f"{name}.weight": weights.pop(f"{key}.weight", *shape), f"{name}.bias": bias}


def _norm(weights: SourceWeights, key: str, name: str, width: int) -> dict[str, torch.Tensor]:
    return {f"{name}.{part}": weights.pop(f"{key}.{part}", width) for part in ("weight", "bias")}


__all__ = ["convert_timm"]
