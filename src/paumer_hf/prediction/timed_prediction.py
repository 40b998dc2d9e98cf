# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Predicts images one at a time under several pause configurations, and times the calls of the model."""

import time
from collections.abc import Mapping
from typing import NamedTuple

import torch
from PIL import Image

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.model.model_outputs import PaumerSemanticSegmenterOutput
from paumer_hf.model.pausing import entropy
from paumer_hf.model.segmentation_maps import segmentation_map
from paumer_hf.visualization import FigureRow


MEASURED = (
    "the call of the model on one image, from pixel values on the device to logits at the patch grid, after one call "
    "to warm up for each size; without reading, preparing, upsampling, drawing and writing"
)
"""What the seconds of `TimedPredictor` are the seconds of."""


class TimedPrediction(NamedTuple):
    """What one pause configuration made of an image, and the seconds of each call of the model."""

    row: FigureRow
    seconds: list[float]


class TimedPredictor:
    """A model with the pause configurations under which it predicts.

    Args:
        model: The model, in eval mode.
        processor: Its image processor, for mean and standard deviation.
        pause_configs: From each pause configuration to its name in figures; empty where its layers are its name.

    Raises:
        ValueError: If there is no pause configuration.
    """

    def __init__(
        self,
        model: PaumerForSemanticSegmentation,
        processor: PaumerImageProcessor,
        pause_configs: Mapping[PauseConfig, str],
    ) -> None:
        if not pause_configs:
            raise ValueError("`pause_configs` must hold at least one pause configuration, but is empty.")
        self.model = model
        self.processor = processor
        self.pause_configs = dict(pause_configs)
        self._warm_shapes: set[torch.Size] = set()
        self._calls = 0

    @torch.inference_mode()
    def predict(self, image: Image.Image, num_calls: int = 1) -> list[TimedPrediction]:
        """Predict an image under each pause configuration.

        The configurations are called in turn, in an order that changes with each round, so that a machine that slows
        down for a while slows all of them.

        Args:
            image: The image, at the size at which the model shall see it.
            num_calls: How often each configuration is timed. The prediction is that of the last call.

        Raises:
            ValueError: If `num_calls` is less than 1.
        """
        if num_calls < 1:
            raise ValueError(f"`num_calls` must be at least 1, but is {num_calls}.")
        pixel_values = _pixel_values(self.model, self.processor, image)
        configs = list(self.pause_configs)
        if pixel_values.shape not in self._warm_shapes:
            for pause_config in configs:
                self._call(pixel_values, pause_config)
            self._warm_shapes.add(pixel_values.shape)
        outputs: dict[PauseConfig, PaumerSemanticSegmenterOutput] = {}
        seconds: dict[PauseConfig, list[float]] = {pause_config: [] for pause_config in configs}
        for _ in range(num_calls):
            first = self._calls % len(configs)
            self._calls += 1
            for pause_config in configs[first:] + configs[:first]:
                outputs[pause_config], elapsed = self._call(pixel_values, pause_config)
                seconds[pause_config].append(elapsed)
        return [
            TimedPrediction(
                _figure_row(self.model, outputs[pause_config], image, pause_config, name), seconds[pause_config]
            )
            for pause_config, name in self.pause_configs.items()
        ]

    def _call(
        self, pixel_values: torch.Tensor, pause_config: PauseConfig
    ) -> tuple[PaumerSemanticSegmenterOutput, float]:
        _synchronise(pixel_values.device)
        start = time.perf_counter()
        outputs = self.model(pixel_values, pause_config=pause_config)
        _synchronise(pixel_values.device)
        return outputs, time.perf_counter() - start


@torch.inference_mode()
def predict(
    model: PaumerForSemanticSegmentation,
    processor: PaumerImageProcessor,
    image: Image.Image,
    pause_config: PauseConfig,
) -> FigureRow:
    """The label map, the pause map and the entropy of one image, at its own size, under one pause configuration.

    The entropy is that of the auxiliary prediction, which decides what pauses; without pausing there is none, and the
    entropy is that of the prediction itself.
    """
    outputs = model(_pixel_values(model, processor, image), pause_config=pause_config)
    return _figure_row(model, outputs, image, pause_config)


def _pixel_values(
    model: PaumerForSemanticSegmentation, processor: PaumerImageProcessor, image: Image.Image
) -> torch.Tensor:
    inputs = processor(image, do_resize=False, size_divisor=model.config.patch_size, return_tensors="pt")
    return inputs.pixel_values.to(model.device, model.dtype)


def _figure_row(
    model: PaumerForSemanticSegmentation,
    outputs: PaumerSemanticSegmenterOutput,
    image: Image.Image,
    pause_config: PauseConfig,
    name: str = "",
) -> FigureRow:
    assert outputs.logits is not None
    assert outputs.pause_map is not None
    image_size = (image.height, image.width)
    label_map = segmentation_map(outputs.logits[0], image_size, image_size, model.config.patch_size)
    logits = outputs.logits if outputs.auxiliary_logits is None else outputs.auxiliary_logits
    return FigureRow(
        pause_config=pause_config,
        label_map=label_map.cpu().numpy(),
        pause_map=outputs.pause_map[0].cpu().numpy(),
        entropy=entropy(logits[0].permute(1, 2, 0)).cpu().numpy(),
        entropy_title=f"entropy of the {'' if outputs.auxiliary_logits is None else 'auxiliary '}prediction",
        name=name,
    )


def _synchronise(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


__all__ = ["MEASURED", "TimedPrediction", "TimedPredictor", "predict"]
