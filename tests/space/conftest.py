# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A tiny model with presets and a profile, and a picture for it."""

import numpy as np
import pytest
from PIL import Image

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.model.pause_profile import PauseProfile, ProfilePoint
from paumer_hf.space.demonstration import Demonstration


@pytest.fixture
def photograph():
    """A function that makes an image of random pixels."""

    def make(width=45, height=38, seed=0):
        return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))

    return make


@pytest.fixture
def profiled_model(tiny_model):
    """`tiny_model` with the presets "careful" and "fast", of which the profile knows more, and less, respectively."""
    tiny_model.pause_presets = {"careful": PauseConfig({2: 0.25}), "fast": PauseConfig({1: 0.5})}
    points = (
        ProfilePoint(PauseConfig(), speedup=1.0, mean_iou=0.5),
        ProfilePoint(PauseConfig({2: 0.25}), speedup=1.2, mean_iou=0.49),
        ProfilePoint(PauseConfig({1: 0.5, 2: 0.5}), speedup=2.03, mean_iou=0.4),
    )
    tiny_model.pause_profile = PauseProfile(points, {"dataset": "streets", "device": "abacus"})
    return tiny_model


@pytest.fixture
def demonstration(profiled_model):
    """What the page computes with `profiled_model`."""
    return Demonstration(profiled_model, PaumerImageProcessor(size_divisor=8), num_calls=2)
