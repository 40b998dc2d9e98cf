# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A model with what an exported graph fixes: its image size, its pause configuration and its outputs."""

import contextlib
import copy
import dataclasses
import io
import logging
import operator
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.evaluation.table_1 import read_pause_config


MAX_UINT8_LABELS = 256


@dataclasses.dataclass(frozen=True)
class FixedSettings:
    """What is decided before a graph is made.

    Attributes:
        pause_config: What pauses.
        pause_preset: The name of the preset of the model that this is, None where it is none.
        image_size: (height, width) of `pixel_values`.
        label_map: Whether the graph also returns the class of each pixel.
    """

    pause_config: PauseConfig
    pause_preset: str | None
    image_size: tuple[int, int]
    label_map: bool


def fix_settings(
    model: PaumerForSemanticSegmentation,
    pause_config: PauseConfig | Mapping | str | None,
    image_size: Sequence[int] | None,
    label_map: bool,
) -> FixedSettings:
    """Read and check what an export is asked for.

    Args:
        model: The model.
        pause_config: A `PauseConfig`, a mapping from layer to ratio, or a word as on command lines: "dense", the name
            of a preset, "default" or layers with ratios such as "3:0.4,5:0.4". None is the model's default.
        image_size: (height, width); None is the size that the model was trained for.
        label_map: Whether the graph also returns the class of each pixel.

    Raises:
        ValueError: If the pause configuration is refused, or pauses at random without a seed, or the size is none.
        TypeError: If `pause_config` is none of the above.
    """
    name = pause_config if isinstance(pause_config, str) else None
    if name is not None:
        presets = {**model.pause_presets, "default": model.pause_config}
        pause_config = read_pause_config(name, model.config.num_hidden_layers, presets)
    pause_config = model.resolve_pause_config(pause_config)
    if pause_config and pause_config.criterion == "random" and pause_config.seed is None:
        raise ValueError(
            "`pause_config` pauses at random without a seed, so that no two calls of an exported model could agree. "
            "Give it one: PauseConfig(..., criterion='random', seed=0), on command lines --seed 0."
        )
    size = _read_size(model.config.image_size if image_size is None else image_size)
    preset = name if name != "dense" and name in model.pause_presets else None
    return FixedSettings(pause_config, preset, size, label_map)


def _read_size(size: Any) -> tuple[int, int]:
    """(height, width) of an image size, which may be one side."""
    sides = tuple(size) if isinstance(size, Iterable) else (size, size)
    # Texts and bytes are sequences too, and True is a number to Python.
    is_size = not isinstance(size, str | bytes) and not any(isinstance(side, bool) for side in sides)
    try:
        height, width = map(operator.index, sides if is_size else ())
        if min(height, width) >= 1:
            return height, width
    except (TypeError, ValueError):  # no whole numbers, or not two of them
        pass
    raise ValueError(f"`image_size` must be a height and a width, whole numbers of at least 1, but is {size!r}.")


class FixedPaumer(nn.Module):
    """The model from pixel values of one size to its outputs by name, under one pause configuration, in float32.

    It computes on a copy of the model on the CPU, in evaluation mode, whose position embeddings are interpolated to
    the image size once: a graph then holds them as they are and needs no interpolation that its runtime does its own
    way.
    """

    def __init__(self, model: PaumerForSemanticSegmentation, settings: FixedSettings) -> None:
        super().__init__()
        self.settings = settings
        self.model = copy.deepcopy(model).float().cpu().eval()
        self.model.set_attn_implementation("sdpa")
        self._fix_position_embeddings()
        self.eval()

    def forward(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
        """From (batch, channels, height, width) to `logits` and, if it is asked for, `label_map`.

        Returns:
            `logits`, (batch, classes, rows, columns), and `label_map`, (batch, height, width): uint8 up to 256
            classes, otherwise int64.
        """
        outputs = {"logits": self.model(pixel_values, pause_config=self.settings.pause_config).logits}
        if self.settings.label_map:
            labels = self.model.upsample_logits(outputs["logits"], self.settings.image_size).argmax(dim=1)
            is_small = self.model.config.num_labels <= MAX_UINT8_LABELS
            outputs["label_map"] = labels.to(torch.uint8) if is_small else labels
        return outputs

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs in their order."""
        return ["logits", *(["label_map"] if self.settings.label_map else [])]

    def example(self) -> torch.Tensor:
        """Pixel values to trace with; torch takes a batch of 1 for a constant, so that there are 2 images."""
        return torch.zeros(2, self.model.config.num_channels, *self.settings.image_size)

    def _fix_position_embeddings(self) -> None:
        embeddings, config = self.model.paumer.embeddings, self.model.config
        if embeddings.position_embeddings is None:
            return
        rows, columns = (-(-side // config.patch_size) for side in self.settings.image_size)
        with torch.no_grad():
            positions = embeddings.interpolate_position_embeddings((rows, columns))
        embeddings.position_embeddings = nn.Parameter(positions.clone())
        config.image_size = (rows * config.patch_size, columns * config.patch_size)


@contextlib.contextmanager
def exporting() -> Iterator[None]:
    """No gradients, and without what the exporters print and warn of: it is about their own code."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.disabled = was_disabled


__all__ = ["FixedPaumer", "FixedSettings", "exporting", "fix_settings"]
