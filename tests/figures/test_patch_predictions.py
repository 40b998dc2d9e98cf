# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.figures.patch_predictions import (
    NEVER,
    NO_LABEL,
    check_window,
    first_correct_layer,
    patch_labels,
    pause_image,
    predict_layers,
)
from paumer_hf.model.pausing import entropy


@pytest.fixture
def processor():
    return PaumerImageProcessor(size_divisor=8)


@pytest.fixture
def image():
    """37 x 44 pixels (height x width): 5 x 6 patches of 8, the last ones partly outside."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 44, 3), dtype=np.uint8))


def test_patch_labels_equal_counting_each_patch():
    generator = np.random.default_rng(0)
    annotation = generator.choice([0, 1, 2, 255, 7], size=(29, 34), p=[0.3, 0.2, 0.1, 0.3, 0.1]).astype(np.uint8)
    labels = patch_labels(annotation, 5, 3)
    assert labels.shape == (6, 7)
    for row in range(6):
        for column in range(7):
            values = annotation[5 * row : 5 * row + 5, 5 * column : 5 * column + 5].ravel()
            known = values[values < 3]
            if 2 * len(known) < len(values):
                assert labels[row, column] == NO_LABEL
            else:
                assert labels[row, column] == np.bincount(known, minlength=3).argmax()
    assert (labels == NO_LABEL).any()
    assert (labels != NO_LABEL).any()


def test_half_a_patch_of_labels_is_enough_and_what_lies_outside_does_not_count():
    annotation = np.full((4, 6), 255, dtype=np.uint8)
    annotation[:2, :4] = 2
    annotation[:1, 4:] = 1
    assert patch_labels(annotation, 4, 3).tolist() == [[2, NO_LABEL]]
    annotation[:2, 4:] = 1
    assert patch_labels(annotation, 4, 3).tolist() == [[2, 1]]


def test_first_correct_layer():
    references = np.array([[0, 1, 2, NO_LABEL]])
    labels = np.array([[[0, 0, 1, 0]], [[1, 1, 1, 0]], [[0, 1, 0, 0]]])
    assert first_correct_layer(labels, references).tolist() == [[1, 2, NEVER, NO_LABEL]]


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_predictions_are_those_that_a_pause_there_would_see(layer, tiny_model, processor, image):
    # A ratio too small to pause any of the 30 patches has the model compute the auxiliary prediction of all of them.
    inputs = processor(image, do_resize=False, size_divisor=8, return_tensors="pt")
    with torch.no_grad():
        outputs = tiny_model(inputs.pixel_values, pause_config=PauseConfig({layer: 0.01}))
    expected = outputs.auxiliary_logits[0].permute(1, 2, 0)
    predictions = predict_layers(tiny_model, processor, image)
    assert predictions.entropy.shape == predictions.labels.shape == (4, 5, 6)
    np.testing.assert_allclose(predictions.entropy[layer - 1], entropy(expected).numpy(), atol=1e-5)
    assert (predictions.labels[layer - 1] == expected.argmax(dim=-1).numpy()).all()


def test_windows_are_images_of_their_own(tiny_model, processor):
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 48, 3), dtype=np.uint8))
    stitched = predict_layers(tiny_model, processor, image, (24, 32))
    corners = {(0, 0): (slice(0, 3), slice(0, 4)), (16, 16): (slice(3, 5), slice(4, 6))}
    for (top, left), (rows, columns) in corners.items():
        alone = predict_layers(tiny_model, processor, image.crop((left, top, left + 32, top + 24)))
        inside = (slice(rows.start - top // 8, None), slice(columns.start - left // 8, None))
        inside = tuple(slice(part.start, part.start + whole.stop - whole.start) for part, whole in
                       zip(inside, (rows, columns), strict=True))  # fmt: skip
        np.testing.assert_allclose(stitched.entropy[:, rows, columns], alone.entropy[:, *inside], atol=1e-5)
    assert not np.allclose(stitched.entropy, predict_layers(tiny_model, processor, image).entropy, atol=1e-3)


def test_paused_image_agrees_with_the_model(tiny_model, processor, image):
    pause_config = PauseConfig({1: 0.4, 3: 0.5})
    paused = pause_image(tiny_model, processor, image, pause_config)
    inputs = processor(image, do_resize=False, size_divisor=8, return_tensors="pt")
    with torch.no_grad():
        outputs = tiny_model(inputs.pixel_values, pause_config=pause_config)
    expected = outputs.pause_map[0].numpy()
    assert (paused.pause_map == expected).all()
    assert paused.label_map.shape == (37, 44)
    first, second = paused.entropies[1], paused.entropies[3]
    assert not np.isnan(first).any()
    assert (np.isnan(second) == (expected == 1)).all()
    # The lowest entropies are those that paused.
    assert first[expected == 1].max() <= first[expected != 1].min()
    assert second[expected == 3].max() <= second[expected == 0].min()
    last = entropy(outputs.auxiliary_logits[0].permute(1, 2, 0)).numpy()
    np.testing.assert_allclose(np.where(np.isnan(second), first, second), last, atol=1e-5)


def test_each_window_pauses_its_share(tiny_model, processor):
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8))
    pause_map = pause_image(tiny_model, processor, image, PauseConfig({2: 0.5}), (32, 24)).pause_map
    assert [(half == 2).sum() for half in np.split(pause_map, 2, axis=1)] == [6, 6]


def test_refusals(tiny_model, processor, image):
    with pytest.raises(ValueError, match="must pause patches after one layer or more"):
        pause_image(tiny_model, processor, image, PauseConfig())
    with pytest.raises(ValueError, match="names layer 4, but the model has 4 layers"):
        pause_image(tiny_model, processor, image, PauseConfig({4: 0.5}))
    for window in [(20, 24), (0, 8), (8,)]:
        with pytest.raises(ValueError, match="multiples of the patch size, 8"):
            check_window(window, 8)
    assert check_window(None, 8) is None
