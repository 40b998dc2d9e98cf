# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Objects on the canvas: each paints its own label, stands on the ground, and shrinks with distance."""

import random
from collections.abc import Callable

import numpy as np
import pytest

from paumer_hf.data import street_objects
from paumer_hf.data.street_objects import SKY, StreetCanvas


OBJECTS = {
    "draw_bush": {street_objects.VEGETATION},
    "draw_car": {street_objects.CAR},
    "draw_crossing_car": {street_objects.CAR},
    "draw_lamp": {street_objects.POLE},
    "draw_person": {street_objects.PERSON},
    "draw_rider": {street_objects.RIDER},
    "draw_sign": {street_objects.POLE, street_objects.SIGN},
    "draw_tree": {street_objects.VEGETATION},
}


def draw(name: str, z: float, seed: int = 0) -> tuple[StreetCanvas, np.ndarray]:
    canvas = StreetCanvas(random.Random(seed), 128, 128)
    canvas.vanishing_point = canvas.width / 2
    canvas.camera_x = 0.0
    function: Callable[[StreetCanvas, float, float], None] = getattr(street_objects, name)
    function(canvas, 0.0, z)
    return canvas, np.asarray(canvas.labels)


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_an_object_paints_its_labels_and_only_where_it_paints_the_image(name: str) -> None:
    for seed in range(5):
        canvas, labels = draw(name, 9.0, seed)
        assert set(np.unique(labels).tolist()) == {SKY, *OBJECTS[name]}
        # The canvas starts black and everything that is drawn is lighter.
        assert np.asarray(canvas.image).any(-1)[labels != SKY].all()


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_an_object_stands_on_the_ground(name: str) -> None:
    canvas, labels = draw(name, 9.0)
    lowest = np.flatnonzero((labels != SKY).any(1)).max()
    ground = canvas.project(0, 0, 9.0)[1]
    assert lowest == pytest.approx(ground, abs=0.25 * canvas.focal_length / 9.0)


@pytest.mark.parametrize("name", ["draw_car", "draw_crossing_car", "draw_person", "draw_rider"])
def test_an_object_twice_as_far_is_half_as_large(name: str) -> None:
    near, far = (np.count_nonzero(draw(name, z)[1]) for z in (9.0, 18.0))
    assert far / near == pytest.approx(0.25, abs=0.09)


def test_what_people_and_riders_need_to_be_seen() -> None:
    for name, least in (("draw_person", 6), ("draw_rider", 6)):
        _, labels = draw(name, 8.0)
        columns = np.flatnonzero((labels != SKY).any(0))
        assert (columns.max() - columns.min()) / street_objects.SUPERSAMPLING >= least


def test_projection_puts_the_horizon_at_the_height_of_the_camera() -> None:
    canvas = StreetCanvas(random.Random(1), 128, 192)
    for z in (3.0, 10.0, 50.0):
        assert canvas.project(2.0, canvas.camera_height, z)[1] == pytest.approx(canvas.horizon)
    x, y = canvas.project(1.0, 0.0, 1e9)
    assert (x, y) == pytest.approx((canvas.vanishing_point, canvas.horizon), abs=1e-3)
    assert canvas.project(0.0, 0.0, canvas.near)[1] == pytest.approx(canvas.height)


def test_haze_takes_the_colour_of_the_horizon_with_distance() -> None:
    canvas = StreetCanvas(random.Random(1), 64, 64)
    haze = np.array(canvas.haze)
    distances = [np.abs(np.array(canvas.seen((0, 0, 0), z)) - haze).sum() for z in (1.0, 10.0, 60.0)]
    assert distances[0] > distances[1] > distances[2]
