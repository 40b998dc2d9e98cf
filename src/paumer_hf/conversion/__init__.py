# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights of other origins as PAUMER models: Segmenter, mmsegmentation, timm, AugReg, Hugging Face."""

from paumer_hf.conversion.convert import (
    ConversionReport,
    convert_weights,
    model_from_weights,
    processor_from_weights,
    read_weights,
)
from paumer_hf.conversion.source_weights import ConversionError, ConvertedWeights


__all__ = [
    "ConversionError",
    "ConversionReport",
    "ConvertedWeights",
    "convert_weights",
    "model_from_weights",
    "processor_from_weights",
    "read_weights",
]
