# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from paumer_hf.prediction.images import read_image, resize_short_side, to_rgb


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "1", "CMYK"])
def test_images_of_any_mode(mode, tmp_path, photograph):
    image = Image.new("I;16", (9, 5)) if mode == "I;16" else photograph(9, 5).convert(mode)
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image.save(path)
    read = read_image(path)
    assert (read.mode, read.size) == ("RGB", (9, 5))
    if mode in ("L", "P", "1"):
        assert np.array_equal(read, image.convert("RGB"))


def test_images_are_turned_upright(tmp_path, photograph):
    image, exif = photograph(9, 5), Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    image.save(tmp_path / "image.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "image.png"), image.rotate(-90, expand=True))


def test_transparent_pixels_become_white():
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    image.putpixel((1, 0), (10, 20, 30, 0))
    assert [to_rgb(image).getpixel((x, 0)) for x in (0, 1)] == [(10, 20, 30), (255, 255, 255)]


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_what_is_no_image_is_named(content, tmp_path, photograph):
    path = tmp_path / "half.png"
    photograph().save(path)
    path.write_bytes(path.read_bytes()[:600] if content is None else content)
    with pytest.raises(ValueError, match=r"half\.png cannot be read as an image"):
        read_image(path)


def test_an_image_that_is_too_large_is_named(tmp_path, photograph, monkeypatch):
    photograph().save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match=r"large\.png cannot be read as an image: .*exceeds limit"):
        read_image(tmp_path / "large.png")


@pytest.mark.parametrize(("size", "expected"), [((45, 38), (24, 20)), ((100, 1), (2000, 20)), ((20, 30), (20, 30))])
def test_short_side(size, expected, photograph):
    assert resize_short_side(photograph(*size), 20).size == expected
    assert resize_short_side(photograph(*size), None).size == size


def test_a_short_side_of_nothing_is_refused(photograph):
    with pytest.raises(ValueError, match="`short_side` must be at least 1 pixel, but is 0"):
        resize_short_side(photograph(), 0)
