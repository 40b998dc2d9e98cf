# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""PAUMER, patch pausing for semantic segmentation with plain vision transformers, for Hugging Face transformers.

Importing the package registers its classes with transformers' Auto classes.
"""

from transformers import AutoConfig, AutoModel, AutoModelForSemanticSegmentation
from transformers.models.auto import modeling_auto

# The name in transformers itself asks for torchvision in version 5.17.
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from paumer_hf.model import (
    PaumerConfig,
    PaumerForSemanticSegmentation,
    PaumerImageProcessor,
    PaumerModel,
    PaumerPreTrainedModel,
    PauseConfig,
)


__version__ = "0.1.0"

AutoConfig.register(PaumerConfig.model_type, PaumerConfig, exist_ok=True)
AutoModel.register(PaumerConfig, PaumerModel, exist_ok=True)
AutoModelForSemanticSegmentation.register(PaumerConfig, PaumerForSemanticSegmentation, exist_ok=True)
AutoImageProcessor.register(PaumerConfig, image_processor_classes={"pil": PaumerImageProcessor}, exist_ok=True)
# transformers' pipelines look names up here and log an error for a model that is registered but not listed.
modeling_auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES.setdefault(
    PaumerConfig.model_type, PaumerForSemanticSegmentation.__name__
)

__all__ = [
    "PaumerConfig",
    "PaumerForSemanticSegmentation",
    "PaumerImageProcessor",
    "PaumerModel",
    "PaumerPreTrainedModel",
    "PauseConfig",
]
