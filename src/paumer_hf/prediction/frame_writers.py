# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes frames one after the other as an animated GIF, an MP4 video or a folder of PNGs: whole, or not at all.

Each writer is a context whose value is a function `write(image, time)`. What it writes replaces the file or folder of
that name when the context ends, and is removed if it ends by an error or an interrupt.
"""

import contextlib
import io
import itertools
import os
import re
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from paumer_hf.files import atomic_path
from paumer_hf.picture_layout import PAPER, Colour
from paumer_hf.prediction.video_frames import import_av


Write = Callable[[Image.Image, float], None]

# Browsers slow down frames that a GIF shows for less than two hundredths of a second.
FRAMES_MARK = ".paumer_hf_frames"
"""A file in each folder of frames that tells it from frames of others."""

MIN_GIF_DELAY = 2

# A second in so many ticks that usual frame rates need no rounding, and not in more than MPEG-4 allows, 65535.
MP4_TIME_BASE = Fraction(1, 60000)

# Greys and a few of all other colours, in the palette of a GIF for what only later frames show.
_GENERAL_COLOURS: list[Colour] = [
    *((level, level, level) for level in range(0, 256, 17)),
    *itertools.product((0, 128, 255), (0, 128, 255), (0, 128, 255)),
]

# YUV by ITU-R BT.601, which is what FFmpeg makes of RGB. Players guess BT.709 for large videos that do not say it.
_BT601 = 6


@contextlib.contextmanager
def gif_writer(path: str | os.PathLike, frame_rate: float, kept_colours: Sequence[Colour] = ()) -> Iterator[Write]:
    """Write an animated GIF that repeats for ever.

    All frames share one palette, so that a colour stays the same from frame to frame: the colours to keep, some of
    all colours, and those that suit the first frame best.

    Args:
        path: The file.
        frame_rate: Frames per second, for the last frame.
        kept_colours: Colours that must be in the palette, at most 256; the first ones count most.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        writer = _GifFile(file, frame_rate, kept_colours)
        yield writer.write
        writer.close()


class _GifFile:
    """A GIF that is written frame by frame; Pillow would hold all of them until the end."""

    def __init__(self, file: BinaryIO, frame_rate: float, kept_colours: Sequence[Colour]) -> None:
        self.file = file
        self.frame_rate = frame_rate
        self.kept_colours = list(dict.fromkeys(kept_colours))[:256]
        self.palette: Image.Image | None = None
        self.waiting: tuple[Image.Image, float] | None = None
        self.shown = 0  # hundredths of a second

    def write(self, image: Image.Image, time: float) -> None:
        if self.palette is None:
            self.palette = _make_palette(image, self.kept_colours)
            self._write_head(image.size)
        if self.waiting is not None:
            self._write_waiting(until=time)
        # How long a frame is shown is only known when the next one comes.
        self.waiting = (image.quantize(palette=self.palette, dither=Image.Dither.NONE), time)

    def close(self) -> None:
        if self.waiting is not None:
            self._write_waiting(until=self.waiting[1] + 1 / self.frame_rate)
            self.file.write(b";")

    def _write_head(self, size: tuple[int, int]) -> None:
        assert self.palette is not None
        colours = bytes(self.palette.getpalette() or [])
        self.file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0xF7, 0, 0) + colours)
        self.file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")  # repeat for ever

    def _write_waiting(self, until: float) -> None:
        assert self.waiting is not None
        # Rounding the end and not the duration keeps the frame rate over many frames.
        delay = min(max(MIN_GIF_DELAY, round(100 * until) - self.shown), 0xFFFF)
        self.shown += delay
        self.file.write(b"\x21\xf9\x04" + struct.pack("<BHBB", 0, delay, 0, 0) + _gif_image(self.waiting[0]))


def _make_palette(image: Image.Image, kept_colours: Sequence[Colour]) -> Image.Image:
    """A palette of 256 colours: those to keep, some of all colours, and for the rest those that suit the image."""
    colours = np.array([*kept_colours, *_GENERAL_COLOURS][:256], dtype=int)
    if len(colours) < 256:
        levels = image.quantize(256 - len(colours), Image.Quantize.MEDIANCUT).getpalette() or []
        suiting = np.array(levels, dtype=int).reshape(-1, 3)
        # Pillow tells colours apart by six bits: one beside a colour to keep would take its place.
        distances = np.abs(suiting[:, None] - colours[None]).max(axis=-1, initial=0)
        colours = np.concatenate([colours, suiting[(distances > 8).all(axis=1)]])
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours.ravel().tolist() + [0] * (3 * (256 - len(colours))))
    return palette


def _gif_image(image: Image.Image) -> bytes:
    """The image block of a GIF with this one image: what follows the head, the palette and the extensions."""
    buffer = io.BytesIO()
    image.save(buffer, "GIF", optimize=False, interlace=False)
    data = buffer.getvalue()
    place = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[place] == 0x21:  # an extension: two bytes, then blocks that begin with their length, the last empty
        place += 2
        while data[place]:
            place += data[place] + 1
        place += 1
    return data[place:-1]


@contextlib.contextmanager
def mp4_writer(path: str | os.PathLike, frame_rate: float) -> Iterator[Write]:
    """Write an MP4 video that browsers play: H.264 where PyAV has an encoder for it, else MPEG-4.

    Sides with an odd number of pixels get one row or column of paper.

    Args:
        path: The file.
        frame_rate: Frames per second on average; the times of the frames are kept.

    Raises:
        ImportError: If PyAV is not installed.
    """
    av = import_av()
    with atomic_path(path) as temporary:
        try:
            container = av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"})
            try:
                writer = _Mp4File(container, frame_rate)
                yield writer.write
                writer.close()
            except BaseException:
                with contextlib.suppress(av.error.FFmpegError):  # of a file that will be removed
                    container.close()
                raise
            container.close()
        except av.error.FFmpegError as error:
            raise OSError(f"{path} cannot be written: {error.strerror or error}") from error


def mp4_codec() -> str:
    """The name of the encoder of MP4 videos: "libx264" where this PyAV has it, else "mpeg4".

    Raises:
        ImportError: If PyAV is not installed.
    """
    codec = import_av().codec.Codec
    with contextlib.suppress(ValueError):
        codec("libx264", "w")
        return "libx264"
    return "mpeg4"


# A quality at which edges of classes stay sharp: libx264 has its own scale, 118 is the unit of the other. No frame
# refers to a later one: with uneven times that would cut off the last.
_QUALITY = {"libx264": {"crf": "20", "bf": "0"}, "mpeg4": {"flags": "+qscale", "global_quality": str(3 * 118)}}


class _Mp4File:
    """The one stream of an MP4 container, which is set up by its first frame."""

    def __init__(self, container: Any, frame_rate: float) -> None:
        self.container = container
        self.frame_rate = frame_rate
        self.stream: Any = None
        self.last_tick = -1

    def write(self, image: Image.Image, time: float) -> None:
        image = _even(image)
        if self.stream is None:
            self.stream = self._add_stream(image.size)
        frame = import_av().VideoFrame.from_image(image).reformat(format="yuv420p")
        frame.time_base = MP4_TIME_BASE
        frame.pts = self.last_tick = max(self.last_tick + 1, round(time / MP4_TIME_BASE))
        self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        if self.stream is not None:
            self.container.mux(self.stream.encode())

    def _add_stream(self, size: tuple[int, int]) -> Any:
        codec = mp4_codec()
        rate = max(Fraction(self.frame_rate).limit_denominator(1001), Fraction(1, 1001))
        stream = self.container.add_stream(codec, rate=rate, options=dict(_QUALITY[codec]))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = MP4_TIME_BASE
        stream.codec_context.colorspace = _BT601
        # Threads of the encoder would work on while the model is timed.
        stream.codec_context.thread_count = 1
        return stream


def _even(image: Image.Image) -> Image.Image:
    width, height = image.width + image.width % 2, image.height + image.height % 2
    if (width, height) == image.size:
        return image
    even = Image.new("RGB", (width, height), PAPER)
    even.paste(image)
    return even


@contextlib.contextmanager
def png_writer(path: str | os.PathLike) -> Iterator[Write]:
    """Write a folder of PNGs that are numbered from 000000.

    Args:
        path: The folder. An existing one is replaced if this wrote it and it holds nothing but such PNGs.

    Raises:
        ValueError: If the folder holds anything else.
    """
    path = Path(path)
    check_png_folder(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.mkdir(parents=True)
    (temporary / FRAMES_MARK).touch()
    count = 0

    def write(image: Image.Image, time: float) -> None:
        nonlocal count
        image.save(temporary / f"{count:06d}.png")
        count += 1

    try:
        yield write
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def check_png_folder(path: str | os.PathLike) -> None:
    """Check that `png_writer` may replace this folder.

    Raises:
        ValueError: If it exists and was not written by `png_writer`, or holds anything but numbered PNGs.
    """
    path = Path(path)
    if not path.exists():
        return
    names = {file.name for file in path.iterdir()} if path.is_dir() else {path.name}
    if names and FRAMES_MARK not in names:
        raise ValueError(f"{path} was not written by this program. Move it, or name another output.")
    if not all(re.fullmatch(r"\d{6,}\.png", name) for name in names - {FRAMES_MARK}):
        raise ValueError(f"{path} holds more than the frames that would be replaced. Move it, or name another output.")


__all__ = [
    "FRAMES_MARK",
    "MIN_GIF_DELAY",
    "MP4_TIME_BASE",
    "Write",
    "check_png_folder",
    "gif_writer",
    "mp4_codec",
    "mp4_writer",
    "png_writer",
]
