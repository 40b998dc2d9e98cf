# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Segmentation data: descriptions of data sets, their samples, and augmentation for training."""

from paumer_hf.data.dataset_descriptions import DatasetDescription, get_dataset_description
from paumer_hf.data.segmentation_datasets import (
    BadSampleError,
    SegmentationDataset,
    SegmentationSample,
    load_segmentation_dataset,
)
from paumer_hf.data.streaming import SegmentationStream
from paumer_hf.data.transforms import TrainingTransform, image_to_tensor


__all__ = [
    "BadSampleError",
    "DatasetDescription",
    "SegmentationDataset",
    "SegmentationSample",
    "SegmentationStream",
    "TrainingTransform",
    "get_dataset_description",
    "image_to_tensor",
    "load_segmentation_dataset",
]
