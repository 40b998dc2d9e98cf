# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
from PIL import Image

from paumer_hf import PauseConfig
from paumer_hf.data.dataset_descriptions import default_palette
from paumer_hf.picture_layout import PAPER
from paumer_hf.prediction.panels import PanelLayout
from paumer_hf.visualization import FigureRow, draw_pause_map, layer_colours, overlay_segmentation


NAMES = ["road", "tree", "sky"]
DENSE, PAUSED, OTHER = PauseConfig(), PauseConfig({1: 0.4, 2: 0.5}), PauseConfig({2: 0.25})


def make_row(pause_config, size, seed=0, num_labels=3, speed=12.3):
    width, height = size
    random = np.random.default_rng(seed)
    pause_map = random.choice([0, *pause_config.pause_ratios], (-(-height // 8), -(-width // 8)))
    label_map = random.integers(0, num_labels, (height, width))
    return FigureRow(pause_config, label_map, pause_map, np.zeros_like(pause_map), "entropy", images_per_second=speed)


def pixels_of(picture, panel):
    """Where a panel lies in a picture, or None."""
    picture, panel = np.asarray(picture).astype(int), np.asarray(panel).astype(int)
    height, width = panel.shape[:2]
    for top, left in itertools.product(
        *(range(a - b + 1) for a, b in zip(picture.shape[:2], (height, width), strict=True))
    ):
        if (picture[top, left] == panel[0, 0]).all() and (
            picture[top : top + height, left : left + width] == panel
        ).all():
            return top, left
    return None


@pytest.mark.parametrize("configs", [[PAUSED], [DENSE, PAUSED], [DENSE, PAUSED, OTHER]])
def test_panels_show_segmentation_and_pauses_of_each_configuration(configs, photograph, palette):
    size = (83, 61)  # patches of 8 that padding cuts off
    image, columns = photograph(*size), max(2, len(configs))
    layout = PanelLayout(size, configs, 8, palette, NAMES, width=83 * columns + 12 * (columns - 1) + 28)
    assert layout.panel_size == size
    rows = [make_row(config, size, seed) for seed, config in enumerate(configs)]
    picture = layout.compose(image, rows)
    colours = layer_colours([1, 2])
    segmentations = [pixels_of(picture, overlay_segmentation(image, row.label_map, palette)) for row in rows]
    pauses = [pixels_of(picture, draw_pause_map(image, row.pause_map, 8, colours)) for row in rows]
    lefts = [14 + 95 * column for column in range(columns)]
    if len(configs) == 1:
        assert [left for _, left in segmentations + pauses] == lefts
        assert segmentations[0][0] == pauses[0][0]
    else:
        assert [left for _, left in segmentations] == [left for _, left in pauses] == lefts
        assert {pause - segmentation for (segmentation, _), (pause, _) in zip(segmentations, pauses, strict=True)} == {
            73
        }


def test_all_frames_have_one_size_whatever_they_show(photograph):
    names = [f"class {'n' * number}" for number in range(30)]
    layout = PanelLayout((64, 48), [DENSE, PAUSED], 8, default_palette(30), names)
    pictures = []
    for num_labels, size, speed in [(1, (64, 48), 1.0), (30, (64, 48), 123456.0), (5, (80, 60), None)]:
        rows = [make_row(config, size, num_labels=num_labels, speed=speed) for config in (DENSE, PAUSED)]
        pictures.append(layout.compose(photograph(*size), rows))
    assert len({picture.size for picture in pictures}) == 1
    for picture in pictures:
        edges = [picture.crop(box) for box in [(0, 0, picture.width, 14), (0, 0, 14, picture.height)]]
        assert all(edge.getcolors() == [(edge.width * edge.height, PAPER)] for edge in edges)


def test_of_many_classes_those_in_the_frame_are_named(photograph):
    palette = default_palette(30)
    layout = PanelLayout((64, 48), [DENSE], 8, palette, [f"class {number}" for number in range(30)])
    row = make_row(DENSE, (64, 48), num_labels=1)
    row.label_map[:20] = 7
    shown = {colour for _, colour in layout.compose(Image.new("RGB", (64, 48)), [row]).getcolors(2**24)}
    assert {label for label in range(30) if palette[label] in shown} == {0, 7}


def test_of_few_classes_all_are_named_in_every_frame(photograph, palette):
    layout = PanelLayout((64, 48), [DENSE], 8, palette, NAMES)
    picture = layout.compose(Image.new("RGB", (64, 48)), [make_row(DENSE, (64, 48), num_labels=1)])
    assert set(palette) <= {colour for _, colour in picture.getcolors(2**24)}


def test_the_heading_tells_share_and_speed(photograph, palette):
    layout = PanelLayout((64, 48), [PAUSED], 8, palette, NAMES)

    def head(**changes):
        row = make_row(PAUSED, (64, 48), speed=changes.get("speed", 12.3))
        row.pause_map[:] = 0
        row.pause_map[: changes.get("paused", 1)] = 1
        return np.asarray(layout.compose(Image.new("RGB", (64, 48)), [row]))[:50]

    assert np.array_equal(head(), head())
    assert not np.array_equal(head(), head(speed=45.6))
    assert not np.array_equal(head(), head(paused=2))


@pytest.mark.parametrize(
    ("size", "count", "limits", "width"),
    [
        ((2000, 1000), 1, {}, 2 * 480 + 40),
        ((300, 200), 2, {}, 2 * 300 + 40),
        ((64, 48), 2, {}, 2 * 240 + 40),
        ((2000, 1000), 6, {}, 1920),
        ((2000, 1000), 3, {"max_panel_width": 320, "max_width": 800}, 800),
        ((2000, 1000), 2, {"width": 333}, 333),
        ((2000, 1000), 4, {"max_width": 300}, 4 * 80 + 64),
    ],
)
def test_widths(size, count, limits, width, palette):
    configs = [PauseConfig({1: 0.01 * number}) for number in range(count)]
    layout = PanelLayout(size, configs, 8, palette, NAMES, **limits)
    picture = layout.compose(Image.new("RGB", size), [make_row(config, size) for config in configs])
    assert picture.width == width


def test_layouts_that_are_refused(palette):
    with pytest.raises(ValueError, match="`figure_width` must be at least 200 pixels for these panels, but is 199"):
        PanelLayout((64, 48), [DENSE, PAUSED], 8, palette, NAMES, width=199)
    PanelLayout((64, 48), [DENSE, PAUSED], 8, palette, NAMES, width=200)
    with pytest.raises(ValueError, match="`pause_configs` must hold at least one"):
        PanelLayout((64, 48), [], 8, palette, NAMES)


def test_high_images_get_narrow_panels(palette):
    assert PanelLayout((100, 400), [DENSE], 8, palette, NAMES, width=240).panel_size == (38, 150)


@pytest.mark.parametrize("num_labels", [3, 19, 150])
def test_colours_that_a_gif_keeps(num_labels):
    palette = default_palette(num_labels)
    layout = PanelLayout((64, 48), [PAUSED], 8, palette, ["name"] * num_labels)
    kept = layout.kept_colours()
    assert {PAPER, *layer_colours([1, 2]).values()} <= set(kept)
    assert all(isinstance(level, int) for colour in kept for level in colour)
    if num_labels < 150:
        assert len(kept) < 200
        assert set(palette) <= set(kept)
    # A grey road or tree is near to a colour that is kept.
    for label in (0, num_labels - 1):
        for level in (60, 128, 200):
            image = Image.new("RGB", (1, 1), (level,) * 3)
            tinted = np.asarray(overlay_segmentation(image, np.full((1, 1), label), palette))[0, 0].astype(int)
            assert np.abs(np.array(kept) - tinted).max(axis=1).min() <= (30 if num_labels < 150 else 60)
