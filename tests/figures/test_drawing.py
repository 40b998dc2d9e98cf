# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import itertools
import sys

import numpy as np
import pytest
from PIL import Image

from paumer_hf.figures.drawing import OKABE_ITO, new_figure, save_figure, series_style


pytest.importorskip("matplotlib")


def test_series_differ_in_all_of_colour_marker_and_line():
    styles = [series_style(index) for index in range(8)]
    for one, other in itertools.combinations(styles, 2):
        assert one["color"] != other["color"]
        assert one["marker"] != other["marker"]
        assert one["linestyle"] != other["linestyle"]
    series_style(100)


def test_colours_are_dark_enough_to_be_read_on_white():
    for colour in OKABE_ITO:
        red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
        assert 0.299 * red + 0.587 * green + 0.114 * blue < 185, colour


def test_pictures_are_small_and_keep_the_colours_of_keys(tmp_path):
    """Beside a photograph of many colours, small patches in each of the colours."""
    figure = new_figure(4, 3)
    axes = figure.add_subplot()
    generator = np.random.default_rng(0)
    photograph = generator.integers(0, 256, (150, 200, 1)) * (1, 0.9, 0.6) + generator.integers(0, 20, (150, 200, 3))
    axes.imshow(photograph.clip(0, 255).astype(np.uint8), aspect="auto")
    for place, colour in enumerate(OKABE_ITO):
        axes.fill_between([10 * place, 10 * place + 4], 0, 3, color=colour, linewidth=0)
    path = tmp_path / "new" / "figure.png"
    save_figure(figure, path)
    with Image.open(path) as picture:
        assert picture.mode == "P"
        assert picture.size == (800, 600)
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    for colour in OKABE_ITO:
        wanted = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)])
        assert np.abs(pixels - wanted).max(axis=-1).min() <= 12, colour
    assert [entry.name for entry in path.parent.iterdir()] == ["figure.png"]


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must name a PNG file, but is .*figure\.jpg"):
        save_figure(new_figure(2, 2), tmp_path / "figure.jpg")


def test_missing_matplotlib_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'paumer_hf\[plot\]'"):
        new_figure(2, 2)
