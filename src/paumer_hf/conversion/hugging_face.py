# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From the weights that transformers saves of ViT, DeiT, DINOv2 (with registers) and DINOv3 to PAUMER's."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig

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


@dataclasses.dataclass(frozen=True)
class _Family:
    """What transformers calls the weights of a family of models on disk (in memory it may differ) and what they mean.

    Attributes:
        names: From the names in a layer of PAUMER to those in a layer of the family.
        fields: The fields of `PaumerConfig` that are alike in the whole family.
        patch_projection: The projection of the patches.
        layers: What comes before the number of a layer.
        final_norm: The normalisation after the last layer.
        has_layer_scale: Whether the layers have LayerScale.
        imagenet_normalisation: Whether the published weights were trained on images normalised by the mean and
            standard deviation of ImageNet, and not by 0.5.
    """

    names: Mapping[str, str]
    fields: Mapping[str, Any]
    patch_projection: str = "embeddings.patch_embeddings.projection"
    layers: str = "encoder.layer."
    final_norm: str = "layernorm"
    has_layer_scale: bool = True
    imagenet_normalisation: bool = True


# The gate and what it gates, one below the other in one matrix.
_PACKED = "mlp.gate_proj and mlp.up_proj"
_ATTENTION_NAMES = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
}
_VIT_NAMES = {
    **_ATTENTION_NAMES,
    "layernorm_before": "layernorm_before",
    "layernorm_after": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
_DINO_NORM_NAMES = {"layernorm_before": "norm1", "layernorm_after": "norm2"}
_DINOV2_NAMES = {
    **_ATTENTION_NAMES,
    **_DINO_NORM_NAMES,
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    _PACKED: "mlp.weights_in",
    "mlp.down_proj": "mlp.weights_out",
}
_DINOV3_NAMES = {
    **{name: name for name in _ATTENTION_NAMES},
    **_DINO_NORM_NAMES,
    "mlp.fc1": "mlp.up_proj",
    "mlp.fc2": "mlp.down_proj",
    "mlp.gate_proj": "mlp.gate_proj",
    "mlp.up_proj": "mlp.up_proj",
    "mlp.down_proj": "mlp.down_proj",
}
_BICUBIC = {"position_interpolation_mode": "bicubic"}
_FAMILIES = {
    "vit": _Family(_VIT_NAMES, _BICUBIC, has_layer_scale=False, imagenet_normalisation=False),
    "deit": _Family(_VIT_NAMES, {**_BICUBIC, "use_distillation_token": True}, has_layer_scale=False),
    "dinov2": _Family(_DINOV2_NAMES, _BICUBIC),
    # Its registers are inserted after the position embeddings are added.
    "dinov2_with_registers": _Family(
        _DINOV2_NAMES,
        {**_BICUBIC, "position_interpolation_antialias": True, "num_prefix_position_embeddings": 1},
    ),
    "dinov3_vit": _Family(
        _DINOV3_NAMES,
        {"position_embedding_type": "rotary"},
        patch_projection="embeddings.patch_embeddings",
        layers="layer.",
        final_norm="norm",
    ),
}
_UNUSED_HEADS = ("classifier.", "cls_classifier.", "distillation_classifier.", "decoder.", "pooler.")


def convert_hugging_face(source: Source) -> ConvertedWeights:
    """PAUMER's weights from a model that transformers saved, alone or with a head; the head is left out.

    Args:
        source: The weights under the names that `save_pretrained` writes, with the configuration beside them.

    Raises:
        ConversionError: If the model is none of ViT, DeiT, DINOv2, DINOv2 with registers and DINOv3 ViT, if PAUMER
            cannot represent it, or if weights and configuration contradict each other.
    """
    original = _read_config(source)
    family = _FAMILIES[original.model_type]
    notes: list[str] = []
    image_mean, image_std = _normalisation(source, family, original.model_type, notes)
    weights = SourceWeights(source.name, source.tensors)
    prefix = _find_prefix(source)
    fields = _fields(source.name, weights, prefix, family, original)
    reader = _Reader(weights, prefix, fields, family, notes)

    state_dict = reader.embeddings()
    for index in range(fields["num_hidden_layers"]):
        state_dict |= reader.layer(index, original)
    state_dict |= _named("paumer.layernorm", reader.norm(family.final_norm))
    known = {f"{prefix}embeddings.mask_token"}
    heads = (*_UNUSED_HEADS, f"{prefix}pooler.")
    weights.drop(lambda key: key in known or key.startswith(heads))
    weights.finish()

    augmented = [name for name in ("shift", "jitter", "rescale") if getattr(original, f"pos_embed_{name}", None)]
    if augmented:
        notes.append(
            f"In training transformers moves the patches at random by `pos_embed_{augmented[0]}`; PAUMER does not."
        )
    return ConvertedWeights(
        origin="hugging_face",
        config=fields,
        state_dict=state_dict,
        image_mean=image_mean,
        image_std=image_std,
        unused=weights.unused,
        notes=notes,
    )


class _Reader:
    """Takes the weights of a family out and gives them PAUMER's names.

    Attributes:
        weights: What is left of the source.
        prefix: What stands before each name of the encoder.
        fields: The fields of the `PaumerConfig` that they are for.
        family: What they are called.
        notes: Gets a sentence on biases that PAUMER has and the source has not.
    """

    def __init__(
        self, weights: SourceWeights, prefix: str, fields: dict[str, Any], family: _Family, notes: list[str]
    ) -> None:
        self.weights = weights
        self.prefix = prefix
        self.fields = fields
        self.family = family
        self.notes = notes

    def embeddings(self) -> dict[str, torch.Tensor]:
        """The tokens before the patches, the position embeddings and the patch projection."""
        width, patch_size, channels = (self.fields[name] for name in ("hidden_size", "patch_size", "num_channels"))
        tensors = {"cls_token": self._take("embeddings.cls_token", 1, 1, width)}
        if self.fields.get("use_distillation_token"):
            tensors["distillation_token"] = self._take("embeddings.distillation_token", 1, 1, width)
        if "num_register_tokens" in self.fields:
            registers = self._take("embeddings.register_tokens", 1, self.fields["num_register_tokens"], width)
            # Without registers transformers saves a tensor of length 0.
            tensors |= {"register_tokens": registers} if self.fields["num_register_tokens"] else {}
        if self.fields.get("position_embedding_type") != "rotary":
            tensors["position_embeddings"] = self._take_position_embeddings()
        shape = (width, channels, patch_size, patch_size)
        projection = self.family.patch_projection
        tensors["patch_embeddings.projection.weight"] = self._take(f"{projection}.weight", *shape)
        tensors["patch_embeddings.projection.bias"] = self._take(f"{projection}.bias", width)
        return _named("paumer.embeddings", tensors)

    def layer(self, index: int, original: Any) -> dict[str, torch.Tensor]:
        """A layer of the encoder, whose biases `original`, the configuration of the source, describes."""
        source, names = f"{self.family.layers}{index}.", self.family.names
        width, inner = self.fields["hidden_size"], self.fields["intermediate_size"]
        tensors: dict[str, torch.Tensor] = {}
        for norm in ("layernorm_before", "layernorm_after"):
            tensors |= _named(norm, self.norm(source + names[norm]))
        for name, bias in _attention_biases(original).items():
            linear = self._linear(source + names[name], width, width, bias=bias)
            tensors |= _named(name, self._fill_bias("output", linear) if name == "attention.o_proj" else linear)
        for name, linear in self._mlp(source, width, inner, bias=getattr(original, "mlp_bias", True)).items():
            tensors |= _named(name, self._fill_bias("MLP", linear))
        if self.family.has_layer_scale:
            tensors["layer_scale_attention.weight"] = self._take(f"{source}layer_scale1.lambda1", width)
            tensors["layer_scale_mlp.weight"] = self._take(f"{source}layer_scale2.lambda1", width)
        return _named(f"paumer.encoder.layers.{index}", tensors)

    def norm(self, name: str) -> dict[str, torch.Tensor]:
        """Weight and bias of a layer normalisation."""
        width = self.fields["hidden_size"]
        return {part: self._take(f"{name}.{part}", width) for part in ("weight", "bias")}

    def _mlp(self, source: str, width: int, inner: int, *, bias: bool) -> dict[str, dict[str, torch.Tensor]]:
        """From the names of the linear maps in PAUMER to their weights and biases."""
        names = self.family.names
        first = ("mlp.gate_proj", "mlp.up_proj") if self.fields["use_gated_mlp"] else ("mlp.fc1",)
        last = "mlp.down_proj" if self.fields["use_gated_mlp"] else "mlp.fc2"
        if first[0] in names:
            linear = {name: self._linear(source + names[name], inner, width, bias=bias) for name in first}
        else:
            packed = self._linear(source + names[_PACKED], 2 * inner, width, bias=bias)
            halves = {part: tensor.chunk(2) for part, tensor in packed.items()}
            # Copies: parts of one tensor could not be saved as tensors of their own.
            linear = {name: {part: pair[i].clone() for part, pair in halves.items()} for i, name in enumerate(first)}
        return {**linear, last: self._linear(source + names[last], width, inner, bias=bias)}

    def _linear(self, name: str, rows: int, columns: int, *, bias: bool) -> dict[str, torch.Tensor]:
        tensors = {"weight": self._take(f"{name}.weight", rows, columns)}
        return {**tensors, "bias": self._take(f"{name}.bias", rows)} if bias else tensors

    def _fill_bias(self, part: str, linear: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if "bias" in linear:
            return linear
        note = f"The source has no {part} biases, so those of PAUMER are zero."
        self.notes += [note] if note not in self.notes else []
        return {**linear, "bias": torch.zeros(linear["weight"].shape[0])}

    def _take_position_embeddings(self) -> torch.Tensor:
        rows, columns = (length // self.fields["patch_size"] for length in self.fields["image_size"])
        num_prefix = 2 if self.fields.get("use_distillation_token") else 1
        key = "embeddings.position_embeddings"
        positions = self._take(key, 1, None, self.fields["hidden_size"])
        if positions.shape[1] != num_prefix + rows * columns:
            raise ConversionError(
                f"{self.weights.name}: {self.prefix + key!r} has {positions.shape[1]} positions, but `image_size` and "
                f"`patch_size` of config.json make {num_prefix} + {rows} * {columns}; put the `image_size` of these "
                "weights into config.json."
            )
        return positions

    def _take(self, name: str, *shape: int | None) -> torch.Tensor:
        return self.weights.pop(self.prefix + name, *shape)


def _named(module: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{module}.{name}": tensor.float().contiguous() for name, tensor in tensors.items()}


def _read_config(source: Source) -> Any:
    """The configuration of the source as transformers reads it, which knows what a field that is not there means."""
    fields = dict(source.config or {})
    model_type = fields.pop("model_type", None)
    if model_type not in _FAMILIES:
        found = "there is no config.json" if source.config is None else f"`model_type` is {model_type!r}"
        raise ConversionError(
            f"{source.name}: models of transformers need a config.json whose `model_type` is one of "
            f"{list(_FAMILIES)}, but {found}."
        )
    try:
        return AutoConfig.for_model(model_type, **fields)
    except (StrictDataclassError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConversionError(f"{source.name}: transformers does not accept its config.json: {reason}.") from error


def _find_prefix(source: Source) -> str:
    """What stands before the names of the encoder: nothing, or the name that it has in a model with a head."""
    ending = "embeddings.cls_token"
    prefixes = [key.removesuffix(ending) for key in source.tensors if key.endswith(ending)]
    if len(prefixes) != 1:
        raise ConversionError(
            f"{source.name}: one weight must be called {ending!r}, after the name of the encoder if it has one, but "
            f"there are {len(prefixes)}; save the ViT alone with `save_pretrained`."
        )
    return prefixes[0]


def _fields(name: str, weights: SourceWeights, prefix: str, family: _Family, original: Any) -> dict[str, Any]:
    """The fields of `PaumerConfig`, by the configuration of the source, which the weights must bear out."""
    _check_representable(name, original)
    gated = getattr(original, "use_gated_mlp", False) or getattr(original, "use_swiglu_ffn", False)
    last = family.names["mlp.down_proj" if gated else "mlp.fc2"]

    def length(key: str, num_dimensions: int) -> int:
        return weights.shape(prefix + key, num_dimensions)[-1]

    in_weights = {
        "hidden_size": length("embeddings.cls_token", 3),
        "num_hidden_layers": count_layers(weights.keys(), prefix + family.layers),
        "patch_size": length(f"{family.patch_projection}.weight", 4),
        "intermediate_size": length(f"{family.layers}0.{last}.weight", 2),
    }
    patch_size = _pair(original.patch_size)[0]
    for field, value in in_weights.items():
        stated = patch_size if field == "patch_size" else getattr(original, field, value)
        if stated != value:
            raise ConversionError(
                f"{name}: `{field}` is {stated} by config.json, but {value} by the weights; put the config.json of "
                "these weights beside them."
            )
    fields = {
        **family.fields,
        **in_weights,
        "num_attention_heads": original.num_attention_heads,
        "hidden_act": "silu" if gated and _PACKED in family.names else original.hidden_act,
        "layer_norm_eps": original.layer_norm_eps,
        # Less the pixels that fill no patch, which transformers leaves out.
        "image_size": tuple(length // patch_size * patch_size for length in _pair(original.image_size)),
        "num_channels": original.num_channels,
        "qkv_bias": _attention_biases(original)["attention.q_proj"],
        "use_gated_mlp": gated,
    }
    if family.has_layer_scale:
        fields["layer_scale_init_value"] = original.layerscale_value
    if hasattr(original, "num_register_tokens"):
        fields["num_register_tokens"] = original.num_register_tokens
    if original.model_type == "dinov3_vit":
        fields |= {"key_bias": original.key_bias, "rope_theta": original.rope_theta}
    return fields


def _check_representable(name: str, original: Any) -> None:
    heads, width, patch = original.num_attention_heads, original.hidden_size, _pair(original.patch_size)
    head_dim = getattr(original, "head_dim", None)
    biases = _attention_biases(original)
    problems = (
        (len(set(patch)) != 1, f"`patch_size` is {original.patch_size}, but PAUMER's patches are square"),
        (len(_pair(original.image_size)) != 2, f"`image_size` is {original.image_size}, not (height, width)"),
        (original.num_channels != 3, f"`num_channels` is {original.num_channels}, but PAUMER's images have 3"),
        (heads < 1 or width % heads != 0, f"{heads} attention heads do not divide the `hidden_size` {width}"),
        (
            head_dim not in (None, width // max(1, heads)),
            f"`head_dim` is {head_dim}, but PAUMER's heads share the `hidden_size` {width} equally",
        ),
        (
            biases["attention.q_proj"] != biases["attention.v_proj"],
            "`query_bias` and `value_bias` differ, but in PAUMER queries and values have a bias or have none together",
        ),
    )
    for is_there, problem in problems:
        if is_there:
            raise ConversionError(f"{name}: {problem}; PAUMER cannot represent this model.")


def _attention_biases(original: Any) -> dict[str, bool]:
    """Which projections of attention have a bias: but for DINOv3, one field says it of all but the output."""
    common = getattr(original, "qkv_bias", False)
    return {
        "attention.q_proj": getattr(original, "query_bias", common),
        "attention.k_proj": getattr(original, "key_bias", common),
        "attention.v_proj": getattr(original, "value_bias", common),
        "attention.o_proj": getattr(original, "proj_bias", True),
    }


def _normalisation(source: Source, family: _Family, model_type: str, notes: list[str]) -> tuple[Channels, Channels]:
    processor = source.processor or {}
    if processor.get("do_normalize") is False:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if processor.get("image_mean") is not None and processor.get("image_std") is not None:
        mean, std = (
            read_channels(source.name, "preprocessor_config.json", key, processor[key])
            for key in ("image_mean", "image_std")
        )
        return mean, std
    mean, std = IMAGENET_NORMALISATION if family.imagenet_normalisation else HALF_NORMALISATION
    notes.append(
        "No preprocessor_config.json was found that says how images are normalised (offline, one that was never "
        f"downloaded is not found); mean {mean} and standard deviation {std} are taken, as most published models of "
        f"the type {model_type!r} have them."
    )
    return mean, std


def _pair(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value, value)


__all__ = ["convert_hugging_face"]
