# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import base64
import functools
import http.server
import threading

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf.model.image_reading import flatten_images, open_image, read_image


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def read(image, do_convert_rgb=True, input_data_format=None, do_rescale=True):
    (flat,) = flatten_images(image, "images", array_ndims=(2, 3))
    return read_image(flat, do_convert_rgb, input_data_format, do_rescale)


def test_one_image_in_many_forms():
    array = noise(5, 7)
    forms = [
        Image.fromarray(array),
        array,
        array.transpose(2, 0, 1),
        torch.from_numpy(array),
        torch.from_numpy(array).permute(2, 0, 1),
        torch.from_numpy(array).permute(2, 0, 1).bfloat16(),
        array.astype(np.int64),
        array.astype(np.float32),
        array.astype(np.float64) / 255,
        torch.from_numpy(array) / 255,
        array[None],
        torch.from_numpy(array)[None],
        [[Image.fromarray(array)]],
    ]
    for form in forms:
        result = read(form)
        assert result.dtype in (np.uint8, np.float32)
        np.testing.assert_allclose(result, array.transpose(2, 0, 1), atol=1e-4)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The address under which a server on this machine offers the files of `tmp_path`."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *arguments: None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 4), (np.uint16, 0), (np.uint8, 3)])
def test_a_file_is_the_same_image_wherever_it_is(served, tmp_path, dtype, channels):
    """With transparency and with 16 bits too, which transformers' `load_image` would drop and cut off."""
    shape = (9, 7, channels) if channels else (9, 7)
    array = np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)
    Image.fromarray(array).save(tmp_path / "image.png")
    encoded = base64.encodebytes((tmp_path / "image.png").read_bytes()).decode()
    expected = read(Image.fromarray(array))
    for form in (f"{served}/image.png", encoded, f"data:image/png;base64,{encoded}", tmp_path / "image.png"):
        assert np.array_equal(read(form), expected)


def test_what_is_no_image_is_refused_by_its_name(served, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    for form, message in (
        (tmp_path / "nowhere.png", r"nowhere\.png does not exist\. Name an image file"),
        (str(tmp_path / "nowhere.png"), r"nowhere\.png' is no image file, no URL and no image as base64 text"),
        ("data/camvid/test", r"^'data/camvid/test' is no image file, no URL and no image as base64"),
        ("", "^'' is no image file"),
        (tmp_path, "is a folder"),
        (str(tmp_path), "is a folder"),
        (tmp_path / "text.png", r"text\.png cannot be read as an image"),
        (f"{served}/nowhere.png", r"/nowhere\.png cannot be fetched: .*404"),
        (f"{served}/text.png", r"What is at http.*/text\.png cannot be read as an image"),
        ("http://127.0.0.1:9/image.png", r"http://127\.0\.0\.1:9/image\.png cannot be fetched"),
        (base64.b64encode(bytes(3000)).decode(), "^'A{300}' is no image file"),
    ):
        with pytest.raises(ValueError, match=message):
            open_image(form)


def test_files(tmp_path):
    array = noise(5, 7, 4)
    Image.fromarray(array).save(tmp_path / "image.png")
    for path in (tmp_path / "image.png", str(tmp_path / "image.png")):
        assert np.array_equal(read(path), read(Image.fromarray(array)))


def test_order_of_a_flattened_list():
    arrays = [noise(5, 7, seed=seed) for seed in range(5)]
    nested = [arrays[0], [arrays[1], np.stack(arrays[2:4])], torch.from_numpy(arrays[4])]
    flat = flatten_images(nested, "images", array_ndims=(2, 3))
    assert len(flat) == 5
    assert all(np.array_equal(array, other) for array, other in zip(arrays, flat, strict=True))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 8, 9), (8, 9)),
        ((8, 9, 3), (8, 9)),
        ((1, 9, 3), (1, 9)),
        ((3, 9, 1), (9, 1)),
        ((4, 9, 3), (4, 9)),
        ((1, 9, 4), (1, 9)),
        ((1, 8, 9), (8, 9)),
        ((8, 9, 1), (8, 9)),
        ((3, 9, 3), (9, 3)),
    ],
)
def test_place_of_the_channels(shape, expected):
    assert read(np.zeros(shape, np.uint8)).shape == (3, *expected)


def test_place_of_the_channels_can_be_told():
    array = noise(3, 9)
    assert np.array_equal(read(array, input_data_format="channels_last"), array.transpose(2, 0, 1))


@pytest.mark.parametrize(
    "image", [Image.fromarray(noise(5, 6, 0)), noise(5, 6, 0), noise(5, 6, 0)[None], noise(5, 6, 0)[..., None]]
)
def test_grey_is_repeated(image):
    assert np.array_equal(read(image), np.stack([noise(5, 6, 0)] * 3))


def test_transparency_is_blended_with_white():
    array = noise(6, 5, 4)
    colour, alpha = array[..., :3].astype(np.float64), array[..., 3:] / 255
    expected = (colour * alpha + 255 * (1 - alpha)).transpose(2, 0, 1)
    for image in (Image.fromarray(array), array, array.transpose(2, 0, 1), array / 255, array.astype(float)):
        np.testing.assert_allclose(read(image).astype(float), expected, atol=1.01)


def test_transparency_of_scaled_floats():
    array = np.full((5, 6, 4), 0.5, dtype=np.float32)
    np.testing.assert_allclose(read(array, do_rescale=False), 0.75)


def test_palette_with_transparency():
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.info["transparency"] = 1
    assert read(image)[:, 0].T.tolist() == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]


def test_16_bit_is_scaled(tmp_path):
    array = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    Image.fromarray(array).save(tmp_path / "deep.png")
    forms = [array, Image.fromarray(array), Image.open(tmp_path / "deep.png"), Image.fromarray(array.astype(np.int32))]
    for form in [*forms, tmp_path / "deep.png"]:
        assert read(form)[0].tolist() == [[0, 1, 128, 255]]


@pytest.mark.parametrize("mode", ["1", "CMYK", "YCbCr", "HSV", "LA", "PA", "F"])
def test_other_modes_become_rgb(mode):
    image = Image.new("RGB", (4, 3), (255, 255, 255))
    image = image.convert("L").convert(mode) if mode in ("F", "PA", "LA") else image.convert(mode)
    assert (read(image) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise(8, 16)).save(tmp_path / "turned.png", exif=exif)
    upright = noise(8, 16)
    upright = {  # what turns or flips the stored rows into the upright image
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, -1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright),
    }[orientation]
    assert np.array_equal(read(tmp_path / "turned.png"), upright.transpose(2, 0, 1))


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_without_do_convert_rgb_channels_stay(channels):
    array = noise(6, 7, channels)
    result = read(array, do_convert_rgb=False, input_data_format="channels_last")
    assert np.array_equal(result, array.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([], ValueError, "`images` is an empty list"),
        ([[]], ValueError, "`images` is an empty list"),
        (np.zeros(5), ValueError, r"must have 2 or 3 dimensions.*shape \(5,\)"),
        (np.zeros((1, 1, 1, 4, 4), np.uint8), ValueError, "must have 2 or 3 dimensions"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "at least one pixel"),
        (np.zeros((0, 4, 4, 3), np.uint8), ValueError, "at least one pixel"),
        (np.zeros((8, 9, 5), np.uint8), ValueError, r"1, 3 or 4 channels.*\(8, 9, 5\)"),
        (np.full((4, 4, 3), np.nan), ValueError, "finite"),
        (np.full((4, 4, 3), -np.inf), ValueError, "finite"),
        (np.full((4, 4, 3), 1j), ValueError, "finite real numbers"),
        (np.full((4, 4, 3), -0.5), ValueError, r"\[0, 1\] or \[0, 255\], but has -0.5.*do_rescale=False"),
        (np.full((4, 4, 3), 256.0), ValueError, r"\[0, 1\] or \[0, 255\]"),
        (np.full((4, 4, 3), 300), ValueError, "has 300 to 300"),
        (Image.fromarray(np.full((4, 4), 70000, np.int32)), ValueError, "must have 16-bit values"),
        ({"image": 1}, TypeError, "`images` must hold Pillow images"),
        (None, TypeError, "`images` must hold Pillow images"),
        ([None], TypeError, "`images` must hold Pillow images"),
    ],
)
def test_images_that_are_refused(images, error, message):
    with pytest.raises(error, match=message):
        read(images)
