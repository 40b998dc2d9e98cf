# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The files that travel to the Hub with a checkpoint: flat, importing each other by single-dot imports alone."""

from .configuration_paumer import PaumerConfig
from .image_processing_paumer import PaumerImageProcessor
from .modeling_paumer import PaumerForSemanticSegmentation, PaumerModel
from .pause_config import PauseConfig
from .pretrained_paumer import PaumerPreTrainedModel


__all__ = [
    "PaumerConfig",
    "PaumerForSemanticSegmentation",
    "PaumerImageProcessor",
    "PaumerModel",
    "PaumerPreTrainedModel",
    "PauseConfig",
]
