# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import nn

from paumer_hf.model.patch_embedding import PaumerEmbeddings, PaumerPatchEmbeddings


@pytest.fixture
def embeddings(tiny_model):
    return tiny_model.paumer.embeddings


def test_patches_are_a_linear_map_of_their_pixels(embeddings, tiny_images):
    patches = embeddings.patch_embeddings(tiny_images)
    weight, bias = embeddings.patch_embeddings.projection.weight, embeddings.patch_embeddings.projection.bias
    assert patches.shape == (3, 32, 5, 6)
    for row in range(5):
        for column in range(6):
            pixels = tiny_images[:, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8].flatten(1)
            expected = pixels @ weight.flatten(1).T + bias
            torch.testing.assert_close(patches[:, :, row, column], expected)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 9), (33, 48), (40, 41), (39, 47), (7, 100)])
def test_other_sizes_are_padded_with_zeros_at_the_bottom_and_right(embeddings, height, width):
    pixel_values = torch.randn(2, 3, height, width)
    rows, columns = -(-height // 8), -(-width // 8)
    padded = torch.zeros(2, 3, 8 * rows, 8 * columns)
    padded[:, :, :height, :width] = pixel_values
    patches = embeddings.patch_embeddings(pixel_values)
    assert patches.shape == (2, 32, rows, columns)
    assert patches.equal(embeddings.patch_embeddings(padded))
    tokens, grid = embeddings(pixel_values)
    assert grid == (rows, columns)
    assert tokens.shape == (2, 1 + rows * columns, 32)


def test_tokens_are_prefix_then_patches_in_row_major_order(embeddings, tiny_images):
    tokens, grid = embeddings(tiny_images)
    patches = embeddings.patch_embeddings(tiny_images)
    positions = embeddings.position_embeddings
    assert grid == (5, 6)
    assert tokens.shape == (3, 31, 32)
    torch.testing.assert_close(tokens[:, 0], (embeddings.cls_token[0] + positions[0, :1]).expand(3, -1))
    for row in range(5):
        for column in range(6):
            place = 1 + 6 * row + column
            torch.testing.assert_close(tokens[:, place], patches[:, :, row, column] + positions[0, place])


def test_position_embeddings_of_the_stored_grid_are_untouched(embeddings):
    assert embeddings.interpolate_position_embeddings((5, 6)) is embeddings.position_embeddings


@pytest.mark.parametrize("grid", [(6, 5), (10, 12), (2, 3), (1, 1), (5, 7), (30, 1)])
def test_position_embeddings_are_interpolated(embeddings, grid):
    resized = embeddings.interpolate_position_embeddings(grid)
    stored = embeddings.position_embeddings
    image = torch.stack([stored[0, 1 + 6 * row : 7 + 6 * row] for row in range(5)]).permute(2, 0, 1)
    expected = nn.functional.interpolate(image[None], size=grid, mode="bilinear", align_corners=False)[0]
    assert resized.shape == (1, 1 + grid[0] * grid[1], 32)
    assert resized[:, 0].equal(stored[:, 0])
    for row in range(grid[0]):
        for column in range(grid[1]):
            torch.testing.assert_close(resized[0, 1 + grid[1] * row + column], expected[:, row, column])


def test_interpolation_keeps_a_constant_and_passes_gradients(embeddings):
    with torch.no_grad():
        embeddings.position_embeddings[:, 1:] = torch.arange(32.0)
    resized = embeddings.interpolate_position_embeddings((3, 11))
    torch.testing.assert_close(resized[0, 1:], torch.arange(32.0).expand(33, -1))
    resized.sum().backward()
    torch.testing.assert_close(embeddings.position_embeddings.grad[0, 1:].sum(), torch.tensor(33.0 * 32))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_pixels_take_the_dtype_of_the_weights(embeddings, dtype):
    expected, _ = embeddings(torch.ones(1, 3, 24, 24))
    tokens, _ = embeddings.to(dtype)(torch.ones(1, 3, 24, 24))
    assert tokens.dtype == dtype
    torch.testing.assert_close(tokens.float(), expected, rtol=0.02, atol=0.05)


def test_float64_is_interpolated_in_float64(embeddings):
    embeddings.double()
    resized = embeddings.interpolate_position_embeddings((7, 7))
    image = embeddings.position_embeddings[0, 1:].T.reshape(1, 32, 5, 6)
    expected = nn.functional.interpolate(image, size=(7, 7), mode="bilinear", align_corners=False)
    torch.testing.assert_close(resized[0, 1:].T.reshape(1, 32, 7, 7), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 4, 16, 16), (2, 1, 16, 16), (3, 16, 16), (1, 2, 3, 16, 16)])
def test_refuses_other_shapes(embeddings, shape):
    with pytest.raises(ValueError, match=r"`pixel_values` must have the shape \(batch, 3, height, width\)") as info:
        embeddings(torch.zeros(shape))
    assert str(shape) in str(info.value)


def test_other_channels_and_dropout(tiny_config):
    tiny_config.num_channels = 5
    tiny_config.hidden_dropout_prob = 0.5
    assert PaumerPatchEmbeddings(tiny_config)(torch.zeros(1, 5, 8, 8)).shape == (1, 32, 1, 1)
    embeddings = PaumerEmbeddings(tiny_config)
    pixel_values = torch.randn(1, 5, 40, 48)
    assert (embeddings.train()(pixel_values)[0] == 0).float().mean() > 0.3
    assert embeddings.eval()(pixel_values)[0].equal(embeddings(pixel_values)[0])


def test_prefix_tokens_and_their_positions(make_tiny_config, make_model, tiny_images):
    """[CLS], distillation token, registers; the first of them have position embeddings, as many as are asked for."""
    for num_positions in range(5):
        config = make_tiny_config(
            use_distillation_token=True, num_register_tokens=2, num_prefix_position_embeddings=num_positions
        )
        embeddings = make_model(config).paumer.embeddings
        tokens, _ = embeddings(tiny_images)
        expected = torch.cat(
            [embeddings.cls_token, embeddings.distillation_token, embeddings.register_tokens], dim=1
        ).clone()
        expected[:, :num_positions] += embeddings.position_embeddings[:, :num_positions]
        torch.testing.assert_close(tokens[:, :4], expected.expand(3, -1, -1))
        patches = embeddings.patch_embeddings(tiny_images).flatten(2).transpose(1, 2)
        torch.testing.assert_close(tokens[:, 4:], patches + embeddings.position_embeddings[:, num_positions:])


def test_rotary_encoders_have_no_position_embeddings(make_tiny_config, make_model, tiny_images):
    embeddings = make_model(make_tiny_config(position_embedding_type="rotary")).paumer.embeddings
    assert embeddings.position_embeddings is None
    tokens, _ = embeddings(tiny_images)
    torch.testing.assert_close(tokens[:, 1:], embeddings.patch_embeddings(tiny_images).flatten(2).transpose(1, 2))


@pytest.mark.parametrize(("mode", "antialias"), [("bilinear", False), ("bicubic", False), ("bicubic", True)])
def test_interpolation_as_configured(make_tiny_config, make_model, mode, antialias):
    config = make_tiny_config(position_interpolation_mode=mode, position_interpolation_antialias=antialias)
    embeddings = make_model(config).paumer.embeddings
    resized = embeddings.interpolate_position_embeddings((3, 9))
    image = embeddings.position_embeddings[:, 1:].reshape(1, 5, 6, 32).permute(0, 3, 1, 2)
    expected = nn.functional.interpolate(image, (3, 9), mode=mode, antialias=antialias)
    torch.testing.assert_close(resized[:, 1:], expected.flatten(2).transpose(1, 2))
    assert resized[:, :1].equal(embeddings.position_embeddings[:, :1])
