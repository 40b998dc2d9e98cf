# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from paumer_hf.model.segmentation_loss import pixel_cross_entropy


def test_pixel_cross_entropy_by_hand():
    logits = torch.zeros(1, 4, 1, 3)
    logits[0, 2, 0, 0] = 100.0
    labels = torch.tensor([[[2, 1, 255]]])
    assert pixel_cross_entropy(logits, labels, 255).item() == pytest.approx(torch.tensor(4.0).log().item() / 2)
    assert pixel_cross_entropy(logits, torch.full((1, 1, 3), 255), 255).item() == 0


def test_it_is_the_mean_over_the_labelled_pixels():
    logits, labels = torch.randn(2, 5, 6, 7, dtype=torch.float64), torch.randint(0, 5, (2, 6, 7))
    labels[0, :3] = 9
    chosen = torch.log_softmax(logits, dim=1).gather(1, labels.clamp(max=4)[:, None])[:, 0][labels != 9]
    torch.testing.assert_close(pixel_cross_entropy(logits, labels, 9), -chosen.mean())


def test_all_ignored_has_zero_gradients():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    pixel_cross_entropy(logits, torch.full((1, 2, 2), 255), 255).backward()
    assert not logits.grad.any()
