# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from paumer_hf import PaumerConfig, PaumerImageProcessor


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def plain(**kwargs):
    """A processor that neither resizes nor pads, and keeps 0 ... 1."""
    return PaumerImageProcessor(**{"do_resize": False, "do_normalize": False, "do_pad": False, **kwargs})


def pixels(image, processor=None, **kwargs):
    return (processor or plain())(image, return_tensors="pt", **kwargs).pixel_values[0]


# --- defaults ---


def test_default_result_is_the_resized_image_between_minus_1_and_1():
    array = noise(40, 60)
    result = PaumerImageProcessor()(Image.fromarray(array), return_tensors="pt").pixel_values
    resized = Image.fromarray(array).resize((512, 512), Image.Resampling.BILINEAR)
    expected = torch.from_numpy(np.array(resized)).permute(2, 0, 1)[None] / 127.5 - 1
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=0)


def test_labels_are_resized_to_the_nearest_value():
    label_map = noise(40, 60, 0)
    batch = PaumerImageProcessor()(noise(40, 60), label_map, return_tensors="pt")
    expected = np.array(Image.fromarray(label_map).resize((512, 512), Image.Resampling.NEAREST))
    assert batch.labels.dtype == torch.int64
    assert np.array_equal(batch.labels[0], expected)


def test_without_return_tensors_the_result_is_lists_of_arrays():
    batch = PaumerImageProcessor()([noise(4, 4)] * 2, [noise(4, 4, 0)] * 2)
    assert [value.shape for value in batch["pixel_values"]] == [(3, 512, 512)] * 2
    assert [value.shape for value in batch["labels"]] == [(512, 512)] * 2


def test_save_and_load(tmp_path):
    processor = PaumerImageProcessor(
        size={"shortest_edge": 64, "longest_edge": 99},
        size_divisor=8,
        do_reduce_labels=True,
        image_mean=[0.1, 0.2, 0.3],
    )
    processor.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "preprocessor_config.json").read_text())["size_divisor"] == 8
    for loaded in (PaumerImageProcessor.from_pretrained(tmp_path), AutoImageProcessor.from_pretrained(tmp_path)):
        assert type(loaded) is PaumerImageProcessor
        assert loaded.to_dict() == processor.to_dict()
        image = noise(33, 70)
        assert torch.equal(pixels(image, loaded), pixels(image, processor))


def test_image_processor_is_found_for_the_config_of_the_model(tmp_path):
    PaumerConfig().save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 32, "width": 48}}')
    assert dict(AutoImageProcessor.from_pretrained(tmp_path).size) == {"height": 32, "width": 48}


# --- label maps ---


@pytest.mark.parametrize("as_input", [np.array, torch.from_numpy])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_reducing_labels_leaves_the_callers_map_as_it_is(as_input, dtype):
    values = np.array([[0, 1, 2], [150, 254, 255]], dtype=dtype)
    label_map = as_input(values.copy())
    labels = plain(do_reduce_labels=True)(noise(2, 3), label_map, return_tensors="pt").labels[0]
    assert labels.tolist() == [[255, 0, 1], [149, 253, 255]]
    assert np.array_equal(np.asarray(label_map), values)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint16, np.float32])
def test_labels_above_255_survive_resizing(dtype):
    label_map = np.array([[0, 255, 256], [1000, 40000, 65535]], dtype=dtype)
    size = {"height": 4, "width": 6}
    labels = PaumerImageProcessor(size=size, do_pad=False)(noise(2, 3), label_map, return_tensors="pt").labels[0]
    assert np.array_equal(labels, np.kron(label_map, np.ones((2, 2))).astype(np.int64))


def test_labels_of_a_palette_image_are_its_indices():
    label_map = Image.fromarray(np.array([[3, 1]], dtype=np.uint8), mode=None).convert("P")
    label_map.putpalette([9, 9, 9] * 256)
    assert plain()(noise(1, 2), label_map, return_tensors="pt").labels[0].tolist() == [[3, 1]]


@pytest.mark.parametrize(
    ("label_map", "message"),
    [
        (np.zeros((6, 4), int), r"segmentation_maps\[0\]` must have the height and width of its image, \(6, 5\)"),
        (Image.new("RGB", (5, 6)), "one channel of label indices"),
        (np.full((6, 5), 0.5), "must hold integers"),
        (np.full((6, 5), np.nan), "must hold integers"),
        (np.full((6, 5), -1), "values from -1 to -1. Map other marks to 255"),
        ([np.zeros((6, 5), int)] * 2, "there are 2 for 1 images"),
        ([], "`segmentation_maps` is an empty list"),
    ],
)
def test_label_maps_that_are_refused(label_map, message):
    with pytest.raises(ValueError, match=message):
        PaumerImageProcessor()(noise(6, 5), label_map)


def test_a_class_that_reducing_would_mark_as_ignored_is_refused():
    with pytest.raises(ValueError, match="has the label 256"):
        plain(do_reduce_labels=True)(noise(1, 1), np.array([[256]]))


# --- padding ---


def test_images_of_mixed_shape_make_one_batch():
    images, maps = [noise(20, 30), noise(40, 10)], [noise(20, 30, 0), noise(40, 10, 0)]
    batch = PaumerImageProcessor(do_resize=False)(images, maps, return_tensors="pt")
    assert batch.pixel_values.shape == (2, 3, 48, 32)
    assert batch.labels.shape == (2, 48, 32)
    for i, (height, width) in enumerate([(20, 30), (40, 10)]):
        inside = torch.zeros(48, 32, dtype=torch.bool)
        inside[:height, :width] = True
        assert np.array_equal(batch.labels[i, :height, :width], maps[i])
        assert (batch.labels[i][~inside] == 255).all()
        assert (batch.pixel_values[i][:, ~inside] == 0).all()
        alone = pixels(images[i], plain(do_normalize=True))
        assert torch.equal(batch.pixel_values[i][:, :height, :width], alone)


@pytest.mark.parametrize(
    ("size", "image_size", "expected"),
    [
        ({"shortest_edge": 50}, (30, 60), (50, 100)),
        ({"shortest_edge": 50}, (60, 30), (100, 50)),
        ({"shortest_edge": 50, "longest_edge": 80}, (60, 30), (80, 40)),
        ({"shortest_edge": 50, "longest_edge": 100}, (60, 30), (100, 50)),
        ({"longest_edge": 20}, (30, 60), (10, 20)),
        ({"longest_edge": 20}, (1, 600), (1, 20)),
        ({"height": 7, "width": 9}, (30, 60), (7, 9)),
    ],
)
def test_size_rule_and_whole_patches(size, image_size, expected):
    image = noise(*image_size)
    assert pixels(image, PaumerImageProcessor(size=size, do_pad=False)).shape[1:] == expected
    for divisor in (1, 16, 32):
        padded = pixels(image, PaumerImageProcessor(size=size, size_divisor=divisor)).shape[1:]
        assert padded == tuple(side + -side % divisor for side in expected)


def test_pad_size():
    processor = PaumerImageProcessor(do_resize=False, pad_size={"height": 20, "width": 32})
    assert pixels(noise(3, 5), processor).shape == (3, 32, 32)
    with pytest.raises(ValueError, match=r"`pad_size` must be at least the resized images, \(21, 5\)"):
        processor(noise(21, 5))


# --- images ---


def test_floats_are_resized_as_floats():
    array = noise(8, 8)
    processor = PaumerImageProcessor(size={"height": 5, "width": 11}, do_pad=False)
    torch.testing.assert_close(pixels(array / 255, processor), pixels(array, processor), atol=2 / 255, rtol=0)


def test_floats_stay_without_do_rescale():
    array = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    assert np.array_equal(pixels(array, do_rescale=False), array)


def test_exif_orientation_is_applied(tmp_path):
    array = np.zeros((8, 16, 3), dtype=np.uint8)
    array[:, 8:] = 255  # white on the right
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    Image.fromarray(array).save(tmp_path / "turned.jpg", exif=exif, quality=100)
    batch = plain()(Image.open(tmp_path / "turned.jpg"), np.zeros((16, 8), int), return_tensors="pt")
    assert batch.pixel_values.shape == (1, 3, 16, 8)
    assert batch.pixel_values[0, :, :8].max() < 0.1
    assert batch.pixel_values[0, :, 8:].min() > 0.9


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 1, 1), (1, 1)])
def test_one_pixel(shape):
    assert pixels(np.full(shape, 255, np.uint8), PaumerImageProcessor()).unique().tolist() == [1]


def test_mixed_kinds_in_one_batch():
    images = [
        Image.new("L", (4, 3), 255),
        np.full((3, 2, 6), 255, np.uint8),
        torch.ones(5, 5, 1),
        Image.new("RGBA", (2, 2)),
    ]
    batch = PaumerImageProcessor(size={"height": 16, "width": 16})(images, return_tensors="pt").pixel_values
    torch.testing.assert_close(batch, torch.ones(4, 3, 16, 16))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"do_center_crop": True, "crop_size": 5}, "`do_center_crop` must be False"),
        ({"data_format": "channels_last"}, "`data_format` must be 'channels_first'"),
        ({"size": {"max_height": 4, "max_width": 5}}, "`size` must have the keys"),
        ({"size_divisor": 0}, "`size_divisor` must be a positive integer"),
        ({"image_mean": [0.5, 0.5]}, "`image_mean` must be one number or one for each of the 3 channels"),
        ({"image_std": 0.0}, "`image_std` must not be 0"),
        ({"do_pad": False, "do_resize": False}, r"sizes \[\(4, 4\), \(4, 5\)\] cannot be one tensor"),
    ],
)
def test_options_that_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PaumerImageProcessor()([noise(4, 4), noise(4, 5)], return_tensors="pt", **kwargs)


# --- post-processing ---


def as_outputs(*logits):
    return SimpleNamespace(logits=torch.stack(logits))


def random_logits(rows, columns, num_classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, num_classes, generator=generator).permute(2, 0, 1)


def test_without_target_sizes_maps_have_the_size_of_the_logits():
    logits = random_logits(4, 6)
    (result,) = PaumerImageProcessor().post_process_semantic_segmentation(as_outputs(logits))
    assert torch.equal(result, logits.argmax(0))


def test_fixed_size_is_interpolated_as_in_transformers():
    logits = [random_logits(32, 32, seed=seed) for seed in range(2)]
    sizes = [(50, 41), (12, 100)]
    for target_sizes in (sizes, torch.tensor(sizes), np.array(sizes)):
        results = PaumerImageProcessor().post_process_semantic_segmentation(as_outputs(*logits), target_sizes)
        for image_logits, size, result in zip(logits, sizes, results, strict=True):
            scores = F.interpolate(image_logits[None].contiguous(), size=size, mode="bilinear", align_corners=False)
            assert torch.equal(result, scores[0].argmax(0))


@pytest.mark.parametrize("kwargs", [{}, {"do_pad": False}, {"pad_size": {"height": 200, "width": 300}}])
def test_a_processed_image_comes_back_in_place(kwargs):
    """Logits that copy the patches give the label map of the original image, although there is padding."""
    label_map = np.zeros((50, 70), dtype=np.int64)
    label_map[:, 35:] = 1
    label_map[25:] += 2
    processor = PaumerImageProcessor(size={"shortest_edge": 100}, size_divisor=8, **kwargs)
    labels = processor(noise(50, 70), label_map, return_tensors="pt").labels
    labels = F.pad(labels, (0, -labels.shape[2] % 8, 0, -labels.shape[1] % 8), value=255)[0]  # as the model does
    # The class at the centre of each patch; at its corner where the centre is padded; a fifth for padded patches.
    patches = torch.where(labels[4::8, 4::8] < 255, labels[4::8, 4::8], labels[::8, ::8])
    logits = F.one_hot(patches.where(patches < 255, torch.tensor(4)), 5).permute(2, 0, 1).float()
    (result,) = processor.post_process_semantic_segmentation(as_outputs(logits), [(50, 70)])
    assert (result.numpy() == label_map).mean() > 0.95


def test_padding_in_a_batch_of_mixed_shapes_is_cut_off():
    processor = PaumerImageProcessor(do_resize=False)
    sizes = [(40, 100), (64, 20)]
    batch = processor([noise(*size) for size in sizes], return_tensors="pt").pixel_values
    assert batch.shape[2:] == (64, 112)
    logits = [random_logits(4, 7, seed=seed) for seed in range(2)]
    outputs = as_outputs(*logits)
    results = processor.post_process_semantic_segmentation(outputs, sizes)
    with_scores = processor.post_process_semantic_segmentation(outputs, sizes, return_segmentation_scores=True)
    for image_logits, (height, width), result, both in zip(logits, sizes, results, with_scores, strict=True):
        scores = F.interpolate(image_logits[None], scale_factor=16, mode="bilinear")[0, :, :height, :width]
        assert torch.equal(result, scores.argmax(0))
        assert torch.equal(both.segmentation, scores.argmax(0))
        torch.testing.assert_close(both.segmentation_scores, scores)


@pytest.mark.parametrize("processor", [PaumerImageProcessor(do_resize=False), PaumerImageProcessor()])
def test_logits_of_each_pixel(processor):
    logits = random_logits(40, 100)
    (result,) = processor.post_process_semantic_segmentation(as_outputs(logits), [(40, 100)])
    assert torch.equal(result, logits.argmax(0))


@pytest.mark.parametrize("grid", [(20, 50), (10, 25), (2, 5)])
def test_logits_of_square_cells_of_the_resized_images(grid):
    """Those of pixels, or of a model whose patches are others than the processor thinks."""
    processor = PaumerImageProcessor(size={"height": 20, "width": 50})
    logits = random_logits(*grid)
    for sizes in ([(40, 100)], [(90, 30)]):
        (result,) = processor.post_process_semantic_segmentation(as_outputs(logits), sizes)
        assert torch.equal(result, F.interpolate(logits[None], size=sizes[0], mode="bilinear")[0].argmax(0))


def test_a_grid_of_other_images_is_refused():
    """One image of a padded batch, another divisor, and a size that was given to the call alone: shifted maps."""
    batch = random_logits(2, 4)  # padded for a second image of 64 x 128 pixels
    for arguments, logits, sizes, expected in (
        ({}, batch, [(64, 64)], (2, 2)),
        ({"size_divisor": 32}, random_logits(2, 3), [(64, 90)], (1, 2)),
        ({}, random_logits(4, 5), [(60, 70)], (2, 3)),
    ):
        processor = PaumerImageProcessor(**{"size": {"shortest_edge": 32}, "size_divisor": 16, **arguments})
        grid = tuple(logits.shape[1:])
        message = f"the grid {grid}, but for images of the sizes {sizes} this processor makes one of {expected}"
        with pytest.raises(ValueError, match=re.escape(message)):
            processor.post_process_semantic_segmentation(as_outputs(logits), sizes)


@pytest.mark.parametrize("target_sizes", [[(4, 4)], [(4, 4), (0, 4)], [(4, 4), (4, 4, 3)]])
def test_target_sizes_that_are_refused(target_sizes):
    outputs = as_outputs(random_logits(2, 2), random_logits(2, 2))
    with pytest.raises(ValueError, match=r"`target_sizes` must hold a positive \(height, width\) for each of the 2"):
        PaumerImageProcessor().post_process_semantic_segmentation(outputs, target_sizes)
