# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Photographs, videos and animated images that are made on the spot."""

import numpy as np
import pytest
from PIL import Image


PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


@pytest.fixture
def palette():
    """A colour for each class of `tiny_model`."""
    return PALETTE


@pytest.fixture
def photograph():
    """A function that makes an image of random pixels."""

    def make(width=45, height=38, seed=0):
        return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))

    return make


@pytest.fixture
def grey_frames():
    """A function that makes frames of one grey each, brighter by 20 from frame to frame."""

    def make(count, size=(48, 40)):
        return [Image.new("RGB", size, (20 * number,) * 3) for number in range(count)]

    return make


@pytest.fixture
def make_video(tmp_path):
    """A function that writes frames as a video file and returns its path."""
    av = pytest.importorskip("av", reason="videos need PyAV, the extra `video`")

    def make(frames, name="drive.mp4", rate=10):
        path = tmp_path / name
        options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream("libvpx" if path.suffix == ".webm" else "mpeg4", rate=rate)
            stream.width, stream.height = frames[0].size
            stream.pix_fmt = "yuv420p"
            stream.bit_rate = 4_000_000
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_image(frame)))
            container.mux(stream.encode())
        return path

    return make


@pytest.fixture
def make_animation(tmp_path):
    """A function that writes frames as an animated image and returns its path."""

    def make(frames, name="drive.gif", duration=100):
        path = tmp_path / name
        lossless = {"lossless": True} if path.suffix == ".webp" else {}
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration, **lossless)
        return path

    return make
