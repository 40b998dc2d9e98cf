# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From label images as data sets store them to one class per pixel."""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from paumer_hf.data.dataset_descriptions import MAX_RAW_VALUE, NO_LABEL, DatasetDescription
from paumer_hf.data.transforms import IGNORE_INDEX


RAW_LABEL_MODES = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow modes with one integer per pixel; in mode P that integer is the place in the palette."""

MAX_NAMED_VALUES = 10

# Places in the tables behind those of the raw values from 0 on: what no description can speak of, and `NO_LABEL`.
_OUTSIDE = MAX_RAW_VALUE + 1
_NO_LABEL = MAX_RAW_VALUE + 2


class LabelMapError(ValueError):
    """A label image that does not hold what the description of its data set says."""


class LabelTable:
    """Classes of label images.

    Args:
        description: what the raw values mean.
    """

    def __init__(self, description: DatasetDescription) -> None:
        """Prepare the tables."""
        self.description = description
        mapping = description.label_mapping
        ignored: Iterable[int] = description.ignored_values or ()
        if mapping is None:
            mapping, ignored = {label: label for label in range(description.num_labels)}, (IGNORE_INDEX,)
        self._known_values = sorted({*mapping, *ignored})

        self._classes = np.full(MAX_RAW_VALUE + 3, IGNORE_INDEX, dtype=np.uint8)
        for value, label in mapping.items():
            self._classes[value] = label
        self._is_known: np.ndarray | None = None
        if description.label_mapping is None or description.ignored_values is not None:
            self._is_known = np.zeros(MAX_RAW_VALUE + 3, dtype=bool)
            self._is_known[[_NO_LABEL if value == NO_LABEL else value for value in self._known_values]] = True

    def __call__(self, label_image: Image.Image) -> np.ndarray:
        """Map a label image.

        Args:
            label_image: image with one integer per pixel, or with several of which the description names the channel.

        Returns:
            uint8 classes of shape (height, width), 255 where ignored.

        Raises:
            LabelMapError: If the image has colours, or values that the description does not know.
        """
        raw = self._raw_values(label_image)
        if self._is_known is not None:
            known = self._is_known[_places(raw)]
            if not known.all():
                raise LabelMapError(self._unknown_values(np.unique(raw[~known])))
        return self._classes[_places(raw)]

    def _raw_values(self, label_image: Image.Image) -> np.ndarray:
        channel, column = self.description.annotation_channel, self.description.annotation_column
        num_channels = len(label_image.getbands())
        if channel is not None and num_channels > 1:
            if channel >= num_channels:
                raise LabelMapError(
                    f"'{column}' must have the channel {channel} that annotation_channel names, got mode"
                    f" {label_image.mode} with {num_channels} channels; correct annotation_channel."
                )
            label_image = label_image.getchannel(channel)
        if label_image.mode not in RAW_LABEL_MODES:
            raise LabelMapError(
                f"'{column}' must hold one integer per pixel (Pillow modes L, P or I;16), got mode"
                f" {label_image.mode}; convert colours to class numbers first, or name the channel that holds them by"
                " annotation_channel."
            )
        raw = np.asarray(label_image)
        return raw.astype(np.uint8) if raw.dtype == np.bool_ else raw

    def _unknown_values(self, unknown: np.ndarray) -> str:
        got = f"got {unknown.tolist()[:MAX_NAMED_VALUES]}"
        if self.description.label_mapping is None:
            return (
                f"labels must be 0 to {self.description.num_labels - 1}, or 255 where ignored, {got}; pass"
                " label_mapping=... to say what these values mean."
            )
        return (
            f"labels must be among the known raw values {_in_words(self._known_values)}, {got}; add them to"
            " label_mapping or ignored_values if they are right."
        )


def _places(raw: np.ndarray) -> np.ndarray:
    """Places of raw values in the tables."""
    if raw.dtype == np.uint8:
        return raw
    raw = raw.astype(np.int64)
    places = np.where((raw < 0) | (raw > MAX_RAW_VALUE), _OUTSIDE, raw)
    return np.where(raw == NO_LABEL, _NO_LABEL, places)


def _in_words(values: list[int]) -> str:
    """Sorted values, runs of them by their ends: -1, 0 to 33, 255."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1 and value != 0:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)


__all__ = ["RAW_LABEL_MODES", "LabelMapError", "LabelTable"]
