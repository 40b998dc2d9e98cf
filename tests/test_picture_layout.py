# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from paumer_hf.picture_layout import (
    FAINT,
    INK,
    PAPER,
    add_margin,
    beside,
    draw_key,
    draw_text,
    fit_text,
    panel_size,
    stack,
)


RED, GREEN = (255, 0, 0), (0, 255, 0)


def is_paper(picture):
    return (np.asarray(picture) == 255).all()


def test_text_is_in_its_colour_and_as_long_as_it_needs_to_be():
    short, long = draw_text("sky", 18), draw_text("sky, road and tree", 18, FAINT)
    assert short.height == long.height
    assert short.width < long.width
    assert {INK, PAPER} <= {colour for _, colour in short.getcolors(2**24)}
    assert min(long.getcolors(2**24), key=lambda entry: sum(entry[1]))[1] == FAINT
    assert not is_paper(long.crop((long.width - 12, 0, long.width, long.height)))


@pytest.mark.parametrize("width", [400, 160, 60])
def test_text_becomes_smaller_until_it_fits(width):
    text = "60 % stay active, 3.17 images/s"
    line = fit_text(text, 18, width)
    assert line.size == (width, round(18 * 1.35))
    if width == 400:
        assert np.array_equal(line.crop((0, 0, draw_text(text, 18).width, line.height)), draw_text(text, 18))
    if width >= 160:
        assert is_paper(line.crop((width - 1, 0, width, line.height)))
    rows = np.flatnonzero((np.asarray(line) < 255).any(axis=(1, 2)))
    assert rows[-1] - rows[0] > 4


def test_a_key_breaks_lines_and_shows_every_colour():
    entries = [(RED, "road"), (GREEN, "a longer name"), ((0, 0, 255), "sky")]
    wide, narrow = draw_key(entries, 600), draw_key(entries, 150)
    assert wide.size[0] == 600
    assert narrow.height == 3 * wide.height
    for key in (wide, narrow):
        assert {colour for colour, _ in entries} <= {colour for _, colour in key.getcolors(2**24)}
    assert draw_key(entries, 600, 10).height < wide.height


def test_pictures_below_and_beside_each_other():
    red, green = Image.new("RGB", (4, 2), RED), Image.new("RGB", (3, 5), GREEN)
    below = stack([red, green], 1)
    assert below.size == (4, 8)
    assert [below.getpixel(place) for place in ((3, 1), (0, 2), (2, 7), (3, 7))] == [RED, PAPER, GREEN, PAPER]
    row = beside([red, green], 6, 2)
    assert row.size == (14, 5)
    assert [row.getpixel(place) for place in ((3, 1), (4, 0), (8, 4), (11, 4))] == [RED, PAPER, GREEN, PAPER]


@pytest.mark.parametrize(
    ("size", "expected"), [((200, 100), (80, 40)), ((100, 200), (60, 120)), ((10, 5), (80, 40)), ((9000, 1), (80, 1))]
)
def test_panels_are_as_wide_as_asked_for_unless_they_get_too_high(size, expected):
    assert panel_size(size, 80) == expected


def test_margins():
    framed = add_margin(Image.new("RGB", (4, 2), RED), 3)
    assert framed.size == (10, 8)
    assert framed.crop((3, 3, 7, 5)).getcolors() == [(8, RED)]
    assert sorted(framed.getcolors()) == [(8, RED), (72, PAPER)]
