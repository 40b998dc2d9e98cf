# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The labels of Cityscapes (Cordts et al. 2016): the official table, and the 19 classes that follow from it."""

from typing import NamedTuple


IGNORED = 255


class CityscapesLabel(NamedTuple):
    """A row of the official table.

    Args:
        id: label id, the value in `..._gtFine_labelIds.png`.
        train_id: class that networks are trained for; 255, or -1 for what has no label id, is no class.
        name: official name.
        colour: official colour (red, green, blue).
    """

    id: int
    train_id: int
    name: str
    colour: tuple[int, int, int]


LABELS = (
    CityscapesLabel(0, 255, "unlabeled", (0, 0, 0)),
    CityscapesLabel(1, 255, "ego vehicle", (0, 0, 0)),
    CityscapesLabel(2, 255, "rectification border", (0, 0, 0)),
    CityscapesLabel(3, 255, "out of roi", (0, 0, 0)),
    CityscapesLabel(4, 255, "static", (0, 0, 0)),
    CityscapesLabel(5, 255, "dynamic", (111, 74, 0)),
    CityscapesLabel(6, 255, "ground", (81, 0, 81)),
    CityscapesLabel(7, 0, "road", (128, 64, 128)),
    CityscapesLabel(8, 1, "sidewalk", (244, 35, 232)),
    CityscapesLabel(9, 255, "parking", (250, 170, 160)),
    CityscapesLabel(10, 255, "rail track", (230, 150, 140)),
    CityscapesLabel(11, 2, "building", (70, 70, 70)),
    CityscapesLabel(12, 3, "wall", (102, 102, 156)),
    CityscapesLabel(13, 4, "fence", (190, 153, 153)),
    CityscapesLabel(14, 255, "guard rail", (180, 165, 180)),
    CityscapesLabel(15, 255, "bridge", (150, 100, 100)),
    CityscapesLabel(16, 255, "tunnel", (150, 120, 90)),
    CityscapesLabel(17, 5, "pole", (153, 153, 153)),
    CityscapesLabel(18, 255, "polegroup", (153, 153, 153)),
    CityscapesLabel(19, 6, "traffic light", (250, 170, 30)),
    CityscapesLabel(20, 7, "traffic sign", (220, 220, 0)),
    CityscapesLabel(21, 8, "vegetation", (107, 142, 35)),
    CityscapesLabel(22, 9, "terrain", (152, 251, 152)),
    CityscapesLabel(23, 10, "sky", (70, 130, 180)),
    CityscapesLabel(24, 11, "person", (220, 20, 60)),
    CityscapesLabel(25, 12, "rider", (255, 0, 0)),
    CityscapesLabel(26, 13, "car", (0, 0, 142)),
    CityscapesLabel(27, 14, "truck", (0, 0, 70)),
    CityscapesLabel(28, 15, "bus", (0, 60, 100)),
    CityscapesLabel(29, 255, "caravan", (0, 0, 90)),
    CityscapesLabel(30, 255, "trailer", (0, 0, 110)),
    CityscapesLabel(31, 16, "train", (0, 80, 100)),
    CityscapesLabel(32, 17, "motorcycle", (0, 0, 230)),
    CityscapesLabel(33, 18, "bicycle", (119, 11, 32)),
    CityscapesLabel(-1, -1, "license plate", (0, 0, 142)),
)

_CLASSES = sorted((label for label in LABELS if label.train_id not in (-1, IGNORED)), key=lambda label: label.train_id)

CLASS_NAMES = tuple(label.name for label in _CLASSES)
PALETTE = tuple(label.colour for label in _CLASSES)

LABEL_MAPPING = {label.id: label.train_id for label in _CLASSES}
"""Label id to train id."""

IGNORED_VALUES = (*(label.id for label in LABELS if label.id not in LABEL_MAPPING), IGNORED)
"""Label ids that are no class, and 255: what an 8-bit file holds where the label id is -1."""


__all__ = ["CLASS_NAMES", "IGNORED_VALUES", "LABELS", "LABEL_MAPPING", "PALETTE", "CityscapesLabel"]
