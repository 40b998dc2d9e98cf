# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A canvas seen through a camera, and the objects that stand on a street: trees, poles, signs, people, riders, cars.

Lengths are metres: x to the right, y up from the ground, z away from the camera. Every object is drawn with the same
outlines into the image and into the label map, so its label is exact.
"""

import random
from collections.abc import Sequence

from PIL import Image, ImageDraw

from paumer_hf.data.dataset_descriptions import STREET_SCENES


Colour = tuple[int, int, int]
Point = tuple[float, float]

SKY, BUILDING, ROAD, PAVEMENT, VEGETATION, POLE, SIGN, PERSON, RIDER, CAR = range(STREET_SCENES.num_labels)
SUPERSAMPLING = 2
SKIES = (
    ((86, 140, 205), (190, 212, 232)),
    ((120, 165, 215), (222, 228, 232)),
    ((150, 155, 162), (205, 207, 208)),
    ((112, 118, 128), (172, 174, 178)),
    ((96, 112, 160), (240, 190, 140)),
)
CLOTHES = (
    (178, 40, 40), (38, 62, 138), (30, 30, 36), (228, 226, 220), (48, 112, 72), (212, 160, 40), (120, 60, 120),
    (90, 84, 78), (64, 136, 176), (222, 110, 60),
)  # fmt: skip
CAR_COLOURS = (
    (170, 30, 34), (28, 52, 110), (24, 24, 28), (226, 228, 230), (150, 154, 160), (80, 86, 92), (58, 104, 84),
    (196, 150, 50),
)  # fmt: skip
SIGN_COLOURS = ((200, 24, 30), (22, 74, 170), (236, 196, 20), (240, 240, 240))
SKINS = ((236, 200, 172), (198, 150, 116), (134, 92, 66), (86, 58, 44))
GREENS = ((62, 104, 44), (84, 122, 50), (48, 84, 46), (112, 128, 52), (134, 110, 40))


class StreetCanvas:
    """One scene while it is drawn: image, label map, and the camera, light and street that its shapes share.

    Args:
        rng: source of every random choice.
        height: height of the finished picture, in pixels.
        width: width of the finished picture, in pixels.
    """

    def __init__(self, rng: random.Random, height: int, width: int) -> None:
        """Draw camera, street and weather at random, and start with an empty picture."""
        self.rng = rng
        self.height, self.width = height * SUPERSAMPLING, width * SUPERSAMPLING
        self.image = Image.new("RGB", (self.width, self.height))
        self.labels = Image.new("L", (self.width, self.height), SKY)
        self._draw_image = ImageDraw.Draw(self.image)
        self._draw_labels = ImageDraw.Draw(self.labels)

        self.thinnest = 6 * SUPERSAMPLING * height / 128
        self.focal_length = rng.uniform(0.85, 1.1) * self.height
        self.camera_height = rng.uniform(1.9, 3.1)
        self.horizon = rng.uniform(0.33, 0.45) * self.height
        self.vanishing_point = rng.uniform(0.36, 0.64) * self.width
        self.road_half = rng.uniform(2.6, 3.6)
        self.house_line = self.road_half + rng.uniform(2.2, 3.8)
        self.camera_x = rng.uniform(-0.65, 0.65) * self.road_half
        self.near = self.focal_length * self.camera_height / (self.height - self.horizon)
        self.haze_length = rng.choice((45.0, 90.0, 220.0))
        self.zenith, self.haze = (self.vary(colour, 12) for colour in rng.choice(SKIES))
        self.lit_side = rng.choice((-1, 1))
        self.greens = rng.sample(GREENS, 3)

    def vary(self, colour: Colour, amount: int) -> Colour:
        """Move a colour a little: mostly its brightness, and each channel by itself a third of that."""
        shift = self.rng.uniform(-amount, amount)
        third = amount / 3
        red, green, blue = (
            min(255, max(0, round(level + shift + self.rng.uniform(-third, third)))) for level in colour
        )
        return red, green, blue

    def seen(self, colour: Colour, z: float, light: float = 1.0) -> Colour:
        """Colour as seen from a distance under a share of the light."""
        clear = max(0.25, 1 - z / (z + self.haze_length))
        red, green, blue = (
            min(255, int(level * light * clear + haze * (1 - clear)))
            for level, haze in zip(colour, self.haze, strict=True)
        )
        return red, green, blue

    def project(self, x: float, y: float, z: float) -> Point:
        """Place of a point in the picture."""
        scale = self.focal_length / z
        return self.vanishing_point + (x - self.camera_x) * scale, self.horizon + (self.camera_height - y) * scale

    def polygon(self, points: Sequence[Point], colour: Colour, label: int | None = None) -> None:
        """Fill a polygon in the image and, with a label, in the label map; without one it is a detail of a surface."""
        self._draw_image.polygon(points, fill=colour)
        if label is not None:
            self._draw_labels.polygon(points, fill=label)

    def ellipse(self, centre: Point, radii: Point, colour: Colour, label: int | None = None) -> None:
        """Fill an upright ellipse, as `polygon` does."""
        box = (centre[0] - radii[0], centre[1] - radii[1], centre[0] + radii[0], centre[1] + radii[1])
        self._draw_image.ellipse(box, fill=colour)
        if label is not None:
            self._draw_labels.ellipse(box, fill=label)


def _tapered(start: Point, end: Point, start_width: float, end_width: float) -> list[Point]:
    """Outline of a limb between two points of the picture."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1e-6)
    nx, ny = -dy / length / 2, dx / length / 2
    return [
        (start[0] + nx * start_width, start[1] + ny * start_width),
        (end[0] + nx * end_width, end[1] + ny * end_width),
        (end[0] - nx * end_width, end[1] - ny * end_width),
        (start[0] - nx * start_width, start[1] - ny * start_width),
    ]


class _Stand:
    """Coordinates of an object that faces the camera: metres to its right and above its foot."""

    def __init__(self, canvas: StreetCanvas, x: float, z: float, label: int) -> None:
        self.canvas, self.x, self.z, self.label = canvas, x, z, label
        self.scale = canvas.focal_length / z

    def at(self, dx: float, y: float) -> Point:
        return self.canvas.project(self.x + dx, y, self.z)

    def limb(self, start: Point, end: Point, widths: Point, colour: Colour) -> None:
        """Draw a tapered stroke between two points given in metres."""
        points = _tapered(self.at(*start), self.at(*end), widths[0] * self.scale, widths[1] * self.scale)
        self.canvas.polygon(points, colour, self.label)

    def disc(self, centre: Point, radii: Point, colour: Colour) -> None:
        self.canvas.ellipse(self.at(*centre), (radii[0] * self.scale, radii[1] * self.scale), colour, self.label)

    def shape(self, corners: Sequence[Point], colour: Colour) -> None:
        self.canvas.polygon([self.at(*corner) for corner in corners], colour, self.label)

    def shadow(self, reach: float) -> None:
        """Darken the ground under the object; the ground keeps its label."""
        centre = self.at(0.15 * self.canvas.lit_side, 0)
        radii = (reach * self.scale, 0.25 * reach * self.scale * self.canvas.camera_height / self.z)
        self.canvas.ellipse(centre, radii, self.canvas.seen((62, 62, 66), self.z))


def draw_tree(canvas: StreetCanvas, x: float, z: float) -> None:
    """Draw a tree: a trunk that could be a pole, under a crown of round tufts."""
    rng, tree = canvas.rng, _Stand(canvas, x, z, VEGETATION)
    bark = canvas.seen(canvas.vary(rng.choice(((98, 78, 58), (112, 106, 98), (74, 62, 52))), 12), z)
    leaf = canvas.vary(rng.choice(canvas.greens), 16)
    bottom, crown = rng.uniform(1.7, 2.6), rng.uniform(0.9, 1.7)
    tree.shadow(1.0)
    tree.limb((0, 0), (rng.uniform(-0.15, 0.15), bottom + crown), (rng.uniform(0.24, 0.4), 0.2), bark)
    for _ in range(9):
        dx, dy = rng.uniform(-0.8, 0.8) * crown, rng.uniform(0, 1.7) * crown
        light = 0.78 + 0.3 * dy / (1.7 * crown) + 0.1 * canvas.lit_side * dx / crown
        tufts = rng.uniform(0.45, 0.75) * crown
        tree.disc((dx, bottom + 0.4 * crown + dy), (tufts, tufts * 0.9), canvas.seen(canvas.vary(leaf, 12), z, light))


def draw_bush(canvas: StreetCanvas, x: float, z: float) -> None:
    """Draw a low bush, sometimes with flowers in the colours of clothes."""
    rng, bush = canvas.rng, _Stand(canvas, x, z, VEGETATION)
    leaf = canvas.vary(rng.choice(canvas.greens), 14)
    for _ in range(4):
        centre = (rng.uniform(-0.6, 0.6), rng.uniform(0.2, 0.6))
        bush.disc(centre, (rng.uniform(0.35, 0.6), 0.4), canvas.seen(canvas.vary(leaf, 14), z))
    if rng.random() < 0.4:
        flower = canvas.vary(rng.choice(CLOTHES), 10)
        for _ in range(5):
            bush.disc((rng.uniform(-0.6, 0.6), rng.uniform(0.3, 0.8)), (0.07, 0.07), canvas.seen(flower, z))


def _pole_width(canvas: StreetCanvas, z: float) -> float:
    """Width in metres of a pole: as thick as poles are, but at least six pixels of a finished picture of 128."""
    return max(canvas.rng.uniform(0.18, 0.26), canvas.thinnest * z / canvas.focal_length)


def draw_lamp(canvas: StreetCanvas, x: float, z: float) -> None:
    """Draw a lamp post whose arm reaches over the road."""
    rng, lamp = canvas.rng, _Stand(canvas, x, z, POLE)
    metal = canvas.seen(canvas.vary(rng.choice(((92, 96, 98), (132, 134, 136), (62, 68, 64))), 12), z)
    width, top = _pole_width(canvas, z), rng.uniform(4.2, 7.5)
    arm = rng.uniform(0.8, 1.5) * (-1 if x > 0 else 1)
    lamp.shadow(0.4)
    lamp.limb((0, 0), (0, top), (width * 1.15, width), metal)
    lamp.limb((0, top - width / 2), (arm, top), (width, width), metal)
    lamp.disc((arm, top - 0.05), (0.35, max(0.16, width / 2)), canvas.seen((214, 210, 190), z))


def draw_sign(canvas: StreetCanvas, x: float, z: float) -> None:
    """Draw a traffic sign on its pole: round, square, diamond or triangle."""
    rng = canvas.rng
    width, radius = _pole_width(canvas, z), rng.uniform(0.42, 0.6)
    height = rng.uniform(2.1, 2.9)
    metal = canvas.seen(canvas.vary((136, 138, 140), 14), z)
    pole, sign = _Stand(canvas, x, z, POLE), _Stand(canvas, x, z, SIGN)
    pole.shadow(0.35)
    pole.limb((0, 0), (0, height), (width, width), metal)

    rim, face = rng.sample(SIGN_COLOURS, 2)
    kind = rng.randrange(4)
    for size, colour in ((radius, rim), (radius * 0.7, face)):
        seen = canvas.seen(canvas.vary(colour, 10), z, 1.05)
        if kind == 0:
            sign.disc((0, height), (size, size), seen)
        else:
            outline = {
                1: ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
                2: ((0, -1.1), (1.1, 0), (0, 1.1), (-1.1, 0)),
                3: ((-1.05, -0.75), (1.05, -0.75), (0, 1.05)),
            }[kind]
            sign.shape([(dx * size, height + dy * size) for dx, dy in outline], seen)


def draw_person(canvas: StreetCanvas, x: float, z: float) -> None:
    """Draw a person who stands or walks."""
    rng, person = canvas.rng, _Stand(canvas, x, z, PERSON)
    height = rng.uniform(1.5, 1.9)
    coat, trousers = (canvas.seen(canvas.vary(rng.choice(CLOTHES), 18), z) for _ in range(2))
    skin = canvas.seen(rng.choice(SKINS), z)
    stride = rng.uniform(0.04, 0.26)
    person.shadow(0.45)
    hip, shoulder = 0.48 * height, 0.83 * height
    for side in (-1, 1):
        person.limb((side * 0.11, hip), (side * (0.1 + stride), 0), (0.24, 0.17), trousers)
    if rng.random() < 0.25:
        person.shape(((-0.2, hip + 0.1), (0.2, hip + 0.1), (0.34, 0.28 * height), (-0.34, 0.28 * height)), coat)
    swing = rng.uniform(0.02, 0.2)
    for side in (-1, 1):
        person.limb((side * 0.27, shoulder - 0.05), (side * (0.3 + swing), hip), (0.16, 0.13), coat)
    person.shape(((-0.3, shoulder), (0.3, shoulder), (0.23, hip - 0.05), (-0.23, hip - 0.05)), coat)
    if rng.random() < 0.3:
        bag = canvas.seen(canvas.vary(rng.choice(CLOTHES), 12), z)
        person.shape(((0.18, hip + 0.15), (0.46, hip + 0.15), (0.46, hip - 0.2), (0.18, hip - 0.2)), bag)
    hair = canvas.seen(rng.choice(((40, 30, 24), (110, 80, 46), (30, 30, 32))), z)
    _draw_head(person, (0, 0.92 * height), skin, hair)


def _draw_head(stand: _Stand, centre: Point, skin: Colour, hair: Colour) -> None:
    stand.disc((centre[0], centre[1] + 0.03), (0.15, 0.17), hair)
    stand.disc((centre[0], centre[1] - 0.03), (0.125, 0.13), skin)


def draw_rider(canvas: StreetCanvas, x: float, z: float) -> None:
    """Draw a rider with the bicycle, from the side or from behind; both are labelled rider."""
    rng, rider = canvas.rng, _Stand(canvas, x, z, RIDER)
    coat, trousers, paint = (canvas.seen(canvas.vary(rng.choice(CLOTHES), 18), z) for _ in range(3))
    tyre, rim = canvas.seen((34, 34, 36), z), canvas.seen((120, 120, 122), z)
    skin, helmet = canvas.seen(rng.choice(SKINS), z), canvas.seen(rng.choice(CLOTHES), z)
    rider.shadow(0.7)
    if rng.random() < 0.55:
        ahead = rng.choice((-1, 1))
        for dx in (-0.55, 0.55):
            rider.disc((dx, 0.38), (0.4, 0.4), tyre)
            rider.disc((dx, 0.38), (0.26, 0.26), rim)
        for start, end in (((-0.55, 0.38), (0.1, 0.4)), ((0.1, 0.4), (-0.15, 0.95)), ((0.1, 0.4), (0.48, 0.95))):
            rider.limb((ahead * start[0], start[1]), (ahead * end[0], end[1]), (0.12, 0.12), paint)
        rider.limb((ahead * 0.55, 0.38), (ahead * 0.45, 1.1), (0.12, 0.12), paint)
        knee = (ahead * 0.2, rng.uniform(0.65, 0.85))
        rider.limb((-ahead * 0.15, 1.0), knee, (0.26, 0.2), trousers)
        rider.limb(knee, (ahead * rng.uniform(0, 0.2), 0.25), (0.2, 0.15), trousers)
        rider.limb((-ahead * 0.15, 0.95), (ahead * 0.12, 1.5), (0.36, 0.4), coat)
        rider.limb((ahead * 0.14, 1.42), (ahead * 0.46, 1.1), (0.16, 0.13), coat)
        head = (ahead * 0.22, 1.72)
    else:
        rider.disc((0, 0.38), (0.13, 0.4), tyre)
        rider.limb((-0.36, 1.08), (0.36, 1.08), (0.11, 0.11), paint)
        for side in (-1, 1):
            rider.limb((side * 0.15, 0.95), (side * 0.22, rng.uniform(0.2, 0.45)), (0.24, 0.17), trousers)
            rider.limb((side * 0.26, 1.48), (side * 0.36, 1.08), (0.16, 0.13), coat)
        rider.shape(((-0.29, 1.53), (0.29, 1.53), (0.22, 0.9), (-0.22, 0.9)), coat)
        head = (0, 1.7)
    _draw_head(rider, head, skin, helmet)


def draw_car(canvas: StreetCanvas, x: float, z: float) -> None:
    """Draw a car that drives along the street, from behind or from the front, with the flank that the camera sees."""
    rng, car = canvas.rng, _Stand(canvas, x, z, CAR)
    paint = canvas.vary(rng.choice(CAR_COLOURS), 16)
    roof, length = rng.uniform(1.4, 1.75), rng.uniform(3.4, 4.4)
    glass, black = canvas.seen((52, 62, 74), z), canvas.seen((26, 26, 28), z)
    body, shade = canvas.seen(paint, z), canvas.seen(paint, z, 0.72)
    car.shadow(1.15)

    inner = 0.9 if x < canvas.camera_x else -0.9
    outlines = (
        (((0.3, 0), (0.95, 0), (0.95, length), (0.3, length)), shade),
        (((0.95, 0.1), (roof, 0.5), (roof, length * 0.65), (0.95, length * 0.85)), shade),
        (((1.0, 0.4), (roof - 0.12, 0.65), (roof - 0.12, length * 0.6), (1.0, length * 0.72)), glass),
    )
    for corners, colour in outlines:
        places = [(inner * (0.82 if y > 1.0 else 1.0), y, depth) for y, depth in corners]
        canvas.polygon([canvas.project(x + dx, y, z + depth) for dx, y, depth in places], colour, CAR)
    for depth in (0.75, length - 0.75):
        scale = canvas.focal_length / (z + depth)
        squeeze = abs(x + inner - canvas.camera_x) / (z + depth)
        centre = canvas.project(x + inner, 0.33, z + depth)
        canvas.ellipse(centre, (0.34 * scale * min(1, squeeze + 0.15), 0.34 * scale), black, CAR)

    for side in (-1, 1):
        outer = side * 0.85
        car.shape(((outer, 0), (outer - side * 0.28, 0), (outer - side * 0.28, 0.4), (outer, 0.4)), black)
    car.shape(((-0.74, 0.95), (0.74, 0.95), (0.6, roof), (-0.6, roof)), body)
    car.shape(((-0.62, 0.98), (0.62, 0.98), (0.5, roof - 0.1), (-0.5, roof - 0.1)), glass)
    car.shape(((-0.9, 0.28), (0.9, 0.28), (0.9, 0.85), (0.78, 1.0), (-0.78, 1.0), (-0.9, 0.85)), body)
    car.shape(((-0.9, 0.28), (0.9, 0.28), (0.9, 0.42), (-0.9, 0.42)), shade)
    lights = canvas.seen(rng.choice(((204, 28, 26), (248, 244, 224))), z, 1.1)
    for side in (-1, 1):
        car.shape(((side * 0.88, 0.62), (side * 0.6, 0.62), (side * 0.6, 0.82), (side * 0.88, 0.82)), lights)
    car.shape(((-0.25, 0.45), (0.25, 0.45), (0.25, 0.58), (-0.25, 0.58)), canvas.seen((226, 224, 206), z))


def draw_crossing_car(canvas: StreetCanvas, x: float, z: float) -> None:
    """Draw a car that crosses the street, from the side."""
    rng, car = canvas.rng, _Stand(canvas, x, z, CAR)
    paint, ahead = canvas.vary(rng.choice(CAR_COLOURS), 16), rng.choice((-1, 1))
    glass, black = canvas.seen((52, 62, 74), z), canvas.seen((26, 26, 28), z)
    body = canvas.seen(paint, z)
    car.shadow(2.0)
    cabin = ((-1.5, 0.9), (-1.1, 1.5), (0.4, 1.5), (1.0, 0.9))
    windows = ((-1.25, 0.95), (-1.0, 1.38), (0.32, 1.38), (0.75, 0.95))
    hull = ((-2.1, 0.3), (2.1, 0.3), (2.1, 0.7), (1.9, 0.88), (1.0, 0.95), (-2.0, 0.95))
    for corners, colour in ((cabin, body), (windows, glass), (hull, body)):
        car.shape([(ahead * dx, y) for dx, y in corners], colour)
    for dx in (-1.3, 1.3):
        car.disc((dx, 0.33), (0.36, 0.36), black)
        car.disc((dx, 0.33), (0.18, 0.18), canvas.seen((150, 150, 152), z))


__all__ = [
    "StreetCanvas",
    "draw_bush",
    "draw_car",
    "draw_crossing_car",
    "draw_lamp",
    "draw_person",
    "draw_rider",
    "draw_sign",
    "draw_tree",
]
