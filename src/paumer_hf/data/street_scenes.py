# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Street scenes drawn by a program: images with exact labels for training and tests without a download.

A scene is a function of a seed and an index. A pinhole camera looks along a street: sky, two rows of houses and parks,
pavements, a road, and on them trees, poles, signs, people, riders and cars. The large regions are easy. The small
objects need a look at what surrounds them: a rider is a person on a bicycle, a pole a trunk without a crown, and shop
fronts wear the colours of signs and clothes.
"""

import random
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image

from paumer_hf.data.street_objects import (
    BUILDING,
    CLOTHES,
    PAVEMENT,
    ROAD,
    SIGN_COLOURS,
    SUPERSAMPLING,
    VEGETATION,
    Colour,
    StreetCanvas,
    draw_bush,
    draw_car,
    draw_crossing_car,
    draw_lamp,
    draw_person,
    draw_rider,
    draw_sign,
    draw_tree,
)


FACADES = (
    (150, 84, 66), (172, 120, 92), (196, 178, 148), (214, 204, 184), (142, 138, 134), (108, 110, 116), (176, 160, 120),
    (200, 150, 130), (128, 96, 84), (158, 170, 176),
)  # fmt: skip
GRAIN = np.array([1.5, 5, 5, 6, 13, 3, 3, 4, 4, 3], dtype=np.float32)
"""How strongly each class is grained, in grey levels."""

FAR = 70.0
DrawObject = Callable[[StreetCanvas, float, float], None]
PLACES: tuple[tuple[DrawObject, tuple[int, ...], float, float, float, float], ...] = (
    (draw_car, (0, 1, 1), 0.35, 0.55, 1.3, 18),
    (draw_car, (0, 0, 1, 2), 0.72, 0.82, 1.2, 20),
    (draw_crossing_car, (0,) * 9 + (1,), 0.0, 1.0, 2.2, 14),
    (draw_rider, (0, 1, 1), 0.2, 1.0, 1.15, 7),
    (draw_person, (1, 2, 2, 3, 4), 1.1, 1.9, 1.1, 8),
    (draw_person, (0,) * 5 + (1,), 0.0, 1.0, 1.1, 6),
    (draw_sign, (0, 1, 1, 2), 1.12, 1.2, 1.2, 8),
    (draw_lamp, (0, 1, 1, 2), 1.12, 1.2, 1.2, 8),
    (draw_tree, (0, 0, 1, 2, 3), 1.2, 2.0, 1.3, 22),
    (draw_bush, (0, 0, 1, 2), 1.85, 1.95, 1.2, 14),
)
"""What stands where: object, numbers per side of the street, between which places across it, nearest distance as a
multiple of the nearest visible ground, farthest in metres. What comes first keeps its place; what would stand in it is
left out."""

CARS = (draw_car, draw_crossing_car)
MIN_SIDE = 32
FIRST_INDEX = {"train": 0, "validation": 1_000_000_000}
"""Index of the first scene of each split: as far apart as no split is long."""

DEFAULT_NUM_SAMPLES = {"train": 1000, "validation": 100}


def _smooth_noise(texture: np.random.Generator, cells: tuple[int, int], size: tuple[int, ...]) -> np.ndarray:
    """Random values about 0 to 1 that change slowly over a picture (height, width)."""
    coarse = Image.fromarray(texture.random(cells, dtype=np.float32))
    return np.asarray(coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC))


class _Street(StreetCanvas):
    """A scene while it is drawn."""

    def ground(self, x0: float, x1: float, z0: float, z1: float, colour: Colour, label: int | None = None) -> None:
        """Lay a rectangle on the ground."""
        corners = ((x0, z0), (x1, z0), (x1, z1), (x0, z1))
        self.polygon([self.project(x, 0, z) for x, z in corners], colour, label)

    def wall(
        self, x: float, z0: float, z1: float, y0: float, y1: float, colour: Colour, label: int | None = None
    ) -> None:
        """Put up a rectangle along the street."""
        corners = ((y0, z0), (y1, z0), (y1, z1), (y0, z1))
        self.polygon([self.project(x, y, z) for y, z in corners], colour, label)

    def draw_sky(self, texture: np.random.Generator) -> None:
        """Fill the picture with a gradient and clouds; both are smooth, so a small picture of them will do."""
        rows = np.linspace(0, self.height / self.horizon, 64)[:, None, None].clip(0, 1)
        sky = np.asarray(self.zenith) * (1 - rows) + np.asarray(self.haze) * rows
        clouds = 0.65 * _smooth_noise(texture, (9, 4), (64, 64)) + 0.35 * _smooth_noise(texture, (22, 12), (64, 64))
        clouds = np.clip((clouds - self.rng.uniform(0.35, 0.8)) * 3, 0, 0.85)[..., None]
        sky = sky * (1 - clouds) + self.rng.uniform(200, 248) * clouds
        small = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8))
        self.image.paste(small.resize((self.width, self.height), Image.Resampling.BICUBIC))

    def draw_ground(self) -> None:
        """Lay the pavements, sometimes lawns beside them, and the road with its markings."""
        rng, half = self.rng, self.road_half
        near = 0.6 * self.near
        paving = self.vary((156, 150, 142), 28)
        # In bands of depth, because a single polygon cannot fade into the haze.
        depths = [near, *(self.near * factor for factor in (1.6, 2.5, 4, 7, 12)), 400.0]
        asphalt = self.vary((92, 92, 96), 26)
        for z0, z1 in pairwise(depths):
            self.ground(-400, 400, z0, z1, self.seen(paving, z0), PAVEMENT)
            for side in (-1, 1):
                self.ground(side * half, side * (half + 0.25), z0, z1, self.seen((188, 184, 178), z0), PAVEMENT)
        for joint in range(-9, 10):
            self.ground(joint - 0.02, joint + 0.02, near, 16, self.seen(paving, near, 0.86))
        for z0, z1 in pairwise(depths):
            self.ground(-half, half, z0, z1, self.seen(asphalt, z0), ROAD)
        for side in (-1, 1):
            if rng.random() < 0.35:
                edge = self.house_line - rng.uniform(0.7, 1.4)
                lawn = self.vary(rng.choice(self.greens), 12)
                self.ground(side * edge, side * (self.house_line + 12), near, FAR, self.seen(lawn, 8), VEGETATION)

        for _ in range(rng.randrange(4)):
            x, z = rng.uniform(-half, half - 1), rng.uniform(self.near, 14)
            patch = self.seen(asphalt, z, rng.uniform(0.72, 1.2))
            self.ground(x, min(half, x + rng.uniform(0.5, 2)), z, z * rng.uniform(1.05, 1.4), patch)
        self.draw_markings()

    def draw_markings(self) -> None:
        """Paint lines, and sometimes a zebra crossing, on the road."""
        rng, half = self.rng, self.road_half
        paint = self.vary((214, 212, 204), 24)
        length, offset = rng.uniform(1.6, 3), rng.uniform(0, 3)
        if rng.random() < 0.85:
            for step in range(9):
                z = 0.7 * self.near + offset + step * 2 * length
                self.ground(-0.09, 0.09, z, z + length, self.seen(paint, z))
        if rng.random() < 0.5:
            for x in (-half + 0.3, half - 0.4):
                self.ground(x, x + 0.12, 0.6 * self.near, FAR, self.seen(paint, 6))
        if rng.random() < 0.3:
            z = rng.uniform(1.2, 2.2) * self.near
            stripes = int(half * 2 / 0.9)
            for stripe in range(stripes):
                x = -half + 0.25 + stripe * 0.9
                self.ground(x, x + 0.48, z, z * 1.35, self.seen(paint, z))

    def draw_skyline(self) -> None:
        """Close the street far away with houses and trees."""
        x = -FAR
        while x < FAR:
            step = self.rng.uniform(4, 12)
            if self.rng.random() < 0.5:
                colour = self.seen(self.vary(self.rng.choice(FACADES), 14), FAR)
                top = self.rng.uniform(5, 15)
                corners = ((x, 0), (x, top), (x + step, top), (x + step, 0))
                self.polygon([self.project(a, b, FAR) for a, b in corners], colour, BUILDING)
            else:
                scale = self.focal_length / FAR
                colour = self.seen(self.vary(self.rng.choice(self.greens), 14), FAR)
                self.ellipse(self.project(x + step / 2, 2, FAR), (step * 0.7 * scale, 6 * scale), colour, VEGETATION)
            x += step

    def draw_house_rows(self) -> None:
        """Line both sides of the street, the far end first."""
        tallest = self.rng.choice((7.0, 11.0, 18.0))
        green_share = self.rng.choice((0.08, 0.2, 0.45))
        for side in (-1, 1):
            lots: list[tuple[float, float]] = []
            z = 1.2
            while z < FAR * 0.75:
                depth = self.rng.uniform(5, 12)
                lots.append((z, z + depth))
                z += depth + (self.rng.uniform(2, 5) if self.rng.random() < 0.25 else 0)
            for z0, z1 in reversed(lots):
                if self.rng.random() < green_share:
                    self.draw_park(side, z0, z1)
                else:
                    self.draw_house(side, z0, z1, self.rng.uniform(0.6, 1.0) * tallest)

    def draw_house(self, side: int, z0: float, z1: float, top: float) -> None:
        """Draw a house: the wall across the street's direction, then the front with its windows and shops."""
        x = side * self.house_line
        light = 1.08 if side == self.lit_side else 0.74
        stone = self.vary(self.rng.choice(FACADES), 22)
        flank = [self.project(x + dx, y, z0) for dx, y in ((0, 0), (0, top), (side * 14, top), (side * 14, 0))]
        self.polygon(flank, self.seen(stone, z0, 0.9), BUILDING)
        self.wall(x, z0, z1, 0, top, self.seen(stone, (z0 + z1) / 2, light), BUILDING)
        if z1 < 0.8 * self.near:
            return

        self.wall(x, z0, z1, top - 0.4, top, self.seen(stone, z0, light * 0.8))
        panes = self.vary(self.rng.choice(((58, 66, 78), (84, 98, 116), (40, 42, 48), (148, 164, 178))), 12)
        spacing, width = self.rng.uniform(2.1, 3.0), self.rng.uniform(0.9, 1.5)
        floors, columns = int((top - 3) / 2.8), max(1, int((z1 - z0 - 0.5) / spacing))
        for column in range(columns):
            left = z0 + 0.5 + column * spacing
            if left + width > z1 or left + width < 0.9 * self.near:
                continue
            for floor in range(floors if left < 30 else 0):
                base = 3.4 + floor * 2.8
                lit = self.rng.random() < 0.12
                pane = (236, 206, 138) if lit else self.vary(panes, 10)
                self.wall(x, left, left + width, base, base + 1.5, self.seen(pane, left, light))
            self.draw_shop(x, left, min(left + spacing * 0.8, z1), light)

    def draw_shop(self, x: float, z0: float, z1: float, light: float) -> None:
        """Fill a part of the ground floor: door, poster, awning or drainpipe, in the colours of signs and clothes."""
        kind = self.rng.random()
        bright = self.vary(self.rng.choice(CLOTHES + SIGN_COLOURS), 20)
        if kind < 0.3:
            self.wall(x, z0, z0 + (z1 - z0) * 0.5, 0, 2.1, self.seen(bright, z0, light * 0.8))
        elif kind < 0.5:
            self.wall(x, z0, z1, 0.6, 2.4, self.seen((70, 78, 88), z0, light))
            self.wall(x, z0, z1, 2.4, 3.0, self.seen(bright, z0, light))
        elif kind < 0.65:
            self.wall(x, z0, z0 + (z1 - z0) * 0.6, 1.0, 2.3, self.seen(bright, z0, light))
        elif kind < 0.75:
            self.wall(x, z0, z0 + 0.3, 0, 5, self.seen((120, 122, 124), z0, light))
        else:
            self.wall(x, z0, z1, 0.9, 2.3, self.seen((66, 72, 82), z0, light))

    def draw_park(self, side: int, z0: float, z1: float) -> None:
        """Fill a lot with trees behind a hedge."""
        x = side * self.house_line
        leaf = self.vary(self.rng.choice(self.greens), 14)
        for z in (z1, (z0 + z1) / 2, max(z0, 0.9 * self.near)):
            scale = self.focal_length / z
            for _ in range(2):
                reach, rise = self.rng.uniform(1.5, 5), self.rng.uniform(2, 5.5)
                radius = self.rng.uniform(1.8, 3) * scale
                colour = self.seen(self.vary(leaf, 18), z)
                self.ellipse(self.project(x + side * reach, rise, z), (radius, radius), colour, VEGETATION)
        self.wall(x, z0, z1, 0, self.rng.uniform(0.9, 2.2), self.seen(leaf, z0, 0.85), VEGETATION)

    def draw_objects(self) -> None:
        """Put objects on road and pavements and draw them, the farthest first."""
        rng = self.rng
        placed: list[tuple[float, float, DrawObject]] = []
        for draw, counts, inner, outer, nearest, farthest in PLACES:
            reach, depth = (2.0, 5.0) if draw in CARS else (0.8, 0.5)
            for side in (-1, 1):
                for _ in range(rng.choice(counts)):
                    x = side * self.across(rng.uniform(inner, outer))
                    # The power draws more objects near than far.
                    z = self.near * nearest + (farthest - self.near * nearest) * rng.random() ** 1.5
                    if not any(abs(z - other[0]) < depth and abs(x - other[1]) < reach for other in placed):
                        placed.append((z, x, draw))

        for z, x, draw in sorted(placed, key=lambda entry: -entry[0]):
            draw(self, x, z)

    def across(self, place: float) -> float:
        """Distance from the middle of the street: place 0 is the middle, 1 the kerb, 2 the line of the houses."""
        if place <= 1:
            return place * self.road_half
        return self.road_half + (place - 1) * (self.house_line - self.road_half)


def draw_street_scene(seed: int, index: int, size: tuple[int, int] = (128, 128)) -> tuple[Image.Image, np.ndarray]:
    """Draw a scene.

    Args:
        seed: seed of the whole series.
        index: place of the scene in the series.
        size: height and width.

    Returns:
        The RGB image and its uint8 classes (height, width). Every pixel belongs to a class.
    """
    entropy = np.random.SeedSequence([seed, index]).generate_state(4)
    texture = np.random.default_rng(entropy)
    street = _Street(random.Random(int(entropy[0]) << 32 | int(entropy[1])), *size)

    street.draw_sky(texture)
    street.draw_ground()
    street.draw_skyline()
    street.draw_house_rows()
    street.draw_objects()

    height, width = size
    labels = np.asarray(street.labels.resize((width, height), Image.Resampling.NEAREST))
    pixels = np.asarray(street.image.reduce(SUPERSAMPLING), dtype=np.float32)
    return _expose(pixels, labels, street.rng, texture), labels


def _expose(pixels: np.ndarray, labels: np.ndarray, rng: random.Random, texture: np.random.Generator) -> Image.Image:
    """Add the grain of the surfaces, then light, colour cast and noise of the camera."""
    grain = texture.standard_normal(labels.shape, dtype=np.float32) * GRAIN[labels]
    light = rng.uniform(0.8, 1.2) + rng.uniform(0, 0.3) * (_smooth_noise(texture, (6, 6), labels.shape) - 0.5)
    noise = texture.standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(1, 5)
    warmth = rng.uniform(-0.09, 0.09)
    cast = np.array([1 + warmth, 1, 1 - warmth], dtype=np.float32)
    exposed = (pixels + grain[..., None]) * light[..., None] * cast + noise
    return Image.fromarray(np.clip(np.rint(exposed), 0, 255).astype(np.uint8))


class StreetScenes:
    """Rows of drawn scenes, with the columns "id", "image" and "annotation".

    Args:
        split: "train" or "validation"; no scene is in both.
        size: height and width of the scenes.
        num_samples: number of scenes; None for 1000 to train on and 100 to validate on.
        seed: another seed gives other scenes.
    """

    def __init__(
        self, split: str, size: tuple[int, int] = (128, 128), num_samples: int | None = None, seed: int = 0
    ) -> None:
        """Check the options; nothing is drawn yet."""
        if split not in FIRST_INDEX:
            raise ValueError(f"street_scenes has no split '{split}'; it has {sorted(FIRST_INDEX)}.")
        if len(size) != 2 or any(not isinstance(side, int) or side < MIN_SIDE for side in size):
            raise ValueError(
                f"size must be two integers (height, width) of at least {MIN_SIDE}, got {size}; pass e.g. (128, 128)."
            )
        if num_samples is None:
            num_samples = DEFAULT_NUM_SAMPLES[split]
        if not 1 <= num_samples <= FIRST_INDEX["validation"]:
            raise ValueError(
                f"num_samples must be from 1 to {FIRST_INDEX['validation']}, got {num_samples}; leave it out for"
                f" {DEFAULT_NUM_SAMPLES[split]}."
            )
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}; pass 0 or more.")
        self.split, self.size, self.num_samples, self.seed = split, (size[0], size[1]), num_samples, seed

    def __len__(self) -> int:
        """Count the scenes."""
        return self.num_samples

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        """Draw a scene."""
        if not 0 <= index < self.num_samples:
            raise IndexError(f"index must be in [0, {self.num_samples}), got {index}.")
        image, annotation = draw_street_scene(self.seed, FIRST_INDEX[self.split] + index, self.size)
        return {"id": f"{self.split}-{index:05d}", "image": image, "annotation": Image.fromarray(annotation)}


__all__ = ["StreetScenes", "draw_street_scene"]
