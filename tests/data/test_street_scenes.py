# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Drawn scenes: determined by seed and index, disjoint between splits, every class common enough to learn."""

from itertools import pairwise

import numpy as np
import pytest

from paumer_hf.data.dataset_descriptions import get_dataset_description
from paumer_hf.data.street_scenes import StreetScenes, draw_street_scene


CLASSES = get_dataset_description("street_scenes").label2id


@pytest.fixture(scope="module")
def many_scenes() -> list[tuple[np.ndarray, np.ndarray]]:
    scenes = [draw_street_scene(0, index) for index in range(200)]
    return [(np.asarray(image).astype(float), labels) for image, labels in scenes]


def test_a_scene_is_a_function_of_seed_and_index() -> None:
    image, labels = draw_street_scene(7, 3)
    draw_street_scene(1, 1)
    again, labels_again = draw_street_scene(7, 3)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(again))
    np.testing.assert_array_equal(labels, labels_again)

    for other in (draw_street_scene(7, 4), draw_street_scene(8, 3)):
        assert (np.asarray(other[0]) != np.asarray(image)).mean() > 0.5
        assert (other[1] != labels).mean() > 0.02


@pytest.mark.parametrize("size", [(32, 32), (96, 160), (64, 33)])
def test_any_size_is_drawn(size: tuple[int, int]) -> None:
    image, labels = draw_street_scene(0, 0, size)
    assert (image.height, image.width) == size
    assert image.mode == "RGB"
    assert labels.shape == size
    assert labels.dtype == np.uint8


def test_every_class_appears_often_enough(many_scenes: list) -> None:
    counts = np.array([np.bincount(labels.ravel(), minlength=len(CLASSES)) for _, labels in many_scenes])
    assert counts.shape[1] == len(CLASSES)
    present = (counts > 0).mean(0)
    share = counts.sum(0) / counts.sum()
    large = [CLASSES[name] for name in ("sky", "building", "road", "pavement", "vegetation")]
    small = [CLASSES[name] for name in ("pole", "traffic sign", "person", "rider", "car")]
    assert (present[large] > 0.95).all()
    assert (present[small] > 0.6).all()
    assert (share[small] > 0.008).all()
    assert share[large].sum() > 0.75


def test_labels_lie_where_their_things_are(many_scenes: list) -> None:
    heights = {name: [] for name in CLASSES}
    for _, labels in many_scenes:
        rows = np.mgrid[:128, :128][0]
        for name, label in CLASSES.items():
            heights[name].extend(rows[labels == label].tolist())
    mean = {name: np.mean(rows) for name, rows in heights.items()}
    assert mean["sky"] < mean["building"] < mean["car"] < mean["road"]
    assert mean["traffic sign"] < mean["person"]


def test_image_and_label_edges_coincide(many_scenes: list) -> None:
    """Neighbouring pixels of one class look more alike than those across a border."""
    across, within = [], []
    for image, labels in many_scenes[:40]:
        difference = np.abs(np.diff(image, axis=1)).mean(-1)
        border = np.diff(labels.astype(int), axis=1) != 0
        across.append(difference[border].mean())
        within.append(difference[~border].mean())
    assert np.mean(across) > 2.5 * np.mean(within)


def test_poles_are_at_least_four_pixels_wide(many_scenes: list) -> None:
    """Rows that cut a pole away from every other object: the run of pole pixels is four wide or nearly."""
    widths = []
    for _, labels in many_scenes[:60]:
        for line in labels[70:110]:
            edges = np.flatnonzero(np.diff(np.concatenate([[-1], line.astype(int), [-1]])))
            for start, end in pairwise(edges):
                ground = {CLASSES["road"], CLASSES["pavement"]}
                free = start > 0 and end < 128 and {line[start - 1], line[end]} <= ground
                if line[start] == CLASSES["pole"] and free:
                    widths.append(end - start)
    assert len(widths) > 50
    assert min(widths) >= 3
    assert np.median(widths) >= 4


def test_scenes_vary_in_light(many_scenes: list) -> None:
    brightness = np.array([image.mean() for image, _ in many_scenes])
    assert brightness.std() > 8
    assert brightness.min() > 40
    assert brightness.max() < 220


def test_rows_of_the_splits_are_disjoint_series() -> None:
    train, validation = StreetScenes("train", (32, 32)), StreetScenes("validation", (32, 32))
    assert (len(train), len(validation)) == (1000, 100)
    ids = {rows[index]["id"] for rows in (train, validation) for index in range(20)}
    assert len(ids) == 40
    pictures = {rows[index]["image"].tobytes() for rows in (train, validation) for index in range(20)}
    assert len(pictures) == 40


def test_a_longer_series_begins_with_the_shorter_one() -> None:
    short, long = (StreetScenes("train", (32, 32), num_samples=count) for count in (2, 5))
    assert short[1]["image"].tobytes() == long[1]["image"].tobytes()


def test_rows_are_the_drawn_scenes() -> None:
    row = StreetScenes("train", (48, 32), num_samples=3, seed=5)[2]
    image, labels = draw_street_scene(5, 2, (48, 32))
    assert row["image"].tobytes() == image.tobytes()
    np.testing.assert_array_equal(np.asarray(row["annotation"]), labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, r"has no split 'test'; it has \['train', 'validation'\]"),
        ({"size": (128,)}, "size must be two integers"),
        ({"size": (16, 128)}, "size must be two integers .* at least 32"),
        ({"size": (128.0, 128)}, "size must be two integers"),
        ({"num_samples": 0}, "num_samples must be from 1"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_options_are_checked(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StreetScenes(**{"split": "train", **options})


def test_an_index_beyond_the_end_is_refused() -> None:
    with pytest.raises(IndexError, match=r"index must be in \[0, 3\), got 3"):
        StreetScenes("train", (32, 32), num_samples=3)[3]
