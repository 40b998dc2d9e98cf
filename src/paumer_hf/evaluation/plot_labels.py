# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Labels beside the marks of a plot, where they hide nothing as far as there is room."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np


_STYLE: dict[str, Any] = {"fontsize": 7, "color": "#191919", "linespacing": 1.1, "ha": "center", "va": "center"}

# Points: half the side of a mark, and from there how far off a label may lie; from some distance on a thin line leads
# to it, which is not worth drawing for labels that need not be.
_MARK, _NEAR, _FAR = 4.0, (2.5, 6.0), (11.0, 18.0, 26.0, 36.0, 48.0)

# Points: half the breadth that is kept free about lines.
_LINE = 2.0

# Right, above, left, below and between; those of a falling line have most room at the upper right.
_DIRECTIONS = ((1, 1), (1, 0), (0, 1), (1, -1), (-1, 1), (0, -1), (-1, 0), (-1, -1))
_HALF_WAY = ((1, 0.5), (0.5, 1), (-0.5, 1), (1, -0.5))

# How much worse it is to hide a mark, a label or a legend than a line.
_WEIGHT = 8.0


def label_points(
    axes: Any, points: Sequence[tuple[float, float]], labels: Sequence[str], is_optional: bool = False
) -> None:
    """Write a label beside each point, where it hides no mark, no line, no legend and no other label.

    Call it when all else is drawn and the limits of the axes are final.

    Args:
        axes: Where the points are.
        points: In the coordinates of the data.
        labels: One for each point; an empty one is left out.
        is_optional: Whether a label for which there is no room beside its mark is left out. Else it may lie further
            away, and hides as little as it can.
    """
    axes.figure.draw_without_rendering()
    pixels = axes.figure.dpi / 72
    places = axes.transData.transform(np.asarray(points, dtype=float).reshape(-1, 2))
    marks, lines = _read_obstacles(axes, places, pixels)
    # The shortest first: long ones find room further away.
    for index in sorted(range(len(labels)), key=lambda index: len(labels[index])):
        if not labels[index]:
            continue
        size = _measure(axes, labels[index])
        boxes = _candidates(places[index], size, _NEAR if is_optional else _NEAR + _FAR, pixels)
        hidden = _WEIGHT * _overlaps(boxes, marks) + _overlaps(boxes, lines)
        # A label is taken for that of the mark which is nearest to it.
        hidden += np.where(_distances(boxes, places).argmin(axis=1) == index, 0.0, (3 * _MARK * pixels) ** 2)
        hidden += np.where(_is_inside(boxes, axes.get_window_extent().extents), 0.0, 1e9)
        best = boxes[np.argmin(hidden)]
        if is_optional and hidden.min() > 0:
            continue
        marks = np.vstack([marks, best])
        offset = (best[:2] + best[2:]) / 2 - places[index]
        _write(axes, labels[index], points[index], offset / pixels, size / 2 / pixels)


def _read_obstacles(axes: Any, places: np.ndarray, pixels: float) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes `(n, 4)` about all marks and the legend, and about places on all lines and bars."""
    marks, lines = [_around(places, _MARK * pixels)], [np.empty((0, 4))]
    for line in axes.lines:
        corners = line.get_transform().transform(line.get_xydata())
        if line.get_marker() not in ("", "None", None):
            marks.append(_around(corners, _MARK * pixels))
        if line.get_linestyle() not in ("", "None", None):
            lines.append(_around(_sample(corners, pixels), _LINE * pixels))
    for bars in axes.collections:
        segments = bars.get_segments() if hasattr(bars, "get_segments") else []
        paths = [_sample(axes.transData.transform(ends), pixels) for ends in segments]
        lines += [_around(path, _LINE * pixels) for path in paths]
    if axes.get_legend() is not None:
        marks.append(axes.get_legend().get_window_extent().extents[None])
    return np.concatenate(marks), np.concatenate(lines)


def _measure(axes: Any, label: str) -> np.ndarray:
    """Return the width and height of a label in pixels."""
    text = axes.text(0, 0, label, **_STYLE)
    extent = text.get_window_extent()
    text.remove()
    return np.array([extent.width, extent.height])


def _write(axes: Any, label: str, point: tuple[float, float], offset: np.ndarray, half: np.ndarray) -> None:
    """Write a label at an offset from a mark, in points; with a thin line between them where it is far away.

    The layout of the figure leaves it out of account, so that everything stays where it was measured.
    """
    from matplotlib.patheffects import withStroke

    far = np.linalg.norm(np.clip(np.abs(offset) - half, 0, None)) > _MARK + _NEAR[-1] + 1
    line = {"arrowstyle": "-", "color": _STYLE["color"], "linewidth": 0.5, "shrinkA": 0, "shrinkB": _MARK}
    halo = [withStroke(linewidth=1.6, foreground="white")]
    place = {"xytext": tuple(offset), "textcoords": "offset points", "arrowprops": line if far else None}
    axes.annotate(label, point, **place, **_STYLE, zorder=6, path_effects=halo).set_in_layout(False)


def _sample(corners: np.ndarray, step: float) -> np.ndarray:
    """Places `(n, 2)` on the path through corners, at most two steps apart."""
    parts = [corners[:1]]
    for start, end in itertools.pairwise(corners):
        count = max(2, int(np.linalg.norm(end - start) / (2 * step)) + 2)
        parts.append(start + np.linspace(0, 1, count)[:, None] * (end - start))
    return np.concatenate(parts)


def _around(places: np.ndarray, half: float) -> np.ndarray:
    """Boxes `(n, 4)` about places: left, lower, right and upper edge."""
    return np.concatenate([places - half, places + half], axis=1)


def _candidates(place: np.ndarray, size: np.ndarray, distances: Sequence[float], pixels: float) -> np.ndarray:
    """Boxes `(n, 4)` of the size of a text beside a place, the nearest first."""
    found = []
    for distance in distances:
        away = (_MARK + distance) * pixels
        for direction in (*_DIRECTIONS, *_HALF_WAY):
            # A corner of the text need not be as far off as a side.
            scale = away / np.hypot(*direction) if 0 not in direction else away
            centre = place + np.array(direction) * scale + np.sign(direction) * size / 2
            found.append(np.concatenate([centre - size / 2, centre + size / 2]))
    return np.stack(found)


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return for each box the area that it shares with others, in all: `(n,)`."""
    lower = np.maximum(boxes[:, None, :2], others[None, :, :2])
    upper = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.clip(upper - lower, 0, None).prod(axis=-1).sum(axis=1)


def _distances(boxes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return how far each box is from each place: `(boxes, places)`."""
    lower, upper = boxes[:, None, :2] - places, places - boxes[:, None, 2:]
    return np.linalg.norm(np.clip(np.maximum(lower, upper), 0, None), axis=-1)


def _is_inside(boxes: np.ndarray, frame: np.ndarray) -> np.ndarray:
    inside = (boxes[:, :2] >= frame[:2]) & (boxes[:, 2:] <= frame[2:])
    return np.asarray(inside.all(axis=1))


__all__ = ["label_points"]
