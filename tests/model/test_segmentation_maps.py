# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch.nn import functional as F

from paumer_hf.model import segmentation_maps
from paumer_hf.model.segmentation_maps import segmentation_map, segmentation_scores


def make_logits(rows, columns, num_classes, smooth, classes_last=True, dtype=torch.float32):
    generator = torch.Generator().manual_seed(rows * 100 + columns + num_classes)
    if smooth:
        coarse = torch.randn(1, num_classes, 3, 3, generator=generator)
        logits = F.interpolate(coarse, size=(rows, columns), mode="bicubic")[0]
    else:
        logits = torch.randn(num_classes, rows, columns, generator=generator)
    if classes_last:
        logits = logits.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    return logits.to(dtype)


def assert_best_classes(result, scores):
    """`result` holds the highest of `scores` at each pixel, up to ties of floating point."""
    assert result.dtype == torch.int64
    assert result.shape == scores.shape[1:]
    chosen = scores.gather(0, result[None])[0]
    torch.testing.assert_close(chosen, scores.amax(0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("classes_last", [True, False])
@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("num_classes", [1, 2, 19])
@pytest.mark.parametrize(
    ("grid", "target"),
    [
        ((8, 8), (128, 128)),
        ((8, 6), (40, 42)),  # 5 and 7 pixels
        ((5, 9), (80, 36)),
        ((1, 1), (16, 16)),
        ((1, 7), (16, 112)),
        ((7, 1), (77, 14)),
        ((6, 6), (50, 61)),  # no whole numbers
        ((6, 6), (3, 2)),
        ((6, 6), (12, 12)),  # too small a cell
        ((6, 6), (6, 6)),
    ],
)
def test_map_is_the_argmax_of_the_interpolated_logits(grid, target, num_classes, smooth, classes_last):
    logits = make_logits(*grid, num_classes, smooth, classes_last)
    reference = F.interpolate(logits[None].double(), size=target, mode="bilinear", align_corners=False)[0]
    assert_best_classes(segmentation_map(logits, target), reference)
    torch.testing.assert_close(segmentation_scores(logits, target).double(), reference, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("target", [(50, 70), (33, 81), (100, 140)])
def test_padding_is_cut_off(target):
    logits = make_logits(9, 11, 7, smooth=True)  # 144 x 176 pixels, of which 50 x 70 are the image
    pixels = F.interpolate(logits[None].double(), scale_factor=16, mode="bilinear")[0, :, :50, :70]
    reference = F.interpolate(pixels[None], size=target, mode="bilinear")[0]
    assert_best_classes(segmentation_map(logits, target, (50, 70), 16), reference)
    scores = segmentation_scores(logits, target, (50, 70), 16)
    torch.testing.assert_close(scores.double(), reference, atol=1e-5, rtol=1e-5)


def test_scores_far_outside_the_image_do_not_matter():
    logits = make_logits(9, 11, 7, smooth=False)
    changed = logits.clone()
    changed[:, 5:], changed[:, :, 6:] = float("nan"), float("nan")
    for function in (segmentation_map, segmentation_scores):
        assert torch.equal(function(logits, (50, 70), (50, 70), 16), function(changed, (50, 70), (50, 70), 16))


def test_only_mixed_cells_are_interpolated(monkeypatch):
    logits = torch.zeros(2, 8, 8)
    logits[0, :, :4] = logits[1, :, 4:] = 1  # a border between the columns 3 and 4
    pixels = []
    corner_weights = segmentation_maps._corner_weights

    class Weights(torch.Tensor):
        def __matmul__(self, corners):
            pixels.append(corners.shape[0] * self.shape[0])
            return self.as_subclass(torch.Tensor) @ corners

    monkeypatch.setattr(segmentation_maps, "_corner_weights", lambda scale: corner_weights(scale).as_subclass(Weights))
    result = segmentation_map(logits, (128, 128))
    assert sum(pixels) == 9 * 16 * 16
    assert torch.equal(result, (torch.arange(128) >= 64).long().expand(128, -1))


def test_disagreement_everywhere_is_interpolated_as_a_whole(monkeypatch):
    monkeypatch.setattr(segmentation_maps, "_corner_weights", None)
    logits = make_logits(8, 8, 150, smooth=False)
    assert torch.equal(segmentation_map(logits, (128, 128)), segmentation_scores(logits, (128, 128)).argmax(0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_interpolated_in_float32(dtype):
    logits = make_logits(6, 6, 5, smooth=True, dtype=dtype)
    assert_best_classes(segmentation_map(logits, (96, 96)), segmentation_scores(logits.float(), (96, 96)))
    assert segmentation_scores(logits, (96, 96)).dtype == torch.float32


def test_scores_have_the_classes_last_in_memory():
    """The strides on which the speed rests; torch may choose others for one image."""
    logits = make_logits(6, 6, 5, smooth=True)
    assert segmentation_scores(logits, (30, 31)).stride() == (1, 31 * 5, 5)
