# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from paumer_hf import PauseConfig
from paumer_hf.figures import pause_map
from paumer_hf.figures.patch_predictions import PausedImage
from paumer_hf.figures.pause_map import draw_pause_figure, innermost_place, outline_segments


PALETTE = ((200, 0, 0), (0, 200, 0), (0, 0, 200))


def test_outline_separates_within_from_without():
    mask = np.random.default_rng(0).random((6, 7)) < 0.5
    padded = np.pad(mask, 1)
    expected = set()
    for row in range(8):
        for column in range(8):
            if row < 7 and column and column < 8 and padded[row, column] != padded[row + 1, column]:
                expected.add(((column - 1, row), (column, row)))
            if row and column < 8 and row < 7 and padded[row, column] != padded[row, column + 1]:
                expected.add(((column, row - 1), (column, row)))
    segments = outline_segments(mask)
    assert len(segments) == len(set(segments))
    assert set(segments) == expected
    assert outline_segments(np.ones((1, 1), bool)) == [
        ((0, 0), (1, 0)),
        ((0, 1), (1, 1)),
        ((0, 0), (0, 1)),
        ((1, 0), (1, 1)),
    ]


def test_innermost_place():
    mask = np.zeros((9, 12), bool)
    mask[1:6, 4:11] = True
    mask[7, 0] = True
    assert innermost_place(mask) in {(3, 6), (3, 7), (3, 8)}
    assert innermost_place(np.eye(1, dtype=bool)) == (0, 0)


def make_paused(layers):
    places = np.array([0, *layers])
    pause = places[np.random.default_rng(0).integers(0, len(places), (4, 5))]
    entropies = {}
    for layer in layers:
        values = np.random.default_rng(layer).random((4, 5)).astype(np.float32)
        entropies[layer] = np.where((pause == 0) | (pause >= layer), values, np.nan)
    return PausedImage(pause, entropies, np.random.default_rng(1).integers(0, 3, (30, 40)))


@pytest.mark.parametrize("layers", [(3,), (3, 5), (2, 4, 7)])
def test_panels(layers, drawn, tmp_path):
    figures = drawn(pause_map)
    paused = make_paused(layers)
    image = Image.new("RGB", (40, 30), (90, 90, 90))
    config = PauseConfig(dict.fromkeys(layers, 0.4))
    draw_pause_figure(image, paused, config, 8, PALETTE, ["a", "b", "c"], tmp_path / "pause.png", "street")
    figure = figures[0]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    for number, layer in enumerate(layers):
        letter = "bcd"[number]
        paused_axes = figure.axes[titles.index(f"({letter}.1) paused after layer {layer}")]
        # Each layer that paused so far has a hatch of its own.
        hatches = [patch.get_hatch() for patch in paused_axes.patches]
        assert len(hatches) == len(set(hatches)) == number + 1
        squares = [len(patch.get_path().vertices) // 5 for patch in paused_axes.patches]
        assert squares == [(paused.pause_map == earlier).sum() for earlier in layers[: number + 1]]
        entropy_axes = figure.axes[titles.index(f"({letter}.2) entropy after layer {layer}")]
        drawn_values = entropy_axes.images[0].get_array()
        assert (np.ma.getmaskarray(drawn_values) == np.isnan(paused.entropies[layer])).all()
    limits = {axes.images[0].get_clim() for axes in figure.axes if "entropy" in axes.get_title(loc="left")}
    assert len(limits) == 1
    assert config.to_text() in figure._supxlabel.get_text().replace("\n", " ")


def test_too_many_layers_are_refused(tmp_path):
    config = PauseConfig(dict.fromkeys(range(1, 8), 0.1))
    with pytest.raises(ValueError, match="room for 6 pause layers, but the configuration has 7"):
        draw_pause_figure(
            Image.new("RGB", (40, 30)), make_paused((1,)), config, 8, PALETTE, ["a"], tmp_path / "pause.png"
        )
