# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of sliding windows."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from paumer_hf import PauseConfig
from paumer_hf.evaluation.sliding_window import derive_seed, sliding_window_logits, window_starts


class PixelModel(torch.nn.Module):
    """Returns pixels as logits on a grid of 2 x 2 patches, and notes what it was called with."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, pixel_values, pause_config=None):
        self.calls.append((tuple(pixel_values.shape), pause_config))
        return SimpleNamespace(logits=functional.avg_pool2d(pixel_values, 2, ceil_mode=True))

    def upsample_logits(self, logits, size):
        return logits.repeat_interleave(2, -1).repeat_interleave(2, -2)[..., : size[0], : size[1]]


def loop_logits(model, pixel_values, window_size, stride):
    """Average over every window that covers a pixel, pixel by pixel."""
    height, width = pixel_values.shape[-2:]
    tops = window_starts(height, window_size[0], stride[0])
    lefts = window_starts(width, window_size[1], stride[1])
    windows = {}
    for top in tops:
        for left in lefts:
            crop = pixel_values[:, :, top : top + window_size[0], left : left + window_size[1]]
            windows[top, left] = model.upsample_logits(model(crop).logits, crop.shape[-2:])
    expected = torch.empty_like(pixel_values)
    for row in range(height):
        for column in range(width):
            covering = [
                logits[:, :, row - top, column - left]
                for (top, left), logits in windows.items()
                if 0 <= row - top < logits.shape[2] and 0 <= column - left < logits.shape[3]
            ]
            expected[:, :, row, column] = torch.stack(covering).mean(0)
    return expected


@pytest.mark.parametrize(
    ("length", "window", "stride", "starts"),
    [(10, 4, 4, [0, 4, 6]), (8, 4, 4, [0, 4]), (9, 4, 3, [0, 3, 5]), (4, 4, 2, [0]), (3, 4, 2, [0])],
)
def test_last_window_ends_at_the_border(length, window, stride, starts):
    assert window_starts(length, window, stride) == starts


def test_every_pixel_is_covered_and_no_window_leaves_the_image():
    for length in range(1, 30):
        for window in range(1, 9):
            for stride in range(1, window + 1):
                starts = window_starts(length, window, stride)
                covered = {start + offset for start in starts for offset in range(min(window, length))}
                assert covered == set(range(length))
                assert len(set(starts)) == len(starts)


@pytest.mark.parametrize("size", [(12, 17), (5, 17), (4, 3), (8, 6)])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_logits_equal_a_loop_over_pixels(size, batch_size):
    torch.manual_seed(0)
    pixel_values = torch.randn(2, 3, *size)
    model = PixelModel()
    logits = sliding_window_logits(model, pixel_values, (8, 6), (5, 4), batch_size=batch_size)
    torch.testing.assert_close(logits, loop_logits(model, pixel_values, (8, 6), (5, 4)))


def test_positions_survive_when_windows_lie_on_the_patch_grid():
    rows = torch.arange(0, 12, 2).repeat_interleave(2)[:, None].expand(12, 16)
    pixel_values = rows.float()[None, None].repeat(1, 3, 1, 1)
    logits = sliding_window_logits(PixelModel(), pixel_values, (4, 8), (2, 4))
    torch.testing.assert_close(logits, pixel_values)


def test_one_window_is_the_model_itself():
    model, pixel_values = PixelModel(), torch.randn(1, 3, 6, 8)
    logits = sliding_window_logits(model, pixel_values, (64, 64), (32, 32))
    assert torch.equal(logits, model.upsample_logits(model(pixel_values).logits, (6, 8)))
    assert model.calls[0][0] == (1, 3, 6, 8)


def test_windows_are_batched_and_get_the_pause_config():
    model, pause_config = PixelModel(), PauseConfig({3: 0.4})
    sliding_window_logits(model, torch.randn(1, 3, 8, 12), (4, 4), (4, 4), pause_config, batch_size=4)
    assert [shape[0] for shape, _ in model.calls] == [4, 2]
    assert all(given is pause_config for _, given in model.calls)


def test_random_windows_get_different_reproducible_seeds():
    pause_config = PauseConfig({3: 0.4}, criterion="random", seed=5)
    seeds = []
    for _ in range(2):
        model = PixelModel()
        sliding_window_logits(model, torch.randn(1, 3, 8, 12), (4, 4), (4, 4), pause_config, batch_size=1)
        seeds.append([given.seed for _, given in model.calls])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 6


def test_derived_seeds_differ_between_seeds_and_positions_and_leave_the_rest_alone():
    configs = [PauseConfig({3: 0.4}, criterion="random", seed=seed) for seed in range(20)]
    derived = {derive_seed(config, index).seed for config in configs for index in range(20)}
    assert len(derived) == 400
    assert derive_seed(configs[3], 1, 2) == derive_seed(configs[3], 1, 2)
    for untouched in (PauseConfig({3: 0.4}, seed=1), PauseConfig({3: 0.4}, criterion="random"), None, "fast"):
        assert derive_seed(untouched, 4) is untouched


def test_reduced_precision_logits_are_summed_in_float32():
    logits = sliding_window_logits(PixelModel(), torch.ones(1, 3, 8, 8, dtype=torch.bfloat16), (4, 4), (2, 2))
    assert logits.dtype == torch.float32
    assert torch.equal(logits, torch.ones(1, 3, 8, 8))


def test_stride_that_leaves_pixels_out_is_refused():
    with pytest.raises(ValueError, match=r"stride must lie in 1 \.\. 4"):
        sliding_window_logits(PixelModel(), torch.zeros(1, 3, 8, 8), (4, 4), (5, 4))
