# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The training transform: one geometry for image and labels, determined by its generator."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf.data.transforms import IGNORE_INDEX, TrainingTransform, distort_colours, image_to_tensor


GEOMETRY_ONLY = {"photometric_distortion": False, "flip_probability": 0.0, "cat_max_ratio": 1.0}
UNCHANGED = {**GEOMETRY_ONLY, "scale_range": (1.0, 1.0)}


def place_pair(height: int, width: int) -> tuple[Image.Image, np.ndarray]:
    """Image whose red is the row and green the column, in halves; annotation with a block number of 16 pixels."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    annotation = (rows // 16 * 16 + columns // 16).astype(np.uint8)
    return Image.fromarray(image), annotation


def random_pair(seed: int = 0, size: tuple[int, int] = (48, 64)) -> tuple[Image.Image, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    return image, rng.integers(0, 5, size, dtype=np.uint8)


def levels(pixel_values: torch.Tensor) -> torch.Tensor:
    return (pixel_values * 0.5 + 0.5) * 255


def test_image_to_tensor_follows_its_formula() -> None:
    image, _ = random_pair()
    mean, std = (0.1, 0.5, 0.7), (0.2, 0.4, 0.5)
    expected = (np.asarray(image).transpose(2, 0, 1) / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))

    tensor = image_to_tensor(image, mean, std)

    assert tensor.dtype == torch.float32
    assert tensor.shape == (3, 48, 64)
    np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-6)


def test_image_to_tensor_takes_grey_images() -> None:
    tensor = image_to_tensor(Image.new("L", (4, 3), 255))
    assert torch.equal(tensor, torch.ones(3, 3, 4))


def test_crop_is_a_part_of_the_image_and_of_the_labels_at_the_same_place() -> None:
    image, annotation = place_pair(96, 128)
    transform = TrainingTransform(crop_size=(40, 24), **UNCHANGED)
    corners = set()
    for seed in range(20):
        pixel_values, labels = transform(image, annotation, np.random.default_rng(seed))
        top, left = (int(value) for value in levels(pixel_values)[:2, 0, 0].round())
        corners.add((top, left))
        expected = np.asarray(image)[top : top + 40, left : left + 24].copy()
        assert torch.equal(levels(pixel_values).round().to(torch.uint8), torch.from_numpy(expected).permute(2, 0, 1))
        np.testing.assert_array_equal(labels.numpy(), annotation[top : top + 40, left : left + 24])
    assert len(corners) > 15


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.3, 2.0])
@pytest.mark.parametrize("flip_probability", [0.0, 1.0])
def test_image_and_labels_get_the_same_geometry(scale: float, flip_probability: float) -> None:
    image, annotation = place_pair(160, 208)
    options = {**UNCHANGED, "scale_range": (scale, scale), "flip_probability": flip_probability}
    transform = TrainingTransform(crop_size=(64, 64), **options)
    for seed in range(5):
        pixel_values, labels = transform(image, annotation, np.random.default_rng(seed))
        rows, columns, _ = levels(pixel_values)
        # A label tells a block of 16 source pixels; the interpolated place may lie a pixel beyond its edge.
        assert ((rows - (labels // 16 * 16 + 7.5)).abs() <= 9.1).all()
        assert ((columns - (labels % 16 * 16 + 7.5)).abs() <= 9.1).all()


def test_scale_is_what_the_range_says() -> None:
    image, annotation = place_pair(160, 208)
    transform = TrainingTransform(crop_size=(64, 64), **{**UNCHANGED, "scale_range": (2.0, 2.0)})
    pixel_values, _ = transform(image, annotation, np.random.default_rng(0))
    rows = levels(pixel_values)[0, :, 0]
    assert (rows[-1] - rows[0]).item() == pytest.approx(63 / 2, abs=1.1)


def test_short_side_is_resized_before_the_random_factor() -> None:
    image, annotation = random_pair(size=(48, 64))
    transform = TrainingTransform(crop_size=(200, 200), resize_short_side=96, **UNCHANGED)
    _, labels = transform(image, annotation, np.random.default_rng(0))
    assert (labels[:96, :128] != IGNORE_INDEX).all()
    assert (labels[96:] == IGNORE_INDEX).all()
    assert (labels[:, 128:] == IGNORE_INDEX).all()


@pytest.mark.parametrize(
    ("short_side", "long_side", "size"),
    [(96, 192, (96, 128)), (96, 100, (75, 100)), (None, 100, (75, 100)), (24, 1000, (24, 32)), (None, None, (48, 64))],
)
def test_no_side_exceeds_its_length_before_the_random_factor(
    short_side: int | None, long_side: int | None, size: tuple[int, int]
) -> None:
    transform = TrainingTransform((200, 200), short_side, long_side, **UNCHANGED)
    for image, annotation in (random_pair(size=(48, 64)), random_pair(size=(64, 48))):
        _, labels = transform(image, annotation, np.random.default_rng(0))
        height, width = size if image.width > image.height else size[::-1]
        filled = labels != IGNORE_INDEX
        assert filled[:height, :width].all()
        assert filled.sum() == height * width


def test_a_smaller_image_is_padded_with_zeros_and_ignored_labels() -> None:
    image, annotation = random_pair(size=(20, 30))
    transform = TrainingTransform(crop_size=(32, 24), **UNCHANGED)
    pixel_values, labels = transform(image, annotation, np.random.default_rng(0))

    assert pixel_values.shape == (3, 32, 24)
    assert labels.shape == (32, 24)
    assert (pixel_values[:, 20:] == 0).all()
    assert (labels[20:] == IGNORE_INDEX).all()
    assert (labels[:20] != IGNORE_INDEX).all()
    assert (pixel_values[:, :20] != 0).all()


def test_labels_are_never_interpolated() -> None:
    image, annotation = random_pair(size=(60, 60))
    annotation = np.where(annotation == 0, 200, IGNORE_INDEX).astype(np.uint8)
    transform = TrainingTransform(crop_size=(48, 48))
    for seed in range(10):
        _, labels = transform(image, annotation, np.random.default_rng(seed))
        assert set(labels.unique().tolist()) <= {200, IGNORE_INDEX}


def test_same_generator_state_gives_the_same_sample_and_another_a_different_one() -> None:
    image, annotation = random_pair(size=(64, 64))
    transform = TrainingTransform(crop_size=(32, 32))
    first = transform(image, annotation, np.random.default_rng([3, 5]))
    again = transform(image, annotation, np.random.default_rng([3, 5]))
    other = transform(image, annotation, np.random.default_rng([3, 6]))

    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert first[0].dtype == torch.float32
    assert first[1].dtype == torch.int64


def test_inputs_are_left_as_they_were() -> None:
    image, annotation = random_pair()
    pixels, classes = np.asarray(image).copy(), annotation.copy()
    TrainingTransform(crop_size=(80, 80))(image, annotation, np.random.default_rng(0))
    np.testing.assert_array_equal(np.asarray(image), pixels)
    np.testing.assert_array_equal(annotation, classes)


def test_flip_mirrors_both() -> None:
    image, annotation = random_pair()
    plain = TrainingTransform(crop_size=(48, 64), **UNCHANGED)
    flipping = TrainingTransform(crop_size=(48, 64), **{**UNCHANGED, "flip_probability": 1.0})
    values, labels = plain(image, annotation, np.random.default_rng(0))
    flipped_values, flipped_labels = flipping(image, annotation, np.random.default_rng(0))
    assert torch.equal(flipped_values, values.flip(-1))
    assert torch.equal(flipped_labels, labels.flip(-1))


def dominated_pair() -> tuple[Image.Image, np.ndarray]:
    """Two classes in turn in the left half, class 0 alone in the right half."""
    annotation = np.zeros((32, 256), dtype=np.uint8)
    annotation[:, :128:2] = 1
    return Image.new("RGB", (256, 32)), annotation


def test_crops_with_one_class_are_drawn_again() -> None:
    image, annotation = dominated_pair()

    def largest_shares(cat_max_ratio: float) -> np.ndarray:
        transform = TrainingTransform(crop_size=(32, 32), **{**UNCHANGED, "cat_max_ratio": cat_max_ratio})
        samples = [transform(image, annotation, np.random.default_rng(seed))[1] for seed in range(100)]
        return np.array([labels.flatten().bincount().max().item() / labels.numel() for labels in samples])

    # About half of all places show class 0 alone; ten more draws leave hardly one such crop in a hundred.
    assert (largest_shares(1.0) > 0.75).mean() > 0.3
    assert (largest_shares(0.75) > 0.75).mean() <= 0.02


def test_crops_that_are_mostly_ignored_are_judged_by_their_labelled_pixels() -> None:
    image = place_pair(32, 256)[0]
    annotation = np.full((32, 256), IGNORE_INDEX, dtype=np.uint8)
    annotation[::5, ::2], annotation[::5, 1::2] = 0, 1
    accepting = TrainingTransform(crop_size=(32, 32), **UNCHANGED)
    choosing = TrainingTransform(crop_size=(32, 32), **{**UNCHANGED, "cat_max_ratio": 0.75})
    for seed in range(20):
        first_draw, _ = accepting(image, annotation, np.random.default_rng(seed))
        chosen, _ = choosing(image, annotation, np.random.default_rng(seed))
        assert torch.equal(chosen, first_draw)


def test_ignored_pixels_do_not_dilute_the_share_of_a_class() -> None:
    image, annotation = dominated_pair()
    annotation[:, 129::2] = IGNORE_INDEX
    transform = TrainingTransform(crop_size=(32, 32), **{**UNCHANGED, "cat_max_ratio": 0.75})
    samples = [transform(image, annotation, np.random.default_rng(seed))[1] for seed in range(50)]
    assert np.mean([(labels == 1).any() for labels in samples]) > 0.95


def test_an_image_of_one_class_still_gives_a_sample() -> None:
    transform = TrainingTransform(crop_size=(16, 16))
    _, labels = transform(Image.new("RGB", (64, 64)), np.zeros((64, 64), np.uint8), np.random.default_rng(0))
    assert labels.shape == (16, 16)


def test_photometric_distortion_leaves_labels_alone_and_changes_the_image() -> None:
    image, annotation = random_pair()
    # The distortion draws after the crop and before the flip, which is off.
    plain = TrainingTransform(crop_size=(32, 32), **GEOMETRY_ONLY)
    distorting = TrainingTransform(crop_size=(32, 32), **{**GEOMETRY_ONLY, "photometric_distortion": True})
    changed = 0
    for seed in range(12):
        values, labels = plain(image, annotation, np.random.default_rng(seed))
        distorted, distorted_labels = distorting(image, annotation, np.random.default_rng(seed))
        assert torch.equal(labels, distorted_labels)
        changed += not torch.equal(values, distorted)
    assert changed >= 8


class FixedDraws:
    """A generator whose four coins, order and amounts are given."""

    def __init__(self, coins: tuple[bool, bool, bool, bool], *, contrast_first: bool, amounts: list[float]) -> None:
        self.coins, self.contrast_first, self.amounts = coins, contrast_first, list(amounts)

    def random(self, size: int | None = None) -> np.ndarray | float:
        if size is None:
            return 0.0 if self.contrast_first else 1.0
        return np.where(self.coins, 0.0, 1.0)

    def uniform(self, low: float, high: float) -> float:
        return self.amounts.pop(0)


def distorted(image: Image.Image, **draws: object) -> np.ndarray:
    coins = tuple(name in draws for name in ("brightness", "contrast", "saturation", "hue"))
    amounts = [draws.get(name, 0.0) for name in ("brightness", "contrast", "saturation", "hue")]
    fixed = FixedDraws(coins, contrast_first=bool(draws.get("contrast_first", True)), amounts=amounts)
    return np.asarray(distort_colours(image, fixed)).astype(int)


def test_distortion_without_any_change_is_the_identity() -> None:
    image, _ = random_pair()
    np.testing.assert_array_equal(distorted(image), np.asarray(image))


def test_brightness_and_contrast_follow_their_formulas() -> None:
    image, _ = random_pair()
    pixels = np.asarray(image).astype(int)
    np.testing.assert_array_equal(distorted(image, brightness=20.0), np.clip(pixels + 20, 0, 255))
    for contrast_first in (True, False):
        expected = np.clip(np.rint(pixels * 1.3), 0, 255)
        np.testing.assert_array_equal(distorted(image, contrast=1.3, contrast_first=contrast_first), expected)
    both = np.clip(np.rint(np.clip(pixels - 30, 0, 255) * 0.7), 0, 255)
    np.testing.assert_array_equal(distorted(image, brightness=-30.0, contrast=0.7), both)


def test_contrast_comes_before_or_after_saturation() -> None:
    colours = Image.new("RGB", (1, 1), (220, 120, 110))
    # Before: 330 is cut to 255, so the grey part is a larger share of the colour than where it is cut afterwards.
    before = distorted(colours, contrast=1.5, saturation=1.5, contrast_first=True)[0, 0]
    after = distorted(colours, contrast=1.5, saturation=1.5, contrast_first=False)[0, 0]
    assert before == pytest.approx([255, 142, 120], abs=4)
    assert after == pytest.approx([255, 105, 82], abs=4)


def test_saturation_pulls_towards_grey_and_keeps_the_brightest_channel() -> None:
    image, _ = random_pair()
    pixels = np.asarray(image).astype(int)
    pale = distorted(image, saturation=0.5)
    np.testing.assert_allclose(pale.max(-1), pixels.max(-1), atol=1)
    np.testing.assert_allclose(np.ptp(pale, -1), np.ptp(pixels, -1) * 0.5, atol=4)


def test_hue_turns_red_towards_yellow_and_towards_magenta() -> None:
    red = Image.new("RGB", (2, 2), (200, 0, 0))
    assert distorted(red, hue=18.0)[0, 0] == pytest.approx([200, 60, 0], abs=4)
    assert distorted(red, hue=-18.0)[0, 0] == pytest.approx([200, 0, 60], abs=4)


@pytest.mark.parametrize("hue_degrees", [0.0, 90.0])
def test_hues_turn_by_as_much_as_asked_for(hue_degrees: float) -> None:
    red = Image.new("RGB", (1, 1), (200, 0, 0))
    colours = [np.asarray(distort_colours(red, np.random.default_rng(seed), hue_degrees))[0, 0] for seed in range(200)]
    hues = [360 * colorsys.rgb_to_hsv(*(colour / 255))[0] for colour in colours]
    turned = [min(hue, 360 - hue) for hue in hues]
    assert hue_degrees - 5 < max(turned) < hue_degrees + 2


def test_sizes_that_differ_are_refused() -> None:
    transform = TrainingTransform(crop_size=(16, 16))
    with pytest.raises(ValueError, match=r"annotation must have the size of the image, \(48, 64\), got \(64, 48\)"):
        transform(Image.new("RGB", (64, 48)), np.zeros((64, 48), np.uint8), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_size": (0, 8)}, "crop_size must be two positive integers"),
        ({"crop_size": (8.0, 8.0)}, "crop_size must be two positive integers"),
        ({"crop_size": (8, 8, 8)}, "crop_size must be two positive integers"),
        ({"resize_short_side": 0}, "resize_short_side must be a positive integer or None"),
        ({"resize_long_side": 0}, "resize_long_side must be a positive integer or None"),
        ({"scale_range": (2.0, 0.5)}, "scale_range must be"),
        ({"scale_range": (0.0, 1.0)}, "scale_range must be"),
        ({"cat_max_ratio": 0.0}, "cat_max_ratio must be in"),
        ({"flip_probability": 1.5}, "flip_probability must be in"),
        ({"hue_degrees": 181.0}, "hue_degrees must be in"),
        ({"image_mean": (0.5,)}, "image_mean must have 3 values"),
        ({"image_std": (0.5, 0.0, 0.5)}, "image_std must have 3 positive values"),
    ],
)
def test_arguments_are_checked(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingTransform(**{"crop_size": (8, 8), **options})


def test_lists_as_yaml_gives_them_are_taken() -> None:
    transform = TrainingTransform(crop_size=[16, 24], scale_range=[1.0, 1.0], image_mean=[0.5, 0.5, 0.5])
    assert transform.crop_size == (16, 24)
    assert hash(transform) == hash(TrainingTransform(crop_size=(16, 24), scale_range=(1.0, 1.0)))
