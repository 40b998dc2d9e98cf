# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from paumer_hf.space.pictures import FORMATS, MAX_PIXELS, MAX_SIDE, example_pictures, read_picture


# What Pillow says of damaged TIFF files before it gives up.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def _write(path, image, **options):
    image.save(path, **options)
    return path


def _flat_png(path, width, height):
    """A PNG of one colour that says of itself to be of this size; written without holding its pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" * (1 + width // 8)
    compressor = zlib.compressobj(9)
    data = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def _refusal(path):
    """Why a file is refused; empty if it is a picture."""
    try:
        read_picture(path).image.load()
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("form", FORMATS)
def test_formats_are_read_as_they_are(form, photograph, tmp_path):
    image = photograph(45, 38)
    lossless = {"WEBP": {"lossless": True}}
    picture = read_picture(_write(tmp_path / "street", image, format=form, **lossless.get(form, {})))
    assert picture.image.mode == "RGB"
    assert picture.image.size == (45, 38)
    assert picture.notes == ()
    if form not in ("JPEG", "GIF"):
        assert np.array_equal(picture.image, image)


def test_every_cut_file_is_a_picture_or_refused(photograph, tmp_path):
    path, num_refused = tmp_path / "cut.img", 0
    for form in FORMATS:
        stream = io.BytesIO()
        photograph(45, 38).save(stream, form)
        whole = stream.getvalue()
        for length in np.linspace(0, len(whole) - 2, 60).astype(int):
            path.write_bytes(whole[:length])
            message = _refusal(path)
            assert message.startswith("cut.img is ") or not message
            assert str(tmp_path) not in message, "a path of the server in a message"
            num_refused += bool(message)
    assert num_refused > 50 * len(FORMATS)


def test_broken_bytes_are_a_picture_or_refused(photograph, tmp_path):
    random, path = np.random.default_rng(0), tmp_path / "broken.img"
    for form in FORMATS:
        stream = io.BytesIO()
        photograph(45, 38).save(stream, form)
        for _ in range(60):
            bytes_ = np.frombuffer(stream.getvalue(), np.uint8).copy()
            places = random.integers(0, min(300, len(bytes_)), 4)
            bytes_[places] = random.integers(0, 256, 4)
            path.write_bytes(bytes_.tobytes())
            message = _refusal(path)
            assert message.startswith("broken.img ") or not message


def test_other_files_are_refused(tmp_path):
    (tmp_path / "notes.png").write_text("Not an image.")
    with pytest.raises(ValueError, match=r"^notes\.png is no image that can be read here\. Upload one as JPEG"):
        read_picture(tmp_path / "notes.png")
    (tmp_path / "drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\n")
    with pytest.raises(ValueError, match=r"drawing\.eps is no image that can be read here"):
        read_picture(tmp_path / "drawing.eps")
    with pytest.raises(ValueError, match=r"gone\.png is no longer there"):
        read_picture(tmp_path / "gone.png")


@pytest.mark.parametrize(
    ("size", "message"),
    [((20_000, 20_000), "far too many pixels"), ((10_000, 9_000), "10,000 x 9,000 pixels")],
)
def test_huge_images_are_refused_by_their_header(size, message, tmp_path):
    path = _flat_png(tmp_path / "huge.png", *size)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"{message}; at most {MAX_PIXELS // 10**6} million"):
            read_picture(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_large_photographs_are_reduced(photograph, tmp_path):
    image = photograph(30, 20).resize((1500, 1000), Image.Resampling.BICUBIC)
    for name in ("large.png", "large.jpg"):
        picture = read_picture(_write(tmp_path / name, image))
        assert picture.image.size == (640, 427)
        (note,) = picture.notes
        assert "1,500 x 1,000 pixels to 640 x 427 pixels" in note
        expected = image.resize((640, 427), Image.Resampling.LANCZOS)
        assert np.abs(np.asarray(picture.image, float) - np.asarray(expected, float)).mean() < 3
    assert read_picture(_write(tmp_path / "fits.png", photograph(MAX_SIDE, 20))).notes == ()


def test_a_photograph_is_upright(photograph, tmp_path):
    image = photograph(30, 20).resize((900, 600), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    picture = read_picture(_write(tmp_path / "phone.jpg", image, exif=exif, quality=95))
    expected = image.transpose(Image.Transpose.ROTATE_270).resize((427, 640))
    assert picture.image.size == (427, 640)
    assert np.abs(np.asarray(picture.image, float) - np.asarray(expected, float)).mean() < 6
    assert "600 x 900 pixels to 427 x 640 pixels" in picture.notes[0]


def test_only_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (50, 40), colour) for colour in ("red", "blue")]
    for name in ("two.gif", "two.webp", "two.png", "two.tiff"):
        path = _write(tmp_path / name, frames[0], save_all=True, append_images=frames[1:])
        picture = read_picture(path)
        assert np.asarray(picture.image)[20, 20, 0] > 200
        assert picture.notes == (f"{name} holds several frames; only the first one is segmented.",)


def test_two_pictures_of_a_camera_are_no_animation(photograph, tmp_path):
    path = _write(tmp_path / "c.jpg", photograph(), format="MPO", save_all=True, append_images=[photograph(20, 20)])
    with Image.open(path) as file:
        assert (file.format, file.is_animated) == ("MPO", True)
    assert read_picture(path).notes == ()


def test_narrow_images_are_refused(photograph, tmp_path):
    with pytest.raises(ValueError, match=r"dot.png is 5 x 5 pixels large.*at least 16 along each side"):
        read_picture(_write(tmp_path / "dot.png", photograph(5, 5)))
    with pytest.raises(ValueError, match=r"line\.png is 640 x 9 pixels large"):
        read_picture(_write(tmp_path / "line.png", photograph(3000, 40)))


def test_examples(photograph, tmp_path):
    drawn = example_pictures()
    assert len(drawn) == 3
    assert len({picture.image.tobytes() for _, picture in drawn}) == 3
    assert all(max(picture.image.size) <= MAX_SIDE for _, picture in drawn)
    _write(tmp_path / "main_street.png", photograph(800, 400))
    ((caption, picture),) = example_pictures(tmp_path, max_side=100)
    assert (caption, picture.image.size, picture.notes) == ("main street", (100, 50), ())
