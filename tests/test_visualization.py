# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paumer_hf import PauseConfig
from paumer_hf.visualization import (
    FigureRow,
    compose_figure,
    draw_entropy,
    draw_pause_map,
    format_speed,
    label_map_image,
    layer_colours,
    overlay_segmentation,
    save_png,
    scale_colours,
    tint_paused,
)


RED, GREEN, BLUE = PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def photograph(width=20, height=12):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def luminance(colour):
    return np.dot(colour, (0.299, 0.587, 0.114))


def test_overlay_mixes_image_and_colours():
    image, label_map = photograph(), np.zeros((12, 20), int)
    label_map[:, 10:] = 2
    label_map[0] = 255
    mixed = np.asarray(overlay_segmentation(image, label_map, PALETTE, opacity=0.5)).astype(int)
    pixels = np.asarray(image).astype(int)
    assert np.array_equal(mixed[0], pixels[0])  # no class, no tint
    assert np.abs(mixed[1:, :10] - (pixels[1:, :10] + RED) / 2).max() <= 0.5
    assert np.abs(mixed[1:, 10:] - (pixels[1:, 10:] + BLUE) / 2).max() <= 0.5


def test_overlay_at_both_ends_of_opacity():
    image, label_map = photograph(), np.ones((12, 20), int)
    assert np.array_equal(overlay_segmentation(image, label_map, PALETTE, opacity=0), image)
    assert (np.asarray(overlay_segmentation(image, label_map, PALETTE, opacity=1)) == GREEN).all()


def test_overlay_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"height and width of the image, \(12, 20\), but has the shape \(20, 12\)"):
        overlay_segmentation(photograph(), np.zeros((20, 12)), PALETTE)


def test_pause_map_colours_paused_patches_and_shows_active_ones():
    image = photograph()  # 20 x 12 pixels: 3 x 2 patches of 8, the last ones cut off
    pause_map = np.array([[0, 3, 5], [5, 0, 3]])
    drawn = np.asarray(draw_pause_map(image, pause_map, 8, {3: RED, 5: BLUE}, opacity=1))
    pixels = np.asarray(image)
    for row, column, expected in [(0, 0, None), (0, 1, RED), (0, 2, BLUE), (1, 0, BLUE), (1, 1, None), (1, 2, RED)]:
        place = (slice(row * 8, row * 8 + 8), slice(column * 8, column * 8 + 8))
        assert (drawn[place] == (pixels[place] if expected is None else expected)).all()


def test_pause_map_without_pauses_is_the_image():
    assert np.array_equal(draw_pause_map(photograph(), np.zeros((2, 3), int), 8), photograph())


@pytest.mark.parametrize(
    ("pause_map", "colours", "message"),
    [
        (np.zeros((3, 2), int), {}, "3 x 2 patches of 8 pixels do not cover an image of height 12 and width 20"),
        (np.full((2, 3), 4), {3: RED}, r"has none for \[4\]"),
    ],
)
def test_pause_maps_that_are_refused(pause_map, colours, message):
    with pytest.raises(ValueError, match=message):
        draw_pause_map(photograph(), pause_map, 8, colours)


@pytest.mark.parametrize("layers", [[3], [3, 5], [5, 3, 7], range(1, 12)])
def test_later_layers_are_brighter(layers):
    colours = layer_colours(layers)
    assert list(colours) == sorted(layers)
    brightness = [luminance(colour) for colour in colours.values()]
    assert all(after - before > 8 for before, after in itertools.pairwise(brightness))


def test_entropy_is_brighter_where_there_is_more():
    entropy = np.array([[0, 0.5, 1], [1.5, 2, 4]])
    drawn = np.asarray(draw_entropy(entropy, 8, (20, 12), maximum=2))
    patches = drawn[::8, ::8].reshape(-1, 3)
    brightness = [luminance(colour) for colour in patches]
    assert brightness[:5] == sorted(set(brightness[:5]))
    assert np.array_equal(patches[4], patches[5])  # what lies above the maximum looks like it
    assert drawn.shape == (12, 20, 3)
    assert all(
        (drawn[row * 8, column * 8] == drawn[row * 8 + 3, column * 8 + 3]).all() for row, column in np.ndindex(2, 3)
    )


def test_no_entropy_at_all_is_black():
    assert np.asarray(draw_entropy(np.zeros((2, 3)), 8, (20, 12))).max() < 10


def test_scale_goes_through_its_anchors():
    assert scale_colours([RED, GREEN, BLUE], np.array([0, 0.5, 1])).tolist() == [list(colour) for colour in PALETTE]


def make_row(pause_config, size=(20, 12), label=1):
    width, height = size
    pause_map = np.zeros((-(-height // 8), -(-width // 8)), int)
    for layer in pause_config.pause_ratios:
        pause_map[layer % len(pause_map), -1] = layer
    label_map = np.full((height, width), label)
    return FigureRow(pause_config, label_map, pause_map, np.ones(pause_map.shape), "entropy of the prediction")


@pytest.mark.parametrize(
    ("speed", "text"),
    [(0.01234, "0.0123 images/s"), (5.6, "5.60 images/s"), (12.34, "12.3 images/s"), (1234.5, "1234 images/s")],
)
def test_speeds_have_three_digits(speed, text):
    assert format_speed(speed) == text


def test_rows_are_described_by_name_share_and_speed():
    row = make_row(PauseConfig({3: 0.4, 5: 0.4}), (32, 8))  # of four patches one pauses
    assert (row.label, row.describe()) == ("3:0.4,5:0.4", "75 % of the patches active at the end")
    named = dataclasses.replace(row, name="fast").timed(12.345)
    assert (named.label, named.describe("stay active")) == ("fast (3:0.4,5:0.4)", "75 % stay active, 12.3 images/s")
    assert dataclasses.replace(row, name="3:0.4,5:0.4").label == "3:0.4,5:0.4"
    random = make_row(PauseConfig({3: 0.4}, "random"))
    assert random.label == "3:0.4 at random"
    dense = dataclasses.replace(make_row(PauseConfig()), name="dense")
    assert (dense.label, dense.describe()) == ("dense", "no patch pauses")
    assert dataclasses.replace(dense, name="default").label == "default (dense)"


def test_pixels_that_paused_are_tinted():
    image, layers = photograph(), np.zeros((12, 20), int)
    layers[:, 10:] = 5
    tinted = np.asarray(tint_paused(image, layers, {3: RED, 5: BLUE}, opacity=0.5)).astype(int)
    assert np.array_equal(tinted[:, :10], np.asarray(image)[:, :10])
    grey = np.asarray(image.convert("L")).astype(int)[:, 10:, None]
    assert np.abs(tinted[:, 10:] - (grey + BLUE) / 2).max() <= 0.5


@pytest.mark.parametrize("size", [(20, 12), (12, 200), (900, 8), (1, 1)])
def test_figure_shows_everything_within_its_margins(size):
    names = ["road", "a rather long name of a class that is hard to fit in", "sky"]
    rows = [make_row(PauseConfig(), size), make_row(PauseConfig({3: 0.4, 5: 0.4}, "random"), size)]
    image = Image.new("RGB", size, (120, 120, 120))
    figure = np.asarray(compose_figure("title", image, rows, 8, PALETTE, names))
    assert (figure[:24] == 255).all()
    assert (figure[-24:] == 255).all()
    assert (figure[:, :24] == 255).all()
    assert (figure[:, -24:] == 255).all()
    assert (figure[24:-24, 24:-24] != 255).any()
    alone = compose_figure("title", image, rows[:1], 8, PALETTE, names)
    assert figure.shape[0] > 1.5 * alone.height


def test_figure_has_a_key_for_what_it_shows_only():
    def colours(row):
        figure = compose_figure("", Image.new("RGB", (20, 12)), [row], 8, PALETTE, ["a", "b", "c"])
        return {colour for _, colour in figure.getcolors(maxcolors=2**24)}

    pausing = make_row(PauseConfig({1: 0.5}))
    (layer_colour,) = layer_colours([1]).values()
    assert {GREEN, layer_colour} <= colours(pausing)
    assert not {RED, BLUE} & colours(pausing)
    dense = colours(make_row(PauseConfig(), label=2))
    assert BLUE in dense
    assert not {GREEN, layer_colour} & dense


def test_figure_of_nothing_is_refused():
    with pytest.raises(ValueError, match="`rows` must hold at least one"):
        compose_figure("", photograph(), [], 8, PALETTE, ["a", "b", "c"])


def test_label_map_image_holds_indices_and_colours(tmp_path):
    label_map = np.array([[0, 1], [2, 255]])
    save_png(label_map_image(label_map, PALETTE), tmp_path / "new" / "labels.png")
    with Image.open(tmp_path / "new" / "labels.png") as image:
        assert image.mode == "P"
        assert np.array_equal(image, label_map)
        colours = np.asarray(image.convert("RGB"))
    assert [tuple(colours[0, 0]), tuple(colours[0, 1]), tuple(colours[1, 0])] == list(PALETTE)


def test_saving_replaces_a_file_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    path.write_bytes(b"before")

    def fail(self, file, **kwargs):
        Path(file).write_bytes(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", fail)
        with pytest.raises(OSError, match="disk full"):
            save_png(photograph(), path)
    assert path.read_bytes() == b"before"
    save_png(photograph(), path)
    with Image.open(path) as image:
        assert np.array_equal(image, photograph())
    assert [file.name for file in tmp_path.iterdir()] == ["image.png"]
