# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What `from_backbone` of the model and of the image processor does: a trained encoder in one call."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from transformers.utils import logging

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor
from paumer_hf.conversion.convert import model_from_weights, processor_from_weights, read_weights
from paumer_hf.conversion.source_weights import ConversionError


logger = logging.get_logger(__name__)

READING_ARGUMENTS = (
    *("kind", "num_attention_heads"),
    *("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token"),
)


def load_backbone(
    model_class: type[PaumerForSemanticSegmentation],
    name_or_path: str | os.PathLike,
    *,
    num_labels: int | None = None,
    id2label: Mapping[int, str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    dtype: torch.dtype | str | None = None,
    pause_config: Any = None,
    **kwargs: Any,
) -> PaumerForSemanticSegmentation:
    """A new model on the encoder of another origin; arguments and errors are those of `from_backbone`."""
    dtype = _read_dtype(dtype)
    converted = read_weights(name_or_path, **_pop_reading_arguments(kwargs))
    model = model_from_weights(
        converted,
        model_class=model_class,
        keep_decoder=False,
        num_labels=num_labels,
        id2label=id2label,
        image_size=image_size,
        config=kwargs,
    )
    if pause_config is not None:
        model.pause_config = pause_config
    logger.warning(
        f"The encoder has the weights of {name_or_path} ({converted.origin}); the decoder and the auxiliary head are "
        "new and have to be trained."
    )
    for note in converted.notes:
        logger.warning(note)
    return model.to(dtype)


def load_backbone_processor(
    processor_class: type[PaumerImageProcessor],
    name_or_path: str | os.PathLike,
    *,
    image_size: int | tuple[int, int] | None = None,
    **kwargs: Any,
) -> PaumerImageProcessor:
    """The image processor for such a model; arguments and errors are those of `from_backbone`."""
    converted = read_weights(name_or_path, **_pop_reading_arguments(kwargs))
    known = set(processor_class.valid_kwargs.__annotations__)
    for name in kwargs:
        if name not in known:
            raise ConversionError(f"The image processor has no argument {name!r}; it has {sorted(known)}.")
    size = {} if image_size is None else {"image_size": image_size}
    config = PaumerForSemanticSegmentation.config_class(**{**converted.config, "num_labels": 2, **size})
    return processor_from_weights(converted, config, processor_class=processor_class, **kwargs)


def _pop_reading_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take what `read_weights` needs out of `kwargs`; None stands for nothing, as everywhere in transformers."""
    taken = {name: kwargs.pop(name) for name in READING_ARGUMENTS if name in kwargs}
    return {name: value for name, value in taken.items() if value is not None}


def _read_dtype(dtype: torch.dtype | str | None) -> torch.dtype:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else torch.float32 if dtype is None else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ConversionError(
            f"`dtype` must be a floating-point type of torch or its name, such as 'bfloat16', but is {dtype!r}."
        )
    return found


__all__ = ["load_backbone", "load_backbone_processor"]
