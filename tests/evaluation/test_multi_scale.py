# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of how an image becomes a label map, against the procedure written out in float64."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf import PauseConfig
from paumer_hf.evaluation.multi_scale import (
    MULTI_SCALES,
    EvaluationSettings,
    ImagePasses,
    enlarge_to_window,
    scaled_pixel_values,
    scaled_size,
)


MEAN, STD = (0.4, 0.5, 0.6), (0.3, 0.5, 0.7)
RANDOM = PauseConfig({1: 0.5}, criterion="random", seed=3)


@pytest.fixture
def model(make_model, make_tiny_config):
    """A model of many classes without a preference for any, so that label maps have many borders that can move."""
    model = make_model(make_tiny_config(id2label={label: str(label) for label in range(12)}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    return model


def photograph(height, width, seed=0):
    """Coarse colours with noise, so that neither enlarging nor reducing leaves everything grey."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)).resize((width, height))
    noise = rng.integers(-40, 40, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8))


def labels_of(model, image, pause_config=None, **fields):
    settings = EvaluationSettings(image_mean=MEAN, image_std=STD, **fields)
    size = (image.height, image.width)
    with torch.no_grad():
        passes = ImagePasses(scaled_pixel_values(image, settings), settings, size)
        configs = [part.seeded(pause_config or PauseConfig()) for part in passes.inputs]
        logits = [
            model(part.pixel_values, pause_config=config).logits
            for part, config in zip(passes.inputs, configs, strict=True)
        ]
        return passes.label_maps(model, logits)[0].numpy()


# --- the procedure, written out ---


def bilinear(array, size):
    """Interpolate (height, width, channels) between pixel centres; beyond the outermost ones their value holds."""
    for axis, length in enumerate(size):
        old = array.shape[axis]
        places = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        below = np.minimum(places.astype(int), old - 1)
        share = (places - below).reshape([-1 if number == axis else 1 for number in range(3)])
        above = np.take(array, np.minimum(below + 1, old - 1), axis)
        array = np.take(array, below, axis) * (1 - share) + above * share
    return array


def written_out_logits(model, pixels, pause_config):
    """Logits (height, width, classes) of normalised pixels (height, width, 3) that pass the model together."""
    patch = model.config.patch_size
    height, width = pixels.shape[:2]
    with torch.no_grad():
        logits = model(torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()), pause_config=pause_config).logits
    logits = logits[0].numpy().transpose(1, 2, 0)
    return bilinear(logits, (logits.shape[0] * patch, logits.shape[1] * patch))[:height, :width]


def written_out_window_logits(model, pixels, pause_config, side, step):
    """The same by square windows, averaged where they overlap; short images are enlarged first."""
    height, width = pixels.shape[:2]
    if min(height, width) < side:
        ratio = max(height, width) / min(height, width)
        size = (side, int(ratio * side)) if height < width else (int(ratio * side), side)
        pixels = bilinear(pixels, size)
        height, width = size
    total, count = np.zeros((height, width, model.config.num_labels)), np.zeros((height, width, 1))
    for top in [*(top for top in range(0, height, step) if top < height - side), height - side]:
        for left in [*(left for left in range(0, width, step) if left < width - side), width - side]:
            window = pixels[top : top + side, left : left + side]
            total[top : top + side, left : left + side] += written_out_logits(model, window, pause_config)
            count[top : top + side, left : left + side] += 1
    return total / count


def written_out_probabilities(model, image, pause_config, bounds, scales, flips, window):
    """Sum of the probabilities over scales and mirror images, (height, width, classes)."""
    total = 0.0
    for scale in scales:
        long_side, short_side = max(image.size), min(image.size)
        factor = scale
        if bounds is not None:
            factor = min(int(bounds[0] * scale) / long_side, int(bounds[1] * scale) / short_side)
        resized = image.resize(tuple(int(side * factor + 0.5) for side in image.size), Image.Resampling.BILINEAR)
        for is_mirrored in flips:
            pixels = (np.asarray(resized, np.float64) / 255 - MEAN) / STD
            pixels = pixels[:, ::-1] if is_mirrored else pixels
            if window is None:
                logits = written_out_logits(model, pixels, pause_config)
            else:
                logits = written_out_window_logits(model, pixels, pause_config, *window)
            logits = bilinear(logits, (image.height, image.width))
            logits = logits[:, ::-1] if is_mirrored else logits
            exponentials = np.exp(logits - logits.max(2, keepdims=True))
            total = total + exponentials / exponentials.sum(2, keepdims=True)
    return total


@pytest.mark.parametrize(
    ("size", "bounds", "scales", "flip", "window"),
    [
        ((50, 70), None, (1.0,), False, (32, 24)),
        ((50, 70), (100, 40), (1.0,), False, (32, 24)),
        ((37, 61), (100, 40), MULTI_SCALES, True, (32, 24)),
        ((61, 37), None, (0.5, 1.0, 1.3), True, (40, 40)),
        ((30, 120), (100, 40), (0.75, 1.0), False, (48, 20)),  # the long side bounds the size
        ((37, 61), (100, 40), (0.5, 1.25), True, None),
        ((20, 20), None, (1.0,), True, (32, 32)),
    ],
)
@pytest.mark.parametrize("pause_config", [PauseConfig(), PauseConfig({1: 0.4, 2: 0.5})], ids=["dense", "paused"])
def test_label_maps_equal_the_procedure_written_out(model, size, bounds, scales, flip, window, pause_config):
    image = photograph(*size)
    fields = {} if window is None else {"window_size": (window[0],) * 2, "stride": (window[1],) * 2}
    if bounds is not None:
        fields |= {"resize_long_side": bounds[0], "resize_short_side": bounds[1]}
    labels = labels_of(model, image, pause_config, scales=scales, flip=flip, **fields)

    exact_model = copy.deepcopy(model).double()
    flips = (False, True) if flip else (False,)
    expected = written_out_probabilities(exact_model, image, pause_config, bounds, scales, flips, window)
    lowest, highest = np.sort(expected, 2)[..., -2:].transpose(2, 0, 1)
    is_clear = highest - lowest > 1e-4
    assert is_clear.mean() > 0.99
    assert np.array_equal(labels[is_clear], expected.argmax(2)[is_clear])
    assert len(np.unique(labels)) > 3, "several classes must occur for this to mean much"


# --- sizes ---


@pytest.mark.parametrize(
    ("size", "scale", "bounds", "expected"),
    [
        ((683, 512), 1.0, (512, 2048), (683, 512)),
        ((512, 683), 1.0, (512, 2048), (512, 683)),
        ((1000, 300), 1.0, (512, 2048), (1707, 512)),
        ((1000, 300), 0.5, (512, 2048), (853, 256)),  # half of the size above would be 854
        ((3000, 300), 1.0, (512, 2048), (2048, 205)),
        ((2048, 1024), 0.75, (1024, 2048), (1536, 768)),
        ((2048, 1024), 1.75, (1024, None), (3584, 1792)),
        ((2048, 1024), 1.0, (None, 1000), (1000, 500)),
        ((100, 100), 1.0, (90, 60), (60, 60)),
        ((100, 100), 0.75, (513, None), (384, 384)),  # the bound is 384.75
        ((45, 27), 0.5, (None, None), (23, 14)),
        ((3, 1000), 0.1, (None, None), (1, 100)),
    ],
)
def test_sizes(size, scale, bounds, expected):
    assert scaled_size(size, scale, *bounds) == expected


def test_sizes_keep_the_ratio_within_the_bounds():
    rng = np.random.default_rng(0)
    for _ in range(500):
        size = tuple(int(side) for side in rng.integers(20, 3000, 2))
        short_side, scale = int(rng.integers(20, 600)), float(rng.choice(MULTI_SCALES))
        long_side = short_side * int(rng.integers(1, 5))
        scaled = scaled_size(size, scale, short_side, long_side)
        assert scaled == scaled_size(size[::-1], scale, short_side, long_side)[::-1]
        bounds = int(short_side * scale), int(long_side * scale)
        assert min(scaled) <= bounds[0]
        assert max(scaled) <= bounds[1]
        assert min(scaled) == bounds[0] or max(scaled) == bounds[1], "one of the bounds is reached"
        factor = min(bounds[0] / min(size), bounds[1] / max(size))
        assert all(abs(new - old * factor) <= 0.5 for new, old in zip(scaled, size, strict=True))


@pytest.mark.parametrize(
    ("size", "window_size", "expected"),
    [
        ((20, 30), (24, 24), (24, 36)),
        ((30, 20), (24, 24), (36, 24)),
        ((20, 33), (24, 24), (24, 39)),  # 39.6 is cut
        ((24, 24), (24, 24), (24, 24)),
        ((20, 20), (24, 24), (24, 24)),
        ((100, 10), (24, 24), (240, 24)),
        ((20, 100), (24, 48), (24, 120)),
        ((24, 40), (24, 48), (28, 48)),
        ((12, 12), (24, 48), (48, 48)),
        ((12, 12), (48, 24), (48, 48)),
        ((11, 15), (22, 30), (22, 30)),  # 15 / 11 * 22 is a little below 30
    ],
)
def test_images_are_enlarged_until_a_window_fits(size, window_size, expected):
    pixel_values = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    enlarged = enlarge_to_window(pixel_values, window_size)
    assert tuple(enlarged.shape[-2:]) == expected
    if expected == size:
        assert enlarged is pixel_values
    interpolated = bilinear(pixel_values[0].double().permute(1, 2, 0).numpy(), expected)
    np.testing.assert_allclose(enlarged[0].permute(1, 2, 0), interpolated, atol=1e-4)


def test_enlarged_images_always_hold_a_window():
    rng = np.random.default_rng(0)
    for height, width, *window_size in rng.integers(1, 70, (1000, 4)).tolist():
        enlarged = enlarge_to_window(torch.zeros(1, 1, height, width), window_size).shape[-2:]
        spare = [side - window for side, window in zip(enlarged, window_size, strict=True)]
        assert min(spare) >= 0
        assert min(spare) == 0 or tuple(enlarged) == (height, width)


def test_every_scale_is_resized_from_the_original():
    image = photograph(31, 45)
    settings = EvaluationSettings(scales=(0.5, 1.0, 2.0), resize_short_side=20)
    for pixel_values, size in zip(scaled_pixel_values(image, settings), [(10, 15), (20, 29), (40, 58)], strict=True):
        resized = image.resize(size[::-1], Image.Resampling.BILINEAR)
        expected = torch.from_numpy(np.asarray(resized) / 127.5 - 1).permute(2, 0, 1)[None].float()
        torch.testing.assert_close(pixel_values, expected)


# --- properties of the average ---


@pytest.mark.parametrize("fields", [{}, {"window_size": (24, 24), "stride": (16, 16)}], ids=["whole", "windows"])
def test_the_mirror_image_has_the_mirrored_label_map(model, fields):
    image = photograph(33, 52)
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    fields |= {"flip": True, "resize_short_side": 40}
    assert np.array_equal(labels_of(model, mirrored, **fields), labels_of(model, image, **fields)[:, ::-1])
    fields["flip"] = False
    assert not np.array_equal(labels_of(model, mirrored, **fields), labels_of(model, image, **fields)[:, ::-1])


def test_a_scale_twice_counts_as_once(model):
    image = photograph(33, 52)
    assert np.array_equal(labels_of(model, image, scales=(0.75, 0.75)), labels_of(model, image, scales=(0.75,)))


def test_scales_and_mirror_images_pause_with_seeds_of_their_own(model, monkeypatch):
    seeds = []
    forward = model.forward

    def spy(pixel_values, pause_config):
        seeds.append(pause_config.seed)
        return forward(pixel_values, pause_config=pause_config)

    monkeypatch.setattr(model, "forward", spy)
    labels = labels_of(model, photograph(33, 52), RANDOM, scales=(0.75, 1.0), flip=True)
    assert seeds[0] == RANDOM.seed, "one scale is paused as ever"
    assert len(set(seeds)) == 4
    first = list(seeds)
    assert np.array_equal(labels_of(model, photograph(33, 52), RANDOM, scales=(0.75, 1.0), flip=True), labels)
    assert seeds == first * 2


def test_probabilities_are_summed_in_float32_under_autocast(model):
    image = photograph(33, 52)
    exact = labels_of(model, image, flip=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = labels_of(model, image, flip=True)
    assert (exact == reduced).mean() > 0.9


# --- settings ---


def test_settings_that_contradict_each_other_are_refused():
    for fields, message in (
        ({"stride": (4, 4)}, "needs window_size"),
        ({"resize_long_side": -1}, "resize_long_side must be at least 1, got -1"),
        ({"resize_short_side": 0}, "resize_short_side must be at least 1, got 0"),
        ({"scales": ()}, "scales must be one or more positive factors"),
        ({"scales": (1.0, 0.0)}, r"scales must be one or more positive factors, got \(1.0, 0.0\)"),
        ({"scales": (float("nan"),)}, "scales must be one or more positive factors"),
    ):
        with pytest.raises(ValueError, match=message):
            EvaluationSettings(**fields)
