# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What an exported file says about itself: texts by name, which every tool that opens the file can show."""

import json
from collections.abc import Mapping
from typing import Any

import torch
import transformers

import paumer_hf
from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor
from paumer_hf.export.fixed_module import FixedSettings


PREFIX = "paumer_hf."

# Those settings of an image processor that say how pixels become `pixel_values`; the sizes are those of the graph.
_PROCESSOR_FIELDS = (
    "image_mean",
    "image_std",
    "do_normalize",
    "do_rescale",
    "rescale_factor",
    "resample",
    "do_convert_rgb",
    "do_reduce_labels",
)


def write_metadata(
    model: PaumerForSemanticSegmentation,
    settings: FixedSettings,
    processor: PaumerImageProcessor | None,
    versions: Mapping[str, str],
) -> dict[str, str]:
    """The metadata of an export: names that begin with `paumer_hf.`, values as JSON.

    Args:
        model: The model.
        settings: What is fixed.
        processor: Its image processor; None leaves `paumer_hf.image_processor` out.
        versions: Versions of the exporter, beside those of this package, torch and transformers.
    """
    values: dict[str, Any] = {
        "pause_preset": settings.pause_preset,
        "pause_config": settings.pause_config.to_dict(),
        "image_size": settings.image_size,
        "patch_size": model.config.patch_size,
        "class_names": [model.config.id2label[label] for label in range(model.config.num_labels)],
        "versions": {
            "paumer_hf": paumer_hf.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            **versions,
        },
    }
    if processor is not None:
        fields = processor.to_dict()
        values["image_processor"] = {name: fields.get(name) for name in _PROCESSOR_FIELDS}
    return {PREFIX + name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}


def read_metadata(texts: Mapping[str, str], path: Any) -> dict[str, Any]:
    """The values of `write_metadata`, by their names without the prefix.

    Args:
        texts: The metadata of the file.
        path: The file, for the message.

    Raises:
        ValueError: If the file was not written by `export_onnx`, or what it says cannot be read.
    """
    remedy = "Name a file that scripts/export_onnx.py wrote, or write it again."
    required = ("pause_config", "pause_preset", "image_size", "patch_size", "class_names")
    missing = [PREFIX + name for name in required if PREFIX + name not in texts]
    if missing:
        raise ValueError(f"{path} is no export of PAUMER: its metadata have no {missing[0]!r}. {remedy}")
    try:
        return {name.removeprefix(PREFIX): json.loads(texts[name]) for name in texts if name.startswith(PREFIX)}
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} has metadata that are no JSON: {error}. {remedy}") from error


def processor_of(values: Mapping[str, Any], beside: PaumerImageProcessor | None = None) -> PaumerImageProcessor:
    """The image processor that makes `pixel_values` of the graph's size from images of any size.

    Args:
        values: Of `read_metadata`.
        beside: The processor that lies beside the file, for an export that has none.

    Raises:
        ValueError: If there is neither.
    """
    fields = values.get("image_processor")
    if fields is None and beside is None:
        raise ValueError(
            "The export has no image processor: its metadata do not say how images are normalised. Export it with "
            "`processor`, or save the processor of the model in its folder."
        )
    if fields is None:
        fields = {name: getattr(beside, name) for name in _PROCESSOR_FIELDS}
    height, width = values["image_size"]
    # The graph pads to whole patches itself.
    fixed = {"do_resize": True, "size": {"height": height, "width": width}, "do_pad": False}
    return PaumerImageProcessor(**{**fields, **fixed, "size_divisor": values["patch_size"]})


__all__ = ["PREFIX", "processor_of", "read_metadata", "write_metadata"]
