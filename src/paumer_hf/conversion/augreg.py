# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From the `.npz` weights of the original ViTs, AugReg among them, to PAUMER's."""

import math
from typing import Any

import torch

from paumer_hf.conversion.source_files import Source
from paumer_hf.conversion.source_weights import (
    HALF_NORMALISATION,
    ConversionError,
    ConvertedWeights,
    SourceWeights,
    count_layers,
)


def convert_augreg(source: Source) -> ConvertedWeights:
    """PAUMER's weights from those of a ViT in the layout of the original JAX code.

    The matrices there are (in, out), and those of attention have an axis for the heads, which says how many there are.

    Args:
        source: The weights under names like `Transformer/encoderblock_0/LayerNorm_0/scale`.

    Raises:
        ConversionError: If it is a hybrid with a ResNet, or if weights are missing, unknown or of other shapes.
    """
    weights = SourceWeights(source.name, source.tensors)
    if any(key.startswith(("conv_root/", "block1/")) for key in source.tensors):
        raise ConversionError(
            f"{source.name}: this is a hybrid, whose patches come from a ResNet ('conv_root', 'block1'); PAUMER cuts "
            "its patches from the image, so take the weights of a plain ViT."
        )
    fields = _fields(weights)
    state_dict = _embeddings(weights, fields)
    for index in range(fields["num_hidden_layers"]):
        layer = _layer(weights, f"Transformer/encoderblock_{index}", fields)
        state_dict |= {f"paumer.encoder.layers.{index}.{name}": tensor for name, tensor in layer.items()}
    state_dict |= _norm(weights, "Transformer/encoder_norm", "paumer.layernorm", fields["hidden_size"])
    weights.drop(lambda key: key.startswith(("head/", "pre_logits/")))
    weights.finish()
    return ConvertedWeights(
        origin="augreg",
        config=fields,
        state_dict={name: tensor.float().contiguous() for name, tensor in state_dict.items()},
        image_mean=HALF_NORMALISATION[0],
        image_std=HALF_NORMALISATION[1],
        unused=weights.unused,
        notes=[
            "Activation (exact GELU) and the resizing of positions (bilinear, corners not aligned) are those of the "
            "PyTorch networks that are trained from such files, Segmenter's among them, not of the original JAX code."
        ],
    )


def _fields(weights: SourceWeights) -> dict[str, Any]:
    """The fields of `PaumerConfig`, by the shapes of the weights.

    Raises:
        ConversionError: If patches or the grid of position embeddings are not square, if images have not 3 channels,
            or if the heads do not share the width equally.
    """
    first = "Transformer/encoderblock_0"
    height, width, channels, hidden_size = weights.shape("embedding/kernel", 4)
    if height != width or channels != 3:
        raise ConversionError(
            f"{weights.name}: 'embedding/kernel' takes patches of {height} x {width} pixels in {channels} channels, "
            "but those of PAUMER are square and have 3; it cannot represent this model."
        )
    num_positions = weights.shape("Transformer/posembed_input/pos_embedding", 3)[1]
    side = math.isqrt(max(0, num_positions - 1))
    if side < 1 or side**2 + 1 != num_positions:
        raise ConversionError(
            f"{weights.name}: the {num_positions} positions are not those of [CLS] and a square grid of patches; the "
            "file is damaged or of another network."
        )
    heads, head_dim = weights.shape(f"{first}/MultiHeadDotProductAttention_1/query/kernel", 3)[1:]
    if heads * head_dim != hidden_size:
        raise ConversionError(
            f"{weights.name}: {heads} heads of {head_dim} do not share the width {hidden_size} equally, as PAUMER's "
            "heads do; it cannot represent this model."
        )
    return {
        "hidden_size": hidden_size,
        "num_hidden_layers": count_layers(weights.keys(), "Transformer/encoderblock_"),
        "num_attention_heads": heads,
        "intermediate_size": weights.shape(f"{first}/MlpBlock_3/Dense_0/kernel", 2)[1],
        # The JAX code approximates it by tanh; timm and Segmenter, which start from these weights, do not.
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "image_size": (side * height, side * width),
        "patch_size": height,
        "num_channels": channels,
        "qkv_bias": True,
        "position_interpolation_mode": "bilinear",
    }


def _embeddings(weights: SourceWeights, fields: dict[str, Any]) -> dict[str, torch.Tensor]:
    width, patch_size = fields["hidden_size"], fields["patch_size"]
    kernel = weights.pop("embedding/kernel", patch_size, patch_size, fields["num_channels"], width)
    positions = weights.pop("Transformer/posembed_input/pos_embedding", 1, None, width)
    return {
        "paumer.embeddings.cls_token": weights.pop("cls", 1, 1, width),
        "paumer.embeddings.position_embeddings": positions,
        "paumer.embeddings.patch_embeddings.projection.weight": kernel.permute(3, 2, 0, 1),
        "paumer.embeddings.patch_embeddings.projection.bias": weights.pop("embedding/bias", width),
    }


def _layer(weights: SourceWeights, block: str, fields: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights of a layer, under the names that they have within it."""
    width, heads, inner = fields["hidden_size"], fields["num_attention_heads"], fields["intermediate_size"]
    head_dim = width // heads
    attention, mlp = f"{block}/MultiHeadDotProductAttention_1", f"{block}/MlpBlock_3"
    tensors = _norm(weights, f"{block}/LayerNorm_0", "layernorm_before", width)
    for name in ("query", "key", "value"):
        kernel = weights.pop(f"{attention}/{name}/kernel", width, heads, head_dim)
        bias = weights.pop(f"{attention}/{name}/bias", heads, head_dim)
        tensors[f"attention.{name[0]}_proj.weight"] = kernel.flatten(1).T
        tensors[f"attention.{name[0]}_proj.bias"] = bias.flatten()
    kernel = weights.pop(f"{attention}/out/kernel", heads, head_dim, width)
    tensors["attention.o_proj.weight"] = kernel.flatten(0, 1).T
    tensors["attention.o_proj.bias"] = weights.pop(f"{attention}/out/bias", width)
    tensors |= _norm(weights, f"{block}/LayerNorm_2", "layernorm_after", width)
    for index, (columns, rows) in enumerate(((width, inner), (inner, width))):
        tensors[f"mlp.fc{index + 1}.weight"] = weights.pop(f"{mlp}/Dense_{index}/kernel", columns, rows).T
        tensors[f"mlp.fc{index + 1}.bias"] = weights.pop(f"{mlp}/Dense_{index}/bias", rows)
    return tensors


def _norm(weights: SourceWeights, key: str, name: str, width: int) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": weights.pop(f"{key}/scale", width), f"{name}.bias": weights.pop(f"{key}/bias", width)}


__all__ = ["convert_augreg"]
