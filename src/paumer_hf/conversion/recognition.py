# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Recognising what kind of network a source holds, by the names of its weights and its configuration."""

from collections.abc import Callable, Collection, Iterable

from paumer_hf.conversion.source_files import Source
from paumer_hf.conversion.source_weights import ConversionError


KINDS = ("segmenter", "mmsegmentation", "timm", "augreg", "hugging_face")
DESCRIPTIONS = {
    "segmenter": "a whole Segmenter (encoder.*, decoder.*)",
    "mmsegmentation": "a Segmenter of mmsegmentation (backbone.*, decode_head.*)",
    "timm": "a VisionTransformer of timm (blocks.*, patch_embed.*)",
    "augreg": "a ViT in AugReg's .npz layout (Transformer/encoderblock_*, embedding/kernel)",
    "hugging_face": "a ViT, DeiT, DINOv2 or DINOv3 of Hugging Face transformers (embeddings.*, with its config.json)",
}
HUGGING_FACE_MODEL_TYPES = ("vit", "deit", "dinov2", "dinov2_with_registers", "dinov3_vit")


def recognise_kind(source: Source) -> str:
    """The kind of a source, one of `KINDS`; what its files are called plays no part.

    Raises:
        ConversionError: If the source is of none of the kinds, or looks like two of them.
    """
    keys = source.tensors.keys()
    model_type = (source.config or {}).get("model_type")
    if model_type == "paumer" or _has_prefix(keys, "paumer."):
        raise ConversionError(
            f"{source.name} is a checkpoint of PAUMER already; load it with "
            "`PaumerForSemanticSegmentation.from_pretrained`."
        )
    found = [kind for kind in KINDS if SIGNS[kind](keys)]
    if len(found) > 1:
        raise ConversionError(
            f"{source.name} looks like {' and like '.join(DESCRIPTIONS[kind] for kind in found)}; pass `kind` to say "
            f"which it is, {' or '.join(map(repr, found))}."
        )
    if not found and model_type is not None:
        _refuse_model_type(source)
    if not found:
        raise ConversionError(
            f"{source.name} is of no kind that can be converted: it has {_sample(keys)}. The known kinds are "
            f"{'; '.join(DESCRIPTIONS.values())}."
        )
    if found == ["mmsegmentation"]:
        _check_mmsegmentation(source)
    if found == ["hugging_face"]:
        _check_hugging_face(source)
    return found[0]


def _check_mmsegmentation(source: Source) -> None:
    keys = source.tensors.keys()
    of_head = [key for key in keys if key.startswith("decode_head.")]
    is_linear = "decode_head.conv_seg.weight" in keys and all(
        key.startswith("decode_head.conv_seg.") for key in of_head
    )
    if "decode_head.cls_emb" not in keys and not is_linear:
        raise ConversionError(
            f"{source.name} is of mmsegmentation, but its decode_head is not Segmenter's, which has "
            f"'decode_head.cls_emb', nor a linear one of 'decode_head.conv_seg' alone: it has {_sample(of_head)}."
        )
    needed = ("backbone.patch_embed.projection.weight", "backbone.layers.0.attn.attn.in_proj_weight")
    if any(key not in keys for key in needed):
        raise ConversionError(
            f"{source.name} is of mmsegmentation, but its backbone is not the VisionTransformer, which has "
            f"{' and '.join(map(repr, needed))}: it has {_sample(key for key in keys if key.startswith('backbone.'))}."
        )


def _check_hugging_face(source: Source) -> None:
    if (source.config or {}).get("model_type") is None:
        raise ConversionError(
            f"{source.name} has weights of Hugging Face transformers, but no config.json with a `model_type`, where "
            "the number of attention heads stands; put the config.json of the same model beside the weights."
        )
    _refuse_model_type(source)


def _refuse_model_type(source: Source) -> None:
    """Raise a ConversionError if the configuration is of a model of transformers that is not known."""
    model_type = (source.config or {}).get("model_type")
    if model_type not in HUGGING_FACE_MODEL_TYPES:
        raise ConversionError(
            f"{source.name} is a model of type {model_type!r} of Hugging Face transformers; those that can be "
            f"converted are {', '.join(HUGGING_FACE_MODEL_TYPES)}."
        )


def _has_prefix(keys: Iterable[str], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in keys)


def _sample(keys: Iterable[str]) -> str:
    """How many weights there are, and what the first are called."""
    names = list(keys)
    return f"{len(names)} weights, {', '.join(map(repr, names[:5]))}{', ...' if len(names) > 5 else ''}"


def _is_segmenter(keys: Collection[str]) -> bool:
    is_encoder = "encoder.patch_embed.proj.weight" in keys and _has_prefix(keys, "encoder.blocks.")
    return is_encoder and _has_prefix(keys, "decoder.")


def _is_mmsegmentation(keys: Collection[str]) -> bool:
    return _has_prefix(keys, "backbone.") and _has_prefix(keys, "decode_head.")


def _is_timm(keys: Collection[str]) -> bool:
    return "blocks.0.attn.qkv.weight" in keys and "patch_embed.proj.weight" in keys


def _is_augreg(keys: Collection[str]) -> bool:
    # The hybrids have these too, behind a ResNet, whose first convolution is the root.
    is_transformer = "embedding/kernel" in keys and _has_prefix(keys, "Transformer/encoderblock_0/")
    return is_transformer and not _has_prefix(keys, "conv_root/")


def _is_hugging_face(keys: Collection[str]) -> bool:
    return any(key.endswith("embeddings.cls_token") for key in keys) and any("patch_embeddings" in key for key in keys)


SIGNS: dict[str, Callable[[Collection[str]], bool]] = {
    "segmenter": _is_segmenter,
    "mmsegmentation": _is_mmsegmentation,
    "timm": _is_timm,
    "augreg": _is_augreg,
    "hugging_face": _is_hugging_face,
}

__all__ = ["KINDS", "recognise_kind"]
