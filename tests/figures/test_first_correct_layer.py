# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from paumer_hf.figures import first_correct_layer
from paumer_hf.figures.first_correct_layer import draw_first_correct_layer, layer_shades
from paumer_hf.figures.patch_predictions import NEVER, NO_LABEL


CONTENTS = {
    "conditions": {"num_patches": 100, "num_images": 2, "dataset": "streets", "window_size": [16, 24]},
    "results": [{"layer": layer, "first_correct": share} for layer, share in ((1, 0.5), (2, 0.25), (3, 0.125))],
}


def test_darker_is_earlier_also_in_grey():
    pytest.importorskip("matplotlib")
    for count in (2, 12, 24):
        grey = layer_shades(count)[:, :3] @ (0.299, 0.587, 0.114)
        assert (np.diff(grey) > 0.01).all()


def test_map_and_shares(drawn, tmp_path):
    figures = drawn(first_correct_layer)
    first = np.array([[1, 2, 3], [NEVER, NO_LABEL, 1]])
    draw_first_correct_layer(Image.new("RGB", (22, 16)), first, 8, CONTENTS, tmp_path / "first.png", "street")
    _, map_axes, share_axes = figures[0].axes
    shades = np.asarray(map_axes.images[0].get_array())
    assert (shades[0, 0] == shades[1, 2]).all()
    assert (shades[0] == layer_shades(3)).all()
    assert (shades[1, 1] == 1).all()
    (hatched,) = map_axes.patches
    assert hatched.get_hatch()
    assert hatched.get_xy() == (-0.5, 7.5)
    assert [bar.get_width() for bar in share_axes.patches] == pytest.approx([50, 25, 12.5, 12.5])
    assert [bool(bar.get_hatch()) for bar in share_axes.patches] == [False, False, False, True]
    caption = figures[0]._supxlabel.get_text().replace("\n", " ")
    assert "100 patches of 2 images of streets, in windows of 24 x 16 pixels" in caption


def test_images_without_labels_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no labelled patch"):
        draw_first_correct_layer(Image.new("RGB", (8, 8)), np.array([[NO_LABEL]]), 8, CONTENTS, tmp_path / "first.png")
