# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""PAUMER, patch pausing for semantic segmentation with plain vision transformers, for Hugging Face transformers.

Importing the package registers its classes with transformers' Auto classes and pipelines.
"""

from transformers import AutoConfig, AutoModel, AutoModelForSemanticSegmentation

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
from paumer_hf.pipeline import PaumerImageSegmentationPipeline, register_pipelines


__version__ = "0.1.0"

AutoConfig.register(PaumerConfig.model_type, PaumerConfig, exist_ok=True)
AutoModel.register(PaumerConfig, PaumerModel, exist_ok=True)
AutoModelForSemanticSegmentation.register(PaumerConfig, PaumerForSemanticSegmentation, exist_ok=True)
AutoImageProcessor.register(PaumerConfig, image_processor_classes={"pil": PaumerImageProcessor}, exist_ok=True)
register_pipelines()

__all__ = [
    "PaumerConfig",
    "PaumerForSemanticSegmentation",
    "PaumerImageProcessor",
    "PaumerImageSegmentationPipeline",
    "PaumerModel",
    "PaumerPreTrainedModel",
    "PauseConfig",
]
