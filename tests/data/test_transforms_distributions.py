# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The distributions of the augmentation, recovered from images, against a statement of Segmenter's recipe.

The recipe, in its own terms: sides are resized to at most (2048, 512) times a factor that is uniform over [0.5, 2];
of up to 11 crops, uniform over all places, the first is taken in which no class has more than 0.75 of the labelled
pixels; it is mirrored in half of the cases; brightness (-32 to 32), contrast (0.5 to 1.5), saturation (0.5 to 1.5)
and hue (-18 to 18 of 180 steps) each change in half of the cases, contrast before or after the last two with equal
chances.
"""

import colorsys
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from PIL import Image

from paumer_hf.data.transforms import IGNORE_INDEX, TrainingTransform, distort_colours


NUM_DISTORTIONS = 2500
GREYS = np.arange(40, 131)
BRIGHTEST, DARKEST = 130, 90
HUES = np.arange(12) / 12
BRIGHT = (250, 150, 130)
"""A colour that contrast brings beyond 255, so that its place among the changes shows."""


def largest_distance(values: Sequence[float], low: float, high: float) -> float:
    """Between the shares of the values and those of the uniform distribution: Kolmogorov and Smirnov's statistic."""
    expected = (np.sort(values) - low) / (high - low)
    shares = np.arange(len(values) + 1) / len(values)
    return float(np.maximum(np.abs(shares[1:] - expected), np.abs(shares[:-1] - expected)).max())


def check_uniform(values: Sequence[float], low: float, high: float) -> None:
    """To a significance of 0.001, beside the resolution of 1 percent that values recovered from 8 bits have."""
    assert low - 0.02 * (high - low) <= np.min(values)
    assert np.max(values) <= high + 0.02 * (high - low)
    assert largest_distance(values, low, high) < 1.95 / np.sqrt(len(values)) + 0.01


def check_share(hits: np.ndarray, probability: float) -> None:
    assert abs(np.mean(hits) - probability) < 4 * np.sqrt(probability * (1 - probability) / len(hits))


def check_counts(counts: np.ndarray) -> None:
    """Equal chances, by the chi-square statistic, whose mean is the number of cells - 1."""
    degrees, expected = len(counts) - 1, counts.sum() / len(counts)
    assert ((counts - expected) ** 2 / expected).sum() < degrees + 4 * np.sqrt(2 * degrees)


def test_the_statistics_tell_other_distributions_apart() -> None:
    rng = np.random.default_rng(0)
    check_uniform(rng.uniform(-1, 1, 1000), -1, 1)
    with pytest.raises(AssertionError):
        check_uniform(np.exp(rng.uniform(np.log(0.5), np.log(2), 1000)), 0.5, 2)
    check_counts(rng.multinomial(1000, [0.1] * 10))
    with pytest.raises(AssertionError):
        check_counts(rng.multinomial(1000, [0.2, *[0.8 / 9] * 9]))


def draw_sizes(short_side: int | None, long_side: int | None, number: int = 500) -> np.ndarray:
    """Heights and widths that an image of 30 x 90 is brought to, seen by where a crop with room for all is filled."""
    transform = TrainingTransform((125, 365), short_side, long_side, photometric_distortion=False)
    image, annotation = Image.new("RGB", (90, 30)), np.zeros((30, 90), np.uint8)
    sizes = []
    for seed in range(number):
        _, labels = transform(image, annotation, np.random.default_rng(seed))
        filled = labels.numpy() != IGNORE_INDEX
        sizes.append((filled[:, 0].sum(), filled[0].sum()))
    return np.array(sizes)


@pytest.mark.parametrize(
    ("short_side", "long_side", "base"),
    [
        (None, None, 1.0),
        (60, None, 2.0),
        (None, 180, 2.0),
        (60, 240, 2.0),  # as (512, 2048): the short side bounds
        (60, 135, 1.5),  # the long side bounds
    ],
)
def test_sizes_are_the_bounds_times_a_uniform_factor(
    short_side: int | None, long_side: int | None, base: float
) -> None:
    sizes = draw_sizes(short_side, long_side)
    check_uniform(sizes[:, 1] / 90, 0.5 * base, 2 * base)
    np.testing.assert_allclose(sizes[:, 0] / 30, sizes[:, 1] / 90, atol=0.5 / 30 + 0.5 / 90)


def test_crops_are_uniform_over_all_places_and_half_of_them_mirrored() -> None:
    rows, columns = np.mgrid[:24, :40]
    image = Image.fromarray(np.stack([rows, columns, rows], axis=-1).astype(np.uint8))
    annotation = (columns % 2).astype(np.uint8)
    transform = TrainingTransform((16, 16), scale_range=(1, 1), photometric_distortion=False)
    tops, lefts, mirrored = [], [], []
    for seed in range(3000):
        values, _ = transform(image, annotation, np.random.default_rng(seed))
        red, green = ((values[:2] * 0.5 + 0.5) * 255).round().int().numpy()
        tops.append(red.min())
        lefts.append(green.min())
        mirrored.append(green[0, 0] > green[0, -1])
    check_counts(np.bincount(tops, minlength=9))
    check_counts(np.bincount(lefts, minlength=25))
    check_share(np.array(mirrored), 0.5)
    for one, other in ((tops, lefts), (tops, mirrored), (lefts, mirrored)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(3000)


def test_a_crop_of_one_class_is_drawn_again_ten_times() -> None:
    annotation = np.zeros((4, 104), np.uint8)
    annotation[:, :21:2] = 1
    shares = np.array([annotation[:, left : left + 4].mean() for left in range(101)])
    good = np.flatnonzero(1 - shares <= 0.75)
    chance = 1 - len(good) / 101
    assert 0.75 < chance < 0.85, "the picture must make all 11 draws fail often enough to be counted"

    # Of the place, the blue channel tells the column.
    image = Image.fromarray(np.repeat(np.arange(104, dtype=np.uint8)[None, :, None], 4, axis=0).repeat(3, axis=2))
    transform = TrainingTransform((4, 4), scale_range=(1, 1), flip_probability=0, photometric_distortion=False)
    lefts = []
    for seed in range(6000):
        values, _ = transform(image, annotation, np.random.default_rng(seed))
        lefts.append(round((values[2, 0, 0].item() * 0.5 + 0.5) * 255))
    failed = ~np.isin(lefts, good)
    deviation = np.sqrt(chance**11 * (1 - chance**11) / len(lefts))
    assert abs(failed.mean() - chance**11) < 2.5 * deviation
    for draws in (10, 12):  # which that bound tells apart
        assert abs(failed.mean() - chance**draws) > 2.5 * deviation
    check_counts(np.bincount(lefts, minlength=101)[good])


def picture() -> Image.Image:
    """Greys, whose level shows brightness and contrast, colours of all hues, and one bright colour."""
    colours = [colorsys.hsv_to_rgb(hue, 1 - DARKEST / BRIGHTEST, BRIGHTEST) for hue in HUES]
    pixels = np.concatenate([np.repeat(GREYS[:, None], 3, axis=1), np.rint(colours), [BRIGHT]])
    return Image.fromarray(pixels[None].astype(np.uint8))


@cache
def draw_distortions() -> dict[str, np.ndarray]:
    """What happened to the picture: amounts, recovered from its pixels, and the final bright colour."""
    image = picture()
    original = np.asarray(image)[0, len(GREYS) : -1].astype(float)
    found: dict[str, list] = {name: [] for name in ("brightness", "contrast", "saturation", "hue", "bright")}
    for seed in range(NUM_DISTORTIONS):
        pixels = np.asarray(distort_colours(image, np.random.default_rng(seed)))[0].astype(float)
        slope, level = np.polyfit(GREYS, pixels[: len(GREYS), 0], 1)
        found["contrast"].append(slope)
        found["brightness"].append(level / slope)
        # Hue and saturation do not change with contrast, and hue not with brightness.
        colours = pixels[len(GREYS) : -1]
        before = original + level / slope
        spread = np.ptp(colours, axis=1) / colours.max(axis=1)
        found["saturation"].append((spread / (np.ptp(before, axis=1) / before.max(axis=1))).mean())
        hues = np.array([colorsys.rgb_to_hsv(*colour)[0] for colour in colours])
        turned = (hues - HUES + 0.5) % 1 - 0.5
        found["hue"].append(turned.mean() * 360)
        found["bright"].append(pixels[-1])
    return {name: np.array(values) for name, values in found.items()}


# What is recovered where nothing was changed, and how far from it what was not changed may seem to be.
UNCHANGED = {"brightness": (0, 0.5), "contrast": (1, 0.005), "saturation": (1, 0.02), "hue": (0, 1.0)}
RANGES = {"brightness": (-32, 32), "contrast": (0.5, 1.5), "saturation": (0.5, 1.5), "hue": (-36, 36)}


def changed(name: str) -> np.ndarray:
    neutral, tolerance = UNCHANGED[name]
    return np.abs(draw_distortions()[name] - neutral) > tolerance


@pytest.mark.parametrize("name", list(RANGES))
def test_amounts_are_uniform_where_something_changes(name: str) -> None:
    amounts = draw_distortions()[name][changed(name)]
    low, high = RANGES[name]
    check_uniform(amounts, low, high)
    missed = 2 * UNCHANGED[name][1] / (high - low)
    check_share(changed(name), 0.5 * (1 - missed))


def test_the_four_changes_are_independent() -> None:
    patterns = sum(changed(name).astype(int) << place for place, name in enumerate(RANGES))
    check_counts(np.bincount(patterns, minlength=16))


def test_contrast_comes_before_or_after_the_colours_with_equal_chances() -> None:
    drawn = draw_distortions()
    after = []
    for index in np.flatnonzero(changed("contrast") & (changed("saturation") | changed("hue"))):
        brightness, contrast, saturation, hue = (drawn[name][index] for name in RANGES)
        lit = np.clip(np.array(BRIGHT) + brightness, 0, 255)

        def colour(rgb: np.ndarray, saturation: float = saturation, hue: float = hue) -> np.ndarray:
            h, s, v = colorsys.rgb_to_hsv(*rgb)
            return np.array(colorsys.hsv_to_rgb((h + hue / 360) % 1, min(1.0, s * saturation), v))

        orders = np.array([colour(np.clip(lit * contrast, 0, 255)), np.clip(colour(lit) * contrast, 0, 255)])
        if np.abs(orders[0] - orders[1]).max() > 20:
            distances = np.abs(orders - drawn["bright"][index]).max(axis=1)
            assert distances.min() < 10
            after.append(distances.argmin())
    assert len(after) > 80
    check_share(np.array(after), 0.5)
