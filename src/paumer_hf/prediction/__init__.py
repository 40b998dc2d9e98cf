# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Predicts images and videos under several pause configurations and writes what comes out as pictures and numbers."""

from paumer_hf.prediction.choices import choose_pause_configs, load_model, read_palette, read_pause_config
from paumer_hf.prediction.image_files import check_outputs, output_names, predict_files
from paumer_hf.prediction.inputs import find_images, find_inputs
from paumer_hf.prediction.prediction_arguments import PredictionArguments
from paumer_hf.prediction.timed_prediction import TimedPredictor, predict
from paumer_hf.prediction.video_files import VideoOptions, predict_videos


__all__ = [
    "PredictionArguments",
    "TimedPredictor",
    "VideoOptions",
    "check_outputs",
    "choose_pause_configs",
    "find_images",
    "find_inputs",
    "load_model",
    "output_names",
    "predict",
    "predict_files",
    "predict_videos",
    "read_palette",
    "read_pause_config",
]
