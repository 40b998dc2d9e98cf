# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from transformers import DINOv3ViTConfig
from transformers.models.dinov3_vit.modeling_dinov3_vit import DINOv3ViTRopePositionEmbedding, apply_rotary_pos_emb

from paumer_hf.model.rotary_embedding import rotary_positions, rotate, select_positions


CPU = torch.device("cpu")


@pytest.mark.parametrize("grid", [(4, 4), (3, 5), (1, 7)])
@pytest.mark.parametrize("theta", [100.0, 10.0])
def test_angles_and_rotation_are_those_of_dinov3(grid, theta):
    config = DINOv3ViTConfig(hidden_size=48, num_attention_heads=3, patch_size=8, image_size=32, rope_theta=theta)
    reference = DINOv3ViTRopePositionEmbedding(config).eval()
    cos, sin = reference(torch.zeros(1, 3, 8 * grid[0], 8 * grid[1]))
    rotary = rotary_positions(grid, 16, theta, CPU, torch.float32)
    torch.testing.assert_close(rotary.cos[0, 0], cos)
    torch.testing.assert_close(rotary.sin[0, 0], sin)
    query, key = torch.randn(2, 3, 5 + grid[0] * grid[1], 16), torch.randn(2, 3, 5 + grid[0] * grid[1], 16)
    for tokens, expected in zip((query, key), apply_rotary_pos_emb(query, key, cos, sin), strict=True):
        torch.testing.assert_close(rotate(tokens, rotary), expected)


def test_a_pair_of_dimensions_turns_by_its_angle():
    """Dimension i and its partner half a head away are a point in the plane, turned by row or column times 2 pi."""
    rotary = rotary_positions((3, 5), 8, 100.0, CPU, torch.float64)
    tokens = torch.randn(1, 1, 15, 8, dtype=torch.float64)
    turned = rotate(tokens, rotary)
    for patch in range(15):
        row, column = divmod(patch, 5)
        centre = (2 * (row + 0.5) / 3 - 1, 2 * (column + 0.5) / 5 - 1)
        for pair in range(4):
            angle = 2 * math.pi * centre[pair // 2] / 100 ** ((pair % 2) / 2)
            point = complex(tokens[0, 0, patch, pair], tokens[0, 0, patch, pair + 4])
            expected = point * complex(math.cos(angle), math.sin(angle))
            assert abs(complex(turned[0, 0, patch, pair], turned[0, 0, patch, pair + 4]) - expected) < 1e-12


def test_scores_depend_on_the_distance_alone():
    rotary = rotary_positions((1, 6), 8, 100.0, CPU, torch.float64)
    query = rotate(torch.randn(8, dtype=torch.float64).expand(1, 1, 6, 8), rotary)[0, 0]
    key = rotate(torch.randn(8, dtype=torch.float64).expand(1, 1, 6, 8), rotary)[0, 0]
    scores = query @ key.T
    for offset in range(-5, 6):
        diagonal = scores.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert not torch.isclose(scores[0, 1], scores[0, 2])


def test_the_prefix_is_not_turned():
    rotary = rotary_positions((2, 3), 8, 100.0, CPU, torch.float32)
    tokens = torch.randn(2, 4, 3 + 6, 8)
    turned = rotate(tokens, rotary)
    assert turned[:, :, :3].equal(tokens[:, :, :3])
    assert (turned[:, :, 3:] != tokens[:, :, 3:]).any(dim=-1).all()


def test_angles_follow_the_tokens_of_each_image():
    rotary = rotary_positions((2, 3), 8, 100.0, CPU, torch.float32)
    positions = torch.tensor([[0, 2, 5], [1, 3, 4]])
    selected = select_positions(rotary, positions)
    tokens = torch.randn(2, 4, 6, 8)
    expected = rotate(tokens, rotary)
    for image in range(2):
        kept = tokens[image : image + 1, :, positions[image]]
        turned = rotate(kept, type(rotary)(selected.cos[image : image + 1], selected.sin[image : image + 1]))
        torch.testing.assert_close(turned[0], expected[image, :, positions[image]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_of_the_angles(dtype):
    rotary = rotary_positions((40, 40), 16, 100.0, CPU, dtype)
    precise = rotary_positions((40, 40), 16, 100.0, CPU, torch.float64)
    assert rotary.cos.dtype == rotary.sin.dtype == dtype
    # Rounded once, at the end: at most half a unit of the last place.
    assert (rotary.cos.double() - precise.cos).abs().max() <= torch.finfo(dtype).eps / 2 + 1e-6
