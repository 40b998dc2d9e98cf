# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the original Segmenter, with variant.yml beside them, and what other Segmenters need as well."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from paumer_hf.conversion.settings import Settings
from paumer_hf.conversion.source_files import Source
from paumer_hf.conversion.source_weights import (
    HALF_NORMALISATION,
    IMAGENET_NORMALISATION,
    ConversionError,
    ConvertedWeights,
    SourceWeights,
    count_layers,
)


# Segmenter makes all its layer normalisations with torch's default, unlike the networks that it starts from.
LAYER_NORM_EPS = 1e-5

NORMALIZATIONS = {"vit": HALF_NORMALISATION, "deit": IMAGENET_NORMALISATION}


class LayerNames(NamedTuple):
    """What the parts of a transformer layer are called in a source; `qkv` without the point before `weight`."""

    layernorm_before: str
    qkv: str
    o_proj: str
    layernorm_after: str
    fc1: str
    fc2: str


LAYER_NAMES = LayerNames("norm1", "attn.qkv.", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


class Translation:
    """Takes weights out of a source, part by part, and lays them down under PAUMER's names.

    Attributes:
        weights: The weights of the source.
        state_dict: What has been laid down.
        notes: Sentences on what had to be filled in.
    """

    def __init__(self, weights: SourceWeights) -> None:
        self.weights = weights
        self.state_dict: dict[str, torch.Tensor] = {}
        self.notes: list[str] = []

    def put(self, target: str, tensor: torch.Tensor) -> None:
        """Lay down a copy in float32, which shares its memory with no other weight."""
        self.state_dict[target] = tensor.detach().float().clone(memory_format=torch.contiguous_format)

    def take(self, key: str, target: str, *shape: int | None) -> tuple[int, ...]:
        """One weight as it is; returns its shape."""
        tensor = self.weights.pop(key, *shape)
        self.put(target, tensor)
        return tuple(tensor.shape)

    def norm(self, source: str, target: str, width: int) -> None:
        """A layer normalisation."""
        self.take(f"{source}.weight", f"{target}.weight", width)
        self.take(f"{source}.bias", f"{target}.bias", width)

    def linear(self, source: str, target: str, outputs: int | None, inputs: int | None, *, bias: bool = True) -> int:
        """A linear map, with zeros for a bias that the source does not have; returns the number of its outputs."""
        outputs, _ = self.take(f"{source}.weight", f"{target}.weight", outputs, inputs)
        self.put(f"{target}.bias", self.weights.pop(f"{source}.bias", outputs) if bias else torch.zeros(outputs))
        return outputs

    def patch_projection(self, source: str) -> tuple[int, int]:
        """The convolution that makes tokens of patches; returns the width of the tokens and the patch size."""
        kernel = self.weights.pop(f"{source}.weight", None, 3, None, None)
        width, _, height, side = kernel.shape
        if not height == side > 0:
            raise ConversionError(
                f"{self.weights.name}: the patches have {height} x {side} pixels, but PAUMER has square ones only."
            )
        target, biased = "paumer.embeddings.patch_embeddings.projection", f"{source}.bias" in self.weights
        self.put(f"{target}.weight", kernel)
        self.put(f"{target}.bias", self.weights.pop(f"{source}.bias", width) if biased else torch.zeros(width))
        if not biased:
            self.notes.append(f"The source has no {source}.bias; PAUMER's is zero.")
        return width, side

    def layers(
        self, prefix: str, target: str, names: LayerNames, width: int, *, keep_qkv: bool = False
    ) -> tuple[int, int, bool]:
        """All transformer layers `prefix`0, `prefix`1, ...; the first tells which biases they have.

        Biases that are missing become zeros, with `keep_qkv` all but those of queries, keys and values.

        Returns:
            The number of layers, the width of their MLPs, and whether queries, keys and values have biases.
        """
        number = count_layers(self.weights.keys(), prefix)
        if number == 0:
            raise ConversionError(
                f"{self.weights.name}: there is no layer {prefix}0; the file is incomplete or of another network."
            )
        biased = {part for part in (names.o_proj, names.fc1, names.fc2) if f"{prefix}0.{part}.bias" in self.weights}
        qkv_bias = f"{prefix}0.{names.qkv}bias" in self.weights
        intermediate_size: int | None = None
        for index in range(number):
            source, into = f"{prefix}{index}.", f"{target}{index}."
            self.norm(source + names.layernorm_before, into + "layernorm_before", width)
            self._qkv(source + names.qkv, into + "attention.", width, qkv_bias, keep_qkv)
            self.linear(source + names.o_proj, into + "attention.o_proj", width, width, bias=names.o_proj in biased)
            self.norm(source + names.layernorm_after, into + "layernorm_after", width)
            intermediate_size = self.linear(
                source + names.fc1, into + "mlp.fc1", intermediate_size, width, bias=names.fc1 in biased
            )
            self.linear(source + names.fc2, into + "mlp.fc2", width, intermediate_size, bias=names.fc2 in biased)
        missing = [part for part in (names.o_proj, names.fc1, names.fc2) if part not in biased]
        missing += [] if qkv_bias or keep_qkv else [names.qkv.strip("._")]
        if missing:
            self.notes.append(f"The layers {prefix}* have no bias at {', '.join(missing)}; PAUMER's are zero there.")
        return number, intermediate_size or 0, qkv_bias

    def _qkv(self, source: str, target: str, width: int, bias: bool, keep: bool) -> None:
        """Queries, keys and values, which the source holds in one matrix, one after the other."""
        parts = [("weight", self.weights.pop(f"{source}weight", 3 * width, width))]
        if bias:
            parts.append(("bias", self.weights.pop(f"{source}bias", 3 * width)))
        elif not keep:
            parts.append(("bias", torch.zeros(3 * width)))
        for kind, tensor in parts:
            for name, third in zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True):
                self.put(f"{target}{name}.{kind}", third)


def choose_heads(settings: Settings, key: str, width: int, given: int | None, notes: list[str]) -> int:
    """The number of attention heads of the encoder: as the configuration or the caller says, or one for each 64.

    Raises:
        ConversionError: If the two differ, if nothing says it, or if the width is no multiple of it.
    """
    stated = settings.integer(key)
    if stated is not None and given is not None and given != stated:
        settings.refuse(key, f"`num_attention_heads` was given as {given}; leave it out")
    heads = given if stated is None else stated
    if heads is None:
        if width < 64 or width % 64:
            raise ConversionError(
                f"{settings.source}: nothing says how many attention heads the encoder of width {width} has; give "
                "`num_attention_heads`."
            )
        heads = width // 64
        notes.append(f"Nothing says how many attention heads the encoder has: {heads}, one for each 64 of its width.")
    return _divide(settings, width, heads)


def choose_decoder_heads(settings: Settings, key: str, width: int, encoder_heads: int) -> int:
    """The number of attention heads of the mask transformer: as stated, else one for each 64, else the encoder's.

    Raises:
        ConversionError: If the width is no multiple of it.
    """
    heads = settings.integer(key) or (width // 64 if width >= 64 and width % 64 == 0 else encoder_heads)
    return _divide(settings, width, heads)


def _divide(settings: Settings, width: int, heads: int) -> int:
    if heads < 1 or width % heads:
        raise ConversionError(f"{settings.source}: {width} channels cannot be shared by {heads} attention heads.")
    return heads


def choose_image_size(
    settings: Settings, key: str, num_patches: int, patch_size: int, notes: list[str]
) -> tuple[int, int]:
    """The (height, width) in pixels that the position embeddings are stored for: as stated, else square.

    Raises:
        ConversionError: If what is stated has another number of patches, or nothing is and no square has that many.
    """
    stated = settings.size(key)
    if stated is None:
        side = math.isqrt(max(0, num_patches))
        if side < 1 or side * side != num_patches:
            raise ConversionError(
                f"{settings.source}: {num_patches} position embeddings of patches make no square, and nothing says "
                f"how many rows they have; say it as `{key}` in {settings.title} beside the weights."
            )
        notes.append(f"Nothing says what image size the position embeddings are for: {side} x {side} patches.")
        return side * patch_size, side * patch_size
    rows, columns = stated[0] // patch_size, stated[1] // patch_size
    if rows * columns != num_patches:
        settings.refuse(
            key,
            f"that makes {rows} x {columns} patches of {patch_size} pixels, and the weights have {num_patches} "
            "position embeddings of patches; the two do not belong together",
        )
    return rows * patch_size, columns * patch_size


def convert_segmenter(source: Source, *, num_attention_heads: int | None = None) -> ConvertedWeights:
    """Turn a checkpoint of the original Segmenter into PAUMER's weights.

    One thing differs: in images of another shape with as many patches as the position embeddings are stored for,
    Segmenter uses these as they are, row after row; PAUMER interpolates them.

    Args:
        source: With variant.yml as its configuration; without, the number of heads, the image size and the
            normalisation are taken as those of the published models.
        num_attention_heads: Heads of the encoder, if variant.yml does not say it.

    Raises:
        ConversionError: If weights are missing, left over or of wrong shape, or variant.yml contradicts them.
    """
    translation = Translation(SourceWeights(source.name, source.tensors))
    variant = Settings(source.name, "variant.yml", source.config)
    net = variant.section("net_kwargs")
    config = _take_encoder(translation, net, num_attention_heads)
    if any(key.startswith("decoder.") for key in source.tensors):
        config |= _take_decoder(translation, net, config)
    translation.weights.drop(lambda key: key.startswith(("encoder.head.", "encoder.head_dist.")))
    translation.weights.finish()
    normalization = _choose_normalization(variant, net, config["use_distillation_token"], translation.notes)
    mean, std = NORMALIZATIONS[normalization]
    return ConvertedWeights(
        origin="segmenter",
        config=config,
        state_dict=translation.state_dict,
        image_mean=mean,
        image_std=std,
        unused=translation.weights.unused,
        notes=translation.notes,
    )


def _take_encoder(translation: Translation, net: Settings, num_attention_heads: int | None) -> dict[str, Any]:
    weights, embeddings = translation.weights, "paumer.embeddings."
    width, patch_size = translation.patch_projection("encoder.patch_embed.proj")
    distilled = "encoder.dist_token" in weights
    translation.take("encoder.cls_token", f"{embeddings}cls_token", 1, 1, width)
    if distilled:
        translation.take("encoder.dist_token", f"{embeddings}distillation_token", 1, 1, width)
    _, num_positions, _ = translation.take("encoder.pos_embed", f"{embeddings}position_embeddings", 1, None, width)
    num_layers, intermediate_size, qkv_bias = translation.layers(
        "encoder.blocks.", "paumer.encoder.layers.", LAYER_NAMES, width, keep_qkv=True
    )
    translation.norm("encoder.norm", "paumer.layernorm", width)
    net.check(d_model=width, n_layers=num_layers, patch_size=patch_size, distilled=distilled)
    num_patches = num_positions - 1 - distilled
    return {
        "hidden_size": width,
        "num_hidden_layers": num_layers,
        "num_attention_heads": choose_heads(net, "n_heads", width, num_attention_heads, translation.notes),
        "intermediate_size": intermediate_size,
        "hidden_act": "gelu",
        "layer_norm_eps": LAYER_NORM_EPS,
        "image_size": choose_image_size(net, "image_size", num_patches, patch_size, translation.notes),
        "patch_size": patch_size,
        "num_channels": 3,
        "qkv_bias": qkv_bias,
        "use_distillation_token": distilled,
        "position_interpolation_mode": "bilinear",
        "position_interpolation_antialias": False,
    }


def _take_decoder(translation: Translation, net: Settings, encoder: Mapping[str, Any]) -> dict[str, Any]:
    stated, hidden_size = net.section("decoder"), encoder["hidden_size"]
    is_linear = "decoder.head.weight" in translation.weights
    name = stated.text("name")
    if name is not None and is_linear != ("linear" in name):
        stated.check(name="linear" if is_linear else "mask_transformer")
    if is_linear:
        num_labels = translation.linear("decoder.head", "decoder.classifier", None, hidden_size)
        net.check(n_cls=num_labels)
        return {"num_labels": num_labels, "decoder_type": "linear"}
    width = translation.linear("decoder.proj_dec", "decoder.input_projection", None, hidden_size)
    _, num_labels, _ = translation.take("decoder.cls_emb", "decoder.class_embeddings", 1, None, width)
    net.check(n_cls=num_labels)
    num_layers, intermediate_size, _ = translation.layers("decoder.blocks.", "decoder.layers.", LAYER_NAMES, width)
    translation.norm("decoder.decoder_norm", "decoder.layernorm", width)
    for key, target in (("proj_patch", "patch_projection"), ("proj_classes", "class_projection")):
        # Segmenter computes tokens @ matrix, a linear layer tokens @ weight.T.
        translation.put(f"decoder.{target}.weight", translation.weights.pop(f"decoder.{key}", width, width).T)
    translation.norm("decoder.mask_norm", "decoder.mask_layernorm", num_labels)
    stated_layers = stated.integer("n_layers")
    if stated_layers not in (None, num_layers):
        # A published model has another number of decoder layers than its variant.yml.
        translation.notes.append(
            f"{net.title} says that the decoder has {stated_layers} layers, but the weights have {num_layers}."
        )
    dropout = stated.fraction("dropout")
    return {
        "num_labels": num_labels,
        "decoder_type": "mask_transformer",
        "decoder_num_hidden_layers": num_layers,
        "decoder_hidden_size": width,
        "decoder_num_attention_heads": choose_decoder_heads(stated, "n_heads", width, encoder["num_attention_heads"]),
        "decoder_intermediate_size": intermediate_size,
        "decoder_hidden_act": "gelu",
        "decoder_layer_norm_eps": LAYER_NORM_EPS,
        **({} if dropout is None else {"decoder_dropout_prob": dropout}),
    }


def _choose_normalization(variant: Settings, net: Settings, distilled: bool, notes: list[str]) -> str:
    dataset = variant.section("dataset_kwargs")
    stated_by = net if net.text("normalization") is not None else dataset
    name = stated_by.text("normalization")
    if name is None:
        name = "deit" if distilled else "vit"
        notes.append(
            f"Nothing says how images are normalised: as {name!r} does, as the published models of this kind."
        )
    elif name not in NORMALIZATIONS:
        stated_by.refuse("normalization", f"it must be one of {sorted(NORMALIZATIONS)}")
    return name


__all__ = [
    "LAYER_NORM_EPS",
    "LayerNames",
    "Translation",
    "choose_decoder_heads",
    "choose_heads",
    "choose_image_size",
    "convert_segmenter",
]
